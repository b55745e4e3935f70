"""Read the particle centres of one coordinate file, whatever program wrote it."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.cryosparc_coordinates import read_cs
from drpnet.io.star import read_star
from drpnet.io.star_coordinates import particle_table, read_cbox, star_coordinates
from drpnet.io.text_coordinates import EMPIAR10005, Coordinates, read_box, read_empiar10005, read_table

TABLES = (".csv", ".txt", ".tsv", ".coord", ".coords", ".cs")
"""Suffixes of files that may say for every row which micrograph it is of."""
INDEX = re.compile(r"coords_suffix_\w+\.star")
_PICK_SUFFIX = re.compile(r"_(autopick|manualpick|extract|topazpicks?|picks|candidates|coords)$")


@dataclass(frozen=True)
class MicrographCoordinates:
    """The coordinates of one micrograph, which its folder `tree` and its `stem` place among others."""

    tree: Path
    stem: str
    coordinates: Coordinates
    name: str | None = None
    """What the file itself calls the micrograph; None where it does not say."""


def read_coordinates(path: Path, *, micrograph_shape: tuple[int, int] | None = None) -> Coordinates:
    """Centres of one micrograph, (n, 2) in (y, x) px of the unbinned micrograph; an empty list is valid.

    .star: RELION 3.0 and later, refined offsets subtracted. .box: EMAN corners, centre = corner + size // 2,
    fifth column the score. .cbox: crYOLO's corners, centre = corner + size / 2. .cs: cryoSPARC's fractions, y
    upwards. .csv: header x,y[,score] or CryoPPP's X-Coordinate,Y-Coordinate, taken as they are (CryoPPP counts
    y from the last row of the .mrc: `upside_down`). Plain columns (.txt, .coord): x y [score], 0-based centres.
    coordinate_*_bin3.dat: EMPIAR-10005. Raises InputError for what cannot be read, several micrographs in one
    file, or a centre outside `micrograph_shape` (h, w).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".star":
        table = particle_table(path, read_star(path))
        _require_one(path, table["rlnMicrographName"].tolist() if "rlnMicrographName" in table else [])
        found = star_coordinates(path, table)
    elif suffix == ".box":
        found = read_box(path)
    elif suffix == ".cbox":
        found = read_cbox(path)
    elif EMPIAR10005.fullmatch(path.name):
        found = read_empiar10005(path)
    elif suffix in TABLES:
        found, names = read_rows(path)
        _require_one(path, names or [])
    else:
        raise InputError(f"{path} is no coordinate file; use .star, .box, .cbox, .cs, .csv, .txt or .coord")
    if micrograph_shape is not None:
        require_inside(found.centres, micrograph_shape, path)
    return replace(found, source=path)


def read_rows(path: Path) -> tuple[Coordinates, list[str] | None]:
    """Centres of a table, and the micrograph of every row where the table says it."""
    return read_cs(path) if path.suffix.lower() == ".cs" else read_table(path)


def micrograph_of(path: Path) -> str:
    """The stem of the micrograph that a coordinate file is for, by its name."""
    known = EMPIAR10005.fullmatch(path.name)
    return known[1] if known else _PICK_SUFFIX.sub("", path.stem)


def is_inside(centres: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Boolean (n,): which centres (n, 2) (y, x) lie in a micrograph of `shape` (h, w), its outer pixels included."""
    return np.all((centres >= -0.5) & (centres <= np.asarray(shape) - 0.5), axis=1)


def require_inside(centres: np.ndarray, shape: tuple[int, int], path: Path | str) -> None:
    """Raise InputError when a centre (n, 2) of `path` lies outside a micrograph of `shape` (h, w)."""
    outside = ~is_inside(centres, shape)
    if outside.any():
        y, x = centres[np.argmax(outside)]
        raise InputError(
            f"{path}: {outside.sum()} of {len(centres)} centres, first x {x:.0f}, y {y:.0f}, lie outside the "
            f"{shape[0]} x {shape[1]} micrograph; do they belong to another micrograph, or to a binned or flipped one?"
        )


def upside_down(coordinates: Coordinates, height: int) -> Coordinates:
    """Centres counted from the other edge of a micrograph of `height` px: y becomes height - 1 - y.

    For labels that count rows from the last one of the .mrc, as CryoPPP's .csv does.
    """
    y, x = coordinates.centres.T
    return replace(coordinates, centres=np.stack([height - 1 - y, x], axis=1))


def _require_one(path: Path, names: list[str]) -> None:
    if len(set(names)) > 1:
        raise InputError(f"{path} holds several micrographs; use it as a coordinate set, not for one")
