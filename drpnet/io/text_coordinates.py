"""Read particle centres from plain text: EMAN .box, .csv, columns with and without a header."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.regular import require_no_pipe

_COLUMNS = {
    "x": ("x", "x-coordinate", "x_coord", "rlncoordinatex"),
    "y": ("y", "y-coordinate", "y_coord", "rlncoordinatey"),
    "score": ("score", "confidence", "figure_of_merit", "rlnautopickfigureofmerit"),
}
EMPIAR10005 = re.compile(r"coordinate_(.+)_bin3\.dat")
"""The coordinate files of EMPIAR-10005, both releases; the group is the micrograph's stem."""
_MICROGRAPH = ("image_name", "micrograph")


@dataclass(frozen=True)
class Coordinates:
    """Particle centres (n, 2) float64 in (y, x) px of the unbinned micrograph; scores (n,) or None."""

    centres: np.ndarray
    scores: np.ndarray | None = None
    source: Path | None = None
    """The file that they were read from."""


def read_box(path: Path) -> Coordinates:
    """Centres of an EMAN .box: rows x y width height [score] with the corner, centre = corner + size // 2."""
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


def read_table(path: Path) -> tuple[Coordinates, list[str] | None]:
    """Centres of a table, and the micrograph of every row where it has a column of them (as Topaz writes).

    .csv needs a header (x,y[,score] or CryoPPP's X-Coordinate,Y-Coordinate). Other text may have one;
    without, its columns are x y [score], and a first line without a number is skipped as relion_preprocess
    does.
    """
    lines = _lines(path)
    is_csv = path.suffix.lower() == ".csv"
    if is_csv and not lines:
        raise InputError(f"{path} is empty; a .csv without particles still has its header x,y")
    separator = "," if is_csv else "\t" if lines and "\t" in lines[0][1] else None
    header = _split(lines[0][1], separator) if lines else []
    if is_csv or any(name.lower() in _COLUMNS["x"] for name in header):
        return _by_header(path, header, [(number, _split(line, separator)) for number, line in lines[1:]])
    if header and all(_numbers(value) is None for value in header):
        lines = lines[1:]
    rows = _number_rows(path, lines, 2)
    return Coordinates(rows[:, [1, 0]], rows[:, 2] if rows.shape[1] == 3 else None), None


def is_star_text(path: Path) -> bool:
    """Whether a text file begins like a STAR file, with a block."""
    lines = _lines(path)
    return bool(lines) and lines[0][1].startswith("data_")


def read_empiar10005(path: Path, binned_height: int = 1237) -> Coordinates:
    """Centres of a coordinate_*_bin3.dat of EMPIAR-10005 in unbinned px; InputError when it is none.

    Columns 3 and 4 are x and y, 0-based px of the micrograph binned 3x, y counted from the last of
    `binned_height` rows (the released code flips it as binned_height - y in 1-based rows). Both releases, of
    88,915 and of 35,645 particles, have this form; what columns 1 and 2 mean is not documented.
    """
    rows = _number_rows(Path(path), _lines(Path(path)), 4)
    flipped = np.stack([binned_height - 1 - rows[:, 3], rows[:, 2]], axis=1)
    if ((flipped < -1) | (flipped[:, :1] > binned_height)).any():
        raise InputError(
            f"{path} has coordinates outside {binned_height} binned rows; give the files binned 3x"
        )
    return Coordinates((flipped + 0.5) * 3 - 0.5)


def _by_header(
    path: Path, header: list[str], rows: Sequence[tuple[int, list[str]]]
) -> tuple[Coordinates, list[str] | None]:
    names = [name.lower() for name in header]
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
        if found is None or len(found) != len(columns):
            raise InputError(f"{path} line {number}: {_short(row)} does not fit the header {_short(header)}")
        values[i] = found
    coordinates = Coordinates(values[:, :2], values[:, 2] if index["score"] is not None else None)
    micrograph = next((names.index(name) for name in _MICROGRAPH if name in names), None)
    return coordinates, None if micrograph is None else [row[micrograph] for _, row in rows]


def _split(line: str, separator: str | None) -> list[str]:
    return (
        line.split()
        if separator is None
        else [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    )


def _short(row: Sequence[str]) -> str:
    return repr(",".join(row)[:60])


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are neither blank nor comments, with their numbers."""
    require_no_pipe(path)
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
