"""Read the particle centres of one micrograph from the formats that pickers and data sets write."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from drpnet.errors import InputError
from drpnet.io.star import numbers, read_star

BOX, CSV, TEXT = (".box",), (".csv",), (".txt", ".coord", ".coords", ".tsv")
_COLUMNS = {
    "x": ("x", "x-coordinate", "x_coord", "rlncoordinatex"),
    "y": ("y", "y-coordinate", "y_coord", "rlncoordinatey"),
    "score": ("score", "confidence", "figure_of_merit", "rlnautopickfigureofmerit"),
}
_UNKNOWN_SCORE = -999  # relion_manualpick


@dataclass(frozen=True)
class Coordinates:
    """Particle centres (n, 2) float64 in (y, x) px of the unbinned micrograph; scores (n,) or None."""

    centres: np.ndarray
    scores: np.ndarray | None = None


def read_coordinates(path: Path, *, micrograph_shape: tuple[int, int] | None = None) -> Coordinates:
    """Centres of one micrograph from .star, .box, .csv or plain columns (.txt, .coord); an empty list is
    valid.

    .star: RELION 3.0 and later, refined offsets subtracted. .box: EMAN corners, centre = corner + size // 2,
    fifth column the score. .csv: header x,y[,score] or CryoPPP's X-Coordinate,Y-Coordinate, taken as they are
    (CryoPPP's frame may be upside down to the .mrc). Plain columns: x y [score], 0-based centres. Raises
    InputError for what cannot be read, several micrographs in one file, or a centre outside
    `micrograph_shape` (h, w).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".star":
        table = particle_table(path, read_star(path))
        if "rlnMicrographName" in table and table["rlnMicrographName"].nunique() > 1:
            raise InputError(
                f"{path} holds several micrographs; use it as a coordinate set, not for one micrograph"
            )
        found = star_coordinates(path, table)
    elif suffix in BOX:
        found = _read_box(path)
    elif suffix in CSV:
        found = _read_csv(path)
    elif suffix in TEXT:
        found = _read_columns(path)
    else:
        raise InputError(f"{path} is no coordinate file; use .star, .box, .csv, .txt or .coord")
    if micrograph_shape is not None:
        require_inside(found.centres, micrograph_shape, path)
    return found


def require_inside(centres: np.ndarray, shape: tuple[int, int], path: Path) -> None:
    """Raise InputError when a centre (n, 2) lies outside a micrograph of `shape` (h, w); `path` says whose
    they are.
    """
    outside = ((centres < -0.5) | (centres > np.asarray(shape) - 0.5)).any(axis=1)
    if outside.any():
        y, x = centres[np.argmax(outside)]
        raise InputError(
            f"{path}: {outside.sum()} of {len(centres)} centres, first x {x:.0f}, y {y:.0f}, lie outside the "
            f"{shape[0]} x {shape[1]} micrograph; do they belong to another micrograph or to a binned one?"
        )


def read_empiar10005(path: Path, binned_height: int = 1237) -> Coordinates:
    """Centres of a coordinate_*_bin3.dat of EMPIAR-10005 in unbinned px; InputError when it is none.

    Columns 3 and 4 are x and y, 0-based px of the micrograph binned 3x, y counted from the last of
    `binned_height` rows (the released code flips it as binned_height - y in 1-based rows).
    """
    rows = _number_rows(Path(path), _lines(Path(path)), 4)
    flipped = np.stack([binned_height - 1 - rows[:, 3], rows[:, 2]], axis=1)
    if ((flipped < -1) | (flipped[:, :1] > binned_height)).any():
        raise InputError(
            f"{path} has coordinates outside {binned_height} binned rows; give the files binned 3x"
        )
    return Coordinates((flipped + 0.5) * 3 - 0.5)


def particle_table(path: Path, blocks: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The table of a star with coordinates, offsets already subtracted from them; InputError when there is
    none.
    """
    found = [table for table in blocks.values() if {"rlnCoordinateX", "rlnCoordinateY"} <= set(table.columns)]
    if not found:
        raise InputError(
            f"{path} has no columns rlnCoordinateX and rlnCoordinateY; give a .star of picks or particles"
        )
    table = found[0].copy()
    scale = _offset_scale(path, table, blocks.get("optics"))
    for axis in "XY":
        centre = numbers(path, table, f"rlnCoordinate{axis}")
        if scale is not None:
            unit = "Angst" if f"rlnOrigin{axis}Angst" in table else ""
            centre = centre - numbers(path, table, f"rlnOrigin{axis}{unit}") / scale
        table[f"rlnCoordinate{axis}"] = centre
    return table


def star_coordinates(path: Path, table: pd.DataFrame) -> Coordinates:
    """Centres and scores of a table that `particle_table` gave."""
    centres = table[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(dtype=float)
    if "rlnAutopickFigureOfMerit" not in table:
        return Coordinates(centres)
    scores = pd.to_numeric(table["rlnAutopickFigureOfMerit"], errors="coerce").to_numpy(dtype=float)
    known = len(scores) == 0 or (np.isfinite(scores).all() and not (scores == _UNKNOWN_SCORE).all())
    return Coordinates(centres, scores if known else None)


def _offset_scale(path: Path, table: pd.DataFrame, optics: pd.DataFrame | None) -> np.ndarray | float | None:
    """What the refined offsets are divided by to be px of the micrograph; None without offsets."""
    if {"rlnOriginX", "rlnOriginY"} <= set(table.columns):
        return 1.0  # RELION 3.0: px already
    if not {"rlnOriginXAngst", "rlnOriginYAngst"} <= set(table.columns):
        return None
    for label in ("rlnMicrographPixelSize", "rlnImagePixelSize"):
        if optics is not None and label in optics and "rlnOpticsGroup" in optics:
            sizes = dict(
                zip(numbers(path, optics, "rlnOpticsGroup"), numbers(path, optics, label), strict=True)
            )
            groups = (
                numbers(path, table, "rlnOpticsGroup")
                if "rlnOpticsGroup" in table
                else [min(sizes)] * len(table)
            )
            scale = np.array([sizes.get(group, 0.0) for group in groups])
            if (scale > 0).all():
                return scale
    raise InputError(
        f"{path} has offsets in Angstrom but no pixel size for them; add rlnMicrographPixelSize to its optics"
    )


def _read_box(path: Path) -> Coordinates:
    rows = _number_rows(path, _lines(path), 4)
    if (rows[:, 2:4] < 1).any():
        raise InputError(
            f"{path} has a box without a size; a .box row is: x y width height [score], x y the corner"
        )
    x, y, width, height = rows[:, :4].T
    scores = rows[:, 4] if rows.shape[1] > 4 else None
    if scores is not None and len(scores) and (scores < -0.5).all() and len(np.unique(scores)) == 1:
        scores = None  # EMAN 1 writes -3 there for every particle
    return Coordinates(np.stack([y + height // 2, x + width // 2], axis=1), scores)


def _read_columns(path: Path) -> Coordinates:
    lines = _lines(path)
    if lines and _numbers(lines[0][1]) is None:
        names = lines[0][1].split()
        if any(name.lower() in _COLUMNS["x"] for name in names):
            return _by_header(path, names, [(number, line.split()) for number, line in lines[1:]])
        lines = lines[1:]  # as relion_preprocess does: a first line that is no number is a header
    rows = _number_rows(path, lines, 2)
    return Coordinates(rows[:, [1, 0]], rows[:, 2] if rows.shape[1] == 3 else None)


def _read_csv(path: Path) -> Coordinates:
    rows = [(number, next(csv.reader([line]))) for number, line in _lines(path)]
    if not rows:
        raise InputError(f"{path} is empty; a .csv without particles still has its header x,y")
    return _by_header(path, rows[0][1], rows[1:])


def _by_header(path: Path, header: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]) -> Coordinates:
    names = [name.strip().lower() for name in header]
    index = {
        key: next((names.index(n) for n in known if n in names), None) for key, known in _COLUMNS.items()
    }
    if index["x"] is None or index["y"] is None:
        raise InputError(
            f"{path} has the columns {_short(header)}; name them x,y[,score] or X-Coordinate,Y-Coordinate"
        )
    columns = [i for i in (index["y"], index["x"], index["score"]) if i is not None]
    values = np.empty((len(rows), len(columns)))
    for i, (number, row) in enumerate(rows):
        found = _numbers(" ".join(row[c] for c in columns)) if len(row) == len(names) else None
        if found is None:
            raise InputError(f"{path} line {number}: {_short(row)} does not fit the header {_short(header)}")
        values[i] = found
    return Coordinates(values[:, :2], values[:, 2] if index["score"] is not None else None)


def _short(row: Sequence[str]) -> str:
    return repr(",".join(row)[:60])


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are neither blank nor comments, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as reason:
        what = reason.strerror if isinstance(reason, OSError) else "it is not text"
        raise InputError(f"{path} cannot be read ({what}); give a text file of coordinates") from reason
    numbered = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _numbers(line: str) -> list[float] | None:
    try:
        values = [float(value) for value in line.replace(",", " ").split()]
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _number_rows(path: Path, lines: Sequence[tuple[int, str]], least: int) -> np.ndarray:
    """Rows (n, columns) float64 of equally many, at least `least`, finite numbers."""
    rows: list[list[float]] = []
    for number, line in lines:
        values = _numbers(line)
        if values is None or len(values) < least or (rows and len(values) != len(rows[0])):
            wanted = f"{len(rows[0])}, as in the first row" if rows else f"at least {least}"
            raise InputError(
                f"{path} line {number}: {line[:60]!r} is no row of numbers ({wanted}); is the file cut short?"
            )
        rows.append(values)
    return np.array(rows, dtype=float) if rows else np.empty((0, least))
