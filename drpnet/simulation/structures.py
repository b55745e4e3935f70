"""A structure by name or file, ready to be sampled on any grid."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import gemmi
import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from drpnet.errors import InputError
from drpnet.io.volumes import read_volume
from drpnet.simulation.assemblies import (
    beta_galactosidase,
    hollow_assembly,
    longest_dimension,
    random_assembly,
    trpv1,
)

RESIDUE_SIGMA = 3.5
ATOM_SIGMA = 1.5
DRAWN = {"random": random_assembly, "hollow": hollow_assembly}
"""Structures that every micrograph draws anew."""


class Structure(Protocol):
    """Something with a size and a density."""

    @property
    def longest_dimension(self) -> float:
        """Angstrom."""
        ...

    def density(self, box: int, voxel_size: float) -> np.ndarray:
        """Density (box, box, box) float32 in (z, y, x), centre of mass at voxel box // 2."""
        ...


@dataclass(frozen=True)
class PointStructure:
    """Gaussians of one width at points (n, 3) in (x, y, z) Angstrom around their centre of mass."""

    points: np.ndarray
    weights: np.ndarray
    sigma: float
    longest_dimension: float

    def density(self, box: int, voxel_size: float) -> np.ndarray:
        """Density (box, box, box) float32 in (z, y, x), centre of mass at voxel box // 2."""
        place = self.points[:, ::-1] / voxel_size + box // 2
        corner = np.floor(place).astype(int)
        fraction = place - corner
        inside = np.all((corner >= 0) & (corner < box - 1), axis=1)
        corner, fraction, weights = corner[inside], fraction[inside], self.weights[inside]
        grid = np.zeros(box**3)
        for step in np.ndindex(2, 2, 2):
            share = np.prod(np.where(step, fraction, 1 - fraction), axis=1)
            index = np.ravel_multi_index(tuple((corner + step).T), (box, box, box))
            grid += np.bincount(index, weights * share, box**3)
        blur = max(self.sigma / voxel_size, 0.6)
        return gaussian_filter(grid.reshape(box, box, box).astype(np.float32), blur, mode="constant")


@dataclass(frozen=True)
class MapStructure:
    """A density map (d, h, w) in (z, y, x) with its voxel size; `centre` is its centre of mass in voxels."""

    volume: np.ndarray
    voxel_size: float
    centre: np.ndarray
    longest_dimension: float

    def density(self, box: int, voxel_size: float) -> np.ndarray:
        """Density (box, box, box) float32 in (z, y, x), centre of mass at voxel box // 2."""
        zoom = voxel_size / self.voxel_size
        volume = gaussian_filter(self.volume, 0.4 * zoom) if zoom > 1 else self.volume
        offset = self.centre - zoom * (box // 2)
        return affine_transform(volume, np.full(3, zoom), offset, (box, box, box), np.float32, order=1, mode="constant")


def load_structure(source: str, particle_diameter: float, rng: np.random.Generator) -> Structure:
    """The structure of that name or file; `random` and `hollow` draw one from `rng` with the diameter given in Angstrom.

    Raises InputError when a file cannot be read or its size is far from `particle_diameter`.
    """
    if source in DRAWN:
        assembly = DRAWN[source](rng, particle_diameter)
        return PointStructure(assembly.points, assembly.weights, RESIDUE_SIGMA, particle_diameter)
    structure = _fixed_structure(source)
    ratio = structure.longest_dimension / particle_diameter
    if not 0.5 <= ratio <= 2:
        raise InputError(
            f"{source} is {structure.longest_dimension:.0f} A long but simulation.particle_diameter is "
            f"{particle_diameter:g} A; set particle_diameter near {structure.longest_dimension:.0f}"
        )
    return structure


@lru_cache(maxsize=16)
def _fixed_structure(source: str) -> Structure:
    if source in ("trpv1", "beta_galactosidase"):
        assembly = trpv1() if source == "trpv1" else beta_galactosidase()
        size = longest_dimension(assembly.points)
        return PointStructure(assembly.points, assembly.weights, RESIDUE_SIGMA, size)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"structure {source} does not exist; give a .pdb, .cif or .mrc file")
    return _read_map(path) if ".mrc" in path.suffixes or ".map" in path.suffixes else _read_atoms(path)


def _read_atoms(path: Path) -> PointStructure:
    try:
        model = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, OSError) as reason:
        raise InputError(f"{path} cannot be read as PDB or mmCIF ({reason}); give a whole file") from reason
    model.setup_entities()
    if len(model) and model.assemblies:
        model.transform_to_assembly(model.assemblies[0].name, gemmi.HowToNameCopiedChain.Short)
    model.remove_waters()
    model.remove_hydrogens()
    atoms = [site.atom for site in model[0].all()] if len(model) else []
    if len(atoms) < 4:
        raise InputError(f"{path} has {len(atoms)} atoms; give a structure of at least 4")
    points = np.array([atom.pos.tolist() for atom in atoms])
    weights = np.array([atom.element.atomic_number * atom.occ for atom in atoms], float)
    if not (np.isfinite(points).all() and weights.sum() > 0):
        raise InputError(f"{path} has atoms without position or occupancy; give a complete model")
    points -= np.average(points, axis=0, weights=weights)
    return PointStructure(points, weights, ATOM_SIGMA, longest_dimension(points))


def _read_map(path: Path) -> MapStructure:
    volume, voxel_size = read_volume(path)
    shell = np.ones(volume.shape, bool)
    shell[2:-2, 2:-2, 2:-2] = False
    volume = volume - np.median(volume[shell])
    volume[volume < 0.05 * volume.max()] = 0
    solid = np.argwhere(volume > 0)
    if len(solid) < 8 or np.any(np.ptp(solid, axis=0) == 0):
        raise InputError(f"{path} holds no particle above its border; give a density map of one particle")
    centre = np.average(solid, axis=0, weights=volume[tuple(solid.T)])
    return MapStructure(volume, voxel_size, centre, longest_dimension(solid) * voxel_size)
