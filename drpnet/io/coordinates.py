"""Coordinates of any picker: .star, .box, .csv and plain text become centres (y, x) in the micrograph's own pixels."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from drpnet.errors import InputError
from drpnet.io.micrographs import SUFFIXES, stem_of
from drpnet.io.star import read_star

FORMATS = (".star", ".box", ".csv", ".txt", ".coord")
_SUFFIX = re.compile(r"_(autopick|manualpick|extract|topaz|csparc_picks|picks|particles)$")
_UID = re.compile(r"^\d{15,}_")


@dataclass(frozen=True)
class Coordinates:
    """Centres (n, 2) (y, x), 0-based, and the figure of merit (n,) where the file has one."""

    centres: np.ndarray
    scores: np.ndarray | None = None


def read_coordinates(path: Path) -> Coordinates:
    """Coordinates of one micrograph from a .star (RELION), .box (EMAN: corner x, y, width, height), .csv or two-column text.

    Raises InputError for what cannot be read and for coordinates that are not finite.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".star":
        table = _star_particles(path)
        return _from_table(path, table)
    if suffix == ".box":
        rows = _numbers(path)
        if rows.shape[1] < 4:
            raise InputError(f"{path} has {rows.shape[1]} columns; an EMAN .box has corner x, y, width, height")
        centres = np.stack([rows[:, 1] + rows[:, 3] / 2, rows[:, 0] + rows[:, 2] / 2], axis=1)
        return _checked(path, centres, rows[:, 4] if rows.shape[1] > 4 else None)
    if suffix == ".csv":
        return _from_csv(path)
    if suffix in (".txt", ".coord"):
        rows = _numbers(path)
        return _checked(path, rows[:, 1::-1], rows[:, 2] if rows.shape[1] == 3 else None)
    raise InputError(f"{path} has an unknown suffix; coordinates are read from {', '.join(FORMATS)}")


def read_coordinate_set(source: Path) -> dict[str, Coordinates]:
    """Coordinates by micrograph: a folder tree of per-micrograph files, or one .star with rlnMicrographName.

    Keys are stems without suffixes such as _autopick; where the same stem occurs in two folders, `<folder>/<stem>`. In a
    pick folder of ours the *_autopick.star files are read and its candidates and particles.star are not.
    """
    source = Path(source)
    if source.is_dir():
        return _from_folder(source)
    if not source.is_file():
        raise InputError(f"{source} does not exist; give a folder of coordinate files or one particles .star")
    if source.suffix.lower() == ".star":
        table = _star_particles(source)
        if "rlnMicrographName" in table.columns:
            names = table["rlnMicrographName"].astype(str).to_numpy()
            keys = _unique_keys(list(dict.fromkeys(names)))
            return {keys[name]: _from_table(source, table[names == name]) for name in keys}
    return {_stem(source): read_coordinates(source)}


def _from_folder(folder: Path) -> dict[str, Coordinates]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in FORMATS and not p.name.startswith("."))
    files = [p for p in files if "candidates" not in p.relative_to(folder).parts[:-1]]
    own = [p for p in files if p.name.endswith("_autopick.star") and not p.name.startswith("coords_suffix")]
    files = own or [p for p in files if p.name not in ("particles.star", "autopick.star", "micrographs.star")]
    if not files:
        single = folder / "particles.star"
        if single.is_file():
            return read_coordinate_set(single)
        raise InputError(f"{folder} holds no coordinate files ({', '.join(FORMATS)}); give another folder or a particles .star")
    keys = _unique_keys([str(p.relative_to(folder).with_name(_stem(p))) for p in files])
    return {key: read_coordinates(path) for key, path in zip(keys.values(), files, strict=True)}


def _unique_keys(names: list[str]) -> dict[str, str]:
    """For every name its stem, or folder/stem where two folders hold the same stem."""
    stems = [_stem(Path(name)) for name in names]
    return {
        name: stem if stems.count(stem) == 1 else str(Path(name).with_name(stem))
        for name, stem in zip(names, stems, strict=True)
    }


