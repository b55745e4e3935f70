"""A simulated data set with its poses, and a picker's picks of it with what is known of each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.pairing import pair_sets
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.star import numbers, read_star
from drpnet.measures.matching import match_one_to_one
from drpnet.reconstruction.direct_fourier import Ctf
from drpnet.simulation.structures import DRAWN, Structure, load_structure

_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_DEFOCUS = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
_MICROSCOPE = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")


@dataclass(frozen=True)
class Simulation:
    """Micrographs of one structure and how each of its particles lies.

    `names` (m) as the stars have them, `defocus` (m, 3) is U and V in Angstrom and their angle in degrees. By particle:
    `micrograph` (n,) numbers `names`, `centres` (n, 2) are (y, x) px, `angles` (n, 3) rot, tilt and psi in degrees.
    """

    folder: Path
    names: list[str]
    shape: tuple[int, int]
    pixel_size: float
    microscope: tuple[float, float, float]
    defocus: np.ndarray
    micrograph: np.ndarray
    centres: np.ndarray
    angles: np.ndarray
    structure: Structure
    particle_diameter: float

    def path(self, number: int) -> Path:
        """The file of a micrograph."""
        return self.folder / self.names[number]

    def ctf(self, number: int) -> Ctf:
        """What its micrograph did to every particle; particles are dark."""
        u, v, angle = self.defocus[number : number + 1].T
        return Ctf(u, v, angle, *self.microscope, sign=-1.0)


@dataclass(frozen=True)
class PosedPicks:
    """Picks (n) of one picker: `micrograph` (n,), `centres` (n, 2) in (y, x) px, `scores` (n,), nan where there are none.

    `particle` (n,) numbers the particle that a pick is, -1 for a false one; `angles` (n, 3) and `true_centres` (n, 2) are
    that particle's; those of false picks are nan, until they are given some, and the picked centre.
    """

    micrograph: np.ndarray
    centres: np.ndarray
    scores: np.ndarray
    particle: np.ndarray
    angles: np.ndarray
    true_centres: np.ndarray

    @property
    def is_true(self) -> np.ndarray:
        """Which picks are particles (n,)."""
        return self.particle >= 0

    def at(self, index: np.ndarray) -> "PosedPicks":
        """The picks at the positions or the boolean mask `index`."""
        return replace(self, **{name: value[index] for name, value in vars(self).items()})


def read_simulation(folder: Path) -> Simulation:
    """A folder of `drpnet simulate`.

    Raises InputError for what is none, for particles without angles, more than one optics group or structure.
    """
    folder = Path(folder)
    structure, diameter, shape = _structure(folder)
    particles, micrographs = (read_star(folder / f"{name}.star") for name in ("particles", "micrographs"))
    star, listed = folder / "particles.star", folder / "micrographs.star"
    table, optics = particles.get("particles"), particles.get("optics")
    every = micrographs.get("micrographs")
    if table is None or optics is None or every is None:
        raise InputError(f"{star} or {listed} is none of drpnet simulate's; give a folder that it wrote")
    missing = [label for label in _ANGLES if label not in table]
    if missing:
        raise InputError(f"{star} has no {missing[0]}: without orientations there is no map; give a folder of drpnet simulate")
    if len(optics) != 1:
        raise InputError(f"{star} has {len(optics)} optics groups; one map needs one pixel size and microscope: split it")
    names = [str(name) for name in every["rlnMicrographName"]]
    place = {name: number for number, name in enumerate(names)}
    unknown = [str(name) for name in table["rlnMicrographName"] if str(name) not in place]
    if unknown:
        raise InputError(f"{star} has particles on {unknown[0]}, which {listed} lacks; simulate the folder anew")
    kilovolt, aberration, contrast = (float(numbers(star, optics, label)[0]) for label in _MICROSCOPE)
    return Simulation(
        folder=folder,
        names=names,
        shape=shape,
        pixel_size=float(numbers(star, optics, "rlnImagePixelSize")[0]),
        microscope=(kilovolt, aberration, contrast),
        defocus=np.stack([numbers(listed, every, label) for label in _DEFOCUS], axis=1),
        micrograph=np.array([place[str(name)] for name in table["rlnMicrographName"]], int),
        centres=np.stack([numbers(star, table, f"rlnCoordinate{axis}") for axis in "YX"], axis=1),
        angles=np.stack([numbers(star, table, label) for label in _ANGLES], axis=1),
        structure=structure,
        particle_diameter=diameter,
    )


def read_picks(simulation: Simulation, picks: Path, reach: float) -> PosedPicks:
    """A picker's picks, in any format that `drpnet evaluate` reads, matched one to one to the particles within `reach` px.

    Raises InputError for picks of micrographs that the simulation lacks, and for fewer than two picks.
    """
    picked = read_coordinate_set(picks)
    number = {str(Path(name).with_suffix("")): i for i, name in enumerate(simulation.names)}
    pairs, _ = pair_sets(picked, number, picks, simulation.folder)
    foreign = sorted(set(picked) - set(pairs))
    if foreign:
        raise InputError(
            f"{picks} has picks of {foreign[0]}, which {simulation.folder} does not simulate ({len(foreign)} such); "
            "give picks of that simulation's micrographs"
        )
    parts = []
    for key, name in pairs.items():
        found = picked[key]
        scores = np.full(len(found.centres), np.nan) if found.scores is None else np.asarray(found.scores, float)
        parts.append((np.full(len(found.centres), number[name]), found.centres, scores))
    micrograph, centres, scores = (np.concatenate([part[i] for part in parts]) for i in range(3))
    if len(centres) < 2:
        raise InputError(f"{picks} has fewer than two picks; two half maps need at least one each")
    return posed(simulation, micrograph.astype(int), centres, scores, reach)


def posed(
    simulation: Simulation, micrograph: np.ndarray, centres: np.ndarray, scores: np.ndarray, reach: float
) -> PosedPicks:
    """Centres (n, 2) with the particles that they are: one to one within `reach` px, as many pairs as possible."""
    particle = np.full(len(centres), -1)
    for number in np.unique(micrograph):
        mine, own = np.flatnonzero(micrograph == number), np.flatnonzero(simulation.micrograph == number)
        matching = match_one_to_one(centres[mine], simulation.centres[own], reach)
        particle[mine[matching.pick_index]] = own[matching.truth_index]
    is_true = (particle >= 0)[:, None]
    return PosedPicks(
        micrograph,
        np.asarray(centres, float),
        scores,
        particle,
        np.where(is_true, simulation.angles[particle], np.nan),
        np.where(is_true, simulation.centres[particle], centres),
    )


def truth(simulation: Simulation) -> PosedPicks:
    """Every particle at its true centre: what a perfect picker would give."""
    count = len(simulation.centres)
    return PosedPicks(
        simulation.micrograph,
        simulation.centres,
        np.full(count, np.nan),
        np.arange(count),
        simulation.angles,
        simulation.centres,
    )


def joined(parts: Sequence[PosedPicks]) -> PosedPicks:
    """The picks of all parts, one after another."""
    return PosedPicks(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def _structure(folder: Path) -> tuple[Structure, float, tuple[int, int]]:
    record = folder / "simulation.json"
    if not record.is_file():
        raise InputError(f"{record} does not exist; give a folder of drpnet simulate")
    try:
        given = json.loads(record.read_text(encoding="utf-8"))["parameters"]
        structures, diameter = list(given["structures"]), float(given["particle_diameter"])
        shape = int(given["height"]), int(given["width"])
    except (ValueError, KeyError, TypeError) as reason:
        raise InputError(f"{record} is damaged ({reason}); simulate the folder anew") from None
    if len(structures) != 1 or structures[0] in DRAWN:
        raise InputError(f"{folder} simulates {', '.join(structures)}; one map needs micrographs of one known structure")
    return load_structure(structures[0], diameter, np.random.default_rng(0)), diameter, shape
