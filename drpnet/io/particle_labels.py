"""Labels from RELION's particles .star: the centres of a Select, Class2D or Refine3D job on the micrographs it names."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from drpnet.errors import InputError
from drpnet.io.coordinate_files import is_inside, require_inside
from drpnet.io.micrographs import read_pixel_size, read_shape, require_suffix
from drpnet.io.paths import locate
from drpnet.io.star import numbers, read_star
from drpnet.io.star_coordinates import coordinate_table, particle_table

log = logging.getLogger(__name__)
_MOST_OUTSIDE = 0.1
"""More centres outside their micrograph are no particles whose refined centre went over the edge."""


@dataclass(frozen=True)
class ParticleLabels:
    """A micrograph on disk, its name in the star, the centres (n, 2) (y, x) of its particles in px, and Angstrom/px."""

    path: Path
    name: str
    centres: np.ndarray
    pixel_size: float | None


def read_particle_labels(star: Path, pixel_size: float | None = None) -> list[ParticleLabels]:
    """The micrographs that a particles .star names, with their particles' refined centres.

    The centre is rlnCoordinate minus the origin offset: rlnOriginXAngst over the micrograph's pixel size (3.1 and later),
    or rlnOriginX times the pixel size of the extracted particles (rlnDetectorPixelSize, rlnMagnification) over that of the
    micrograph (3.0). The latter is `pixel_size` (Angstrom), else that of the optics group, else the file header's.
    Micrographs are looked for below the current folder, the star's, or one above. Raises InputError for a star without
    micrographs' names, a micrograph that does not exist, offsets without a pixel size, and centres of another frame.
    """
    star = Path(star)
    blocks = read_star(star)
    table = coordinate_table(star, blocks)
    if "rlnMicrographName" not in table:
        raise InputError(f"{star} does not name its micrographs (rlnMicrographName); give the particles .star of a RELION job")
    if table.empty:
        raise InputError(f"{star} lists no particles; give the star of a job that kept some")
    names = [str(name) for name in table["rlnMicrographName"].unique()]
    paths = _existing(star, names)
    sizes = _pixel_sizes(star, table, blocks.get("optics"), paths, pixel_size)
    table = particle_table(star, blocks, None if sizes is None else table["rlnMicrographName"].map(sizes).to_numpy(dtype=float))
    labels, gone = [], 0
    for name, rows in table.groupby("rlnMicrographName", sort=False):
        path, centres = paths[str(name)], rows[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(dtype=float)
        shape = read_shape(path)
        inside = is_inside(centres, shape)
        if np.mean(~inside) > _MOST_OUTSIDE:
            require_inside(centres, shape, f"{star}, {name}")
        gone += int((~inside).sum())
        labels.append(ParticleLabels(path, str(name), centres[inside], None if sizes is None else sizes[str(name)]))
    if gone:
        log.warning("%s: %d of %d refined centres lie outside their micrograph and are left out", star, gone, len(table))
    return labels


def _existing(star: Path, names: list[str]) -> dict[str, Path]:
    found = {name: locate(name, star) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise InputError(
            f"{star}: {len(missing)} of {len(names)} micrographs do not exist, first {missing[0]}; "
            "run from RELION's project folder, or give it in dataset.root"
        )
    paths = {name: path for name, path in found.items() if path is not None}
    for path in paths.values():
        require_suffix(path)
    return paths


def _pixel_sizes(
    star: Path, table: pd.DataFrame, optics: pd.DataFrame | None, paths: Mapping[str, Path], given: float | None
) -> dict[str, float] | None:
    """Angstrom/px by micrograph; None where nobody knows all of them and no offset needs them."""
    label = "rlnMicrographPixelSize"
    groups: dict[str, float] = {}
    if optics is not None and label in optics and "rlnOpticsGroup" in optics:
        of_group = dict(zip(numbers(star, optics, "rlnOpticsGroup"), numbers(star, optics, label), strict=True))
        first = table.drop_duplicates("rlnMicrographName")
        own = numbers(star, first, "rlnOpticsGroup") if "rlnOpticsGroup" in first else [min(of_group)] * len(first)
        groups = {str(name): of_group.get(group, 0.0) for name, group in zip(first["rlnMicrographName"], own, strict=True)}
    sizes = {name: given or groups.get(name) or read_pixel_size(path) for name, path in paths.items()}
    known = {name: float(size) for name, size in sizes.items() if size}
    if len(known) == len(sizes):
        return known
    if {"rlnOriginXAngst", "rlnOriginX"} & set(table.columns):
        unknown = next(name for name in sizes if name not in known)
        raise InputError(
            f"{star} has refined offsets, and neither its optics nor the header of {unknown} says the pixel size they need; "
            "set dataset.pixel_size (Angstrom per pixel of the micrographs)"
        )
    return None