def _stem(path: Path) -> str:
    name = path.name
    if name.lower().endswith(SUFFIXES):
        name = stem_of(name)
    elif path.suffix.lower() in FORMATS:
        name = path.name[: -len(path.suffix)]
    # cryoSPARC puts a long number before the micrograph's name when it exports
    return _UID.sub("", _SUFFIX.sub("", name))


def _star_particles(path: Path) -> pd.DataFrame:
    """The table with coordinates; an empty loop with the right columns is a micrograph without particles."""
    blocks = read_star(path)
    for table in blocks.values():
        if {"rlnCoordinateX", "rlnCoordinateY"} <= set(table.columns):
            return table
    raise InputError(f"{path} has no columns rlnCoordinateX and rlnCoordinateY; give a .star of picks or particles")


def _from_table(path: Path, table: pd.DataFrame) -> Coordinates:
    try:
        centres = table[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(float)
        scores = (
            table["rlnAutopickFigureOfMerit"].to_numpy(float) if "rlnAutopickFigureOfMerit" in table.columns else None
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} has a coordinate that is no number: {error}") from None
    return _checked(path, centres.reshape(-1, 2), scores)


def _from_csv(path: Path) -> Coordinates:
    """`x,y[,score]` or CryoPPP's `X-Coordinate,Y-Coordinate,Diameter`, read as it stands (CryoPPP's y points upwards)."""
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is not a .csv with a header: {error}") from None
    columns = {str(name).strip().lower(): name for name in table.columns}
    x = columns.get("x") or columns.get("x-coordinate") or columns.get("x_coord")
    y = columns.get("y") or columns.get("y-coordinate") or columns.get("y_coord")
    if x is None or y is None:
        raise InputError(f"{path} has columns {', '.join(map(str, table.columns))}; x and y are needed")
    score = columns.get("score")
    try:
        centres = table[[y, x]].to_numpy(float)
        scores = None if score is None else table[score].to_numpy(float)
    except ValueError as error:
        raise InputError(f"{path} has a coordinate that is no number: {error}") from None
    return _checked(path, centres, scores)


def read_empiar10005(path: Path, binned_height: int = 1237) -> Coordinates:
    """EMPIAR-10005's coordinate_*_bin3.dat: columns 3 and 4 are x and y in 3x binned pixels, y counted from the last row."""
    rows = _numbers(path)
    if rows.shape[1] < 4:
        raise InputError(f"{path} has {rows.shape[1]} columns; EMPIAR-10005's coordinate files have four")
    x, y = rows[:, 2], binned_height - rows[:, 3]
    return _checked(path, (np.stack([y, x], axis=1) + 0.5) * 3 - 0.5, None)


def _numbers(path: Path) -> np.ndarray:
    """Rows of numbers, a first line of words skipped; (0, 5) for an empty file."""
    try:
        lines = [line.replace(",", " ").split() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}") from None
    if lines and not _is_number(lines[0][0]):
        lines = lines[1:]
    if not lines:
        return np.empty((0, 5))
    width = len(lines[0])
    for number, line in enumerate(lines, 1):
        if len(line) != width or width < 2 or not all(_is_number(word) for word in line):
            raise InputError(f"{path}: line {number} of numbers is {' '.join(line)[:60]!r}; {max(width, 2)} numbers were expected")
    return np.array(lines, float)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _checked(path: Path, centres: np.ndarray, scores: np.ndarray | None) -> Coordinates:
    if not np.isfinite(centres).all():
        row = int((~np.isfinite(centres)).any(axis=1).argmax())
        raise InputError(f"{path}: particle {row + 1} has a coordinate that is not finite; correct or remove it")
    return Coordinates(np.ascontiguousarray(centres, dtype=float), scores)
