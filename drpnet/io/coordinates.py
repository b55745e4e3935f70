"""Read the particle centres of many micrographs: a folder of coordinate files, or one file that lists several."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from drpnet.errors import InputError
from drpnet.io.coordinate_files import (
    INDEX,
    TABLES,
    MicrographCoordinates,
    is_inside,
    micrograph_of,
    read_coordinates,
    read_rows,
    require_inside,
    upside_down,
)
from drpnet.io.paths import locate, tree_and_stem, walk
from drpnet.io.star import read_star
from drpnet.io.star_coordinates import particle_table, star_coordinates
from drpnet.io.text_coordinates import EMPIAR10005, Coordinates, read_empiar10005

__all__ = [
    "Coordinates",
    "MicrographCoordinates",
    "is_inside",
    "read_coordinate_set",
    "read_coordinates",
    "read_empiar10005",
    "read_micrograph_coordinates",
    "require_inside",
    "upside_down",
]

# The formats of a folder: the first kind that is there is the one that counts.
_KINDS: tuple[Callable[[Path], bool], ...] = (
    lambda path: path.name.endswith("_autopick.star"),
    lambda path: path.suffix.lower() == ".star",
    lambda path: path.suffix.lower() == ".box",
    lambda path: path.suffix.lower() == ".cbox",
    lambda path: path.suffix.lower() in (".coord", ".coords"),
    lambda path: EMPIAR10005.fullmatch(path.name) is not None,
    lambda path: path.suffix.lower() == ".csv",
    lambda path: path.suffix.lower() in (".txt", ".tsv"),
)


def read_coordinate_set(source: Path, failures: list[str] | None = None) -> dict[str, Coordinates]:
    """Centres by micrograph stem, or "<folder>/<stem>" for a stem that occurs in several folders.

    `source` is a folder with one file a micrograph (searched with its subfolders; a picker's suffix such as
    _autopick is left out), one particles .star, a RELION autopick.star index, a table of Topaz, a .cs of
    cryoSPARC, or one coordinate file. In a folder the first of these kinds counts: *_autopick.star, other
    .star, .box, .cbox, .coord, coordinate_*_bin3.dat, .csv, .txt; a particles .star only where no star is for
    one micrograph. Raises InputError when there are none, one cannot be read or two are for the same
    micrograph; with a list of `failures`, files of a folder that cannot be read are named there and left out.
    """
    places = read_micrograph_coordinates(source, failures)
    stems = Counter(place.stem for place in places)
    return {
        place.stem if stems[place.stem] == 1 else (place.tree / place.stem).as_posix(): place.coordinates
        for place in places
    }


def read_micrograph_coordinates(source: Path, failures: list[str] | None = None) -> list[MicrographCoordinates]:
    """The same with the folders that place each micrograph, and its name where the file says it."""
    source = Path(source)
    if source.is_dir():
        places = _from_folder(source, failures)
    elif source.suffix.lower() == ".star":
        places = _from_star(source, read_star(source))
    elif not source.exists():
        raise InputError(f"{source} does not exist; give a folder of coordinate files or one file")
    else:
        places = _from_table(source)
    count = Counter((place.tree, place.stem) for place in places)
    for (tree, stem), times in count.items():
        if times > 1:
            raise InputError(
                f"{source} has {times} coordinate files for micrograph {tree / stem}; keep one of them"
            )
    return places


def _from_folder(folder: Path, failures: list[str] | None) -> list[MicrographCoordinates]:
    files = [path for path in walk(folder) if not INDEX.fullmatch(path.name)]
    for kind in _KINDS:
        chosen = [path for path in files if kind(path)]
        if chosen and chosen[0].suffix.lower() == ".star":
            places = _from_stars(folder, chosen, failures)
        else:
            places = []
            for path in chosen:
                with _reported(failures):
                    places.append(_of_file(path, folder, read_coordinates(path)))
        if places:
            return places
    raise InputError(
        f"{folder} holds no coordinates (.star, .box, .cbox, .coord, .csv, .txt); give the folder or file that does"
    )


@contextmanager
def _reported(failures: list[str] | None) -> Iterator[None]:
    """Where failures are collected, an InputError becomes one of them."""
    try:
        yield
    except InputError as error:
        if failures is None:
            raise
        failures.append(str(error))


def _from_stars(folder: Path, stars: list[Path], failures: list[str] | None) -> list[MicrographCoordinates]:
    single: list[MicrographCoordinates] = []
    sets: list[tuple[Path, pd.DataFrame]] = []
    for star in stars:
        with _reported(failures):
            blocks = read_star(star)
            if _is_other(blocks):
                continue
            table = particle_table(star, blocks)
            if not _is_single(star, table):
                sets.append((star, table))
            else:
                single.append(_of_file(star, folder, star_coordinates(star, table), _only_name(table)))
    if single or not sets:
        return single
    return [place for star, table in sets for place in _split(star, table)]


def _is_single(star: Path, table: pd.DataFrame) -> bool:
    """Whether a star is for one micrograph; RELION's *_extract.star, too, names it in every row."""
    if "rlnMicrographName" not in table:
        return True
    stems = {tree_and_stem(str(name))[1] for name in table["rlnMicrographName"].unique()}
    return stems == {micrograph_of(star)}


def _is_other(blocks: dict[str, pd.DataFrame]) -> bool:
    """Whether a star by its nature lists no coordinates but micrographs or RELION jobs."""
    columns = {column for table in blocks.values() for column in table.columns}
    lists = {
        "rlnMicrographName",
        "rlnMicrographMovieName",
        "rlnJobTypeLabel",
        "rlnJobType",
        "rlnPipeLineJobCounter",
    }
    return "rlnCoordinateX" not in columns and bool(columns & lists or "output_nodes" in blocks)


def _from_star(star: Path, blocks: dict[str, pd.DataFrame]) -> list[MicrographCoordinates]:
    index = blocks.get("coordinate_files")
    if index is not None and {"rlnMicrographName", "rlnMicrographCoordinates"} <= set(index.columns):
        return [
            _of_name(name, read_coordinates(_listed(star, picks)))
            for name, picks in zip(index["rlnMicrographName"], index["rlnMicrographCoordinates"], strict=True)
        ]
    table = particle_table(star, blocks)
    if "rlnMicrographName" in table:
        return _split(star, table)
    return [_of_file(star, star.parent, star_coordinates(star, table))]


def _from_table(path: Path) -> list[MicrographCoordinates]:
    found, names = read_rows(path) if path.suffix.lower() in TABLES else (None, None)
    if found is None or names is None:
        return [_of_file(path, path.parent, read_coordinates(path))]
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return [
        _of_name(name, Coordinates(found.centres[own], None if found.scores is None else found.scores[own], path))
        for name, own in rows.items()
    ]


def _listed(index: Path, name: str) -> Path:
    path = locate(name, index)
    if path is None:
        raise InputError(
            f"{index} lists {name}, which does not exist; run from the folder that its paths start from"
        )
    return path


def _split(star: Path, table: pd.DataFrame) -> list[MicrographCoordinates]:
    return [
        _of_name(str(name), star_coordinates(star, rows))
        for name, rows in table.groupby("rlnMicrographName", sort=False)
    ]


def _only_name(table: pd.DataFrame) -> str | None:
    return str(table["rlnMicrographName"].iloc[0]) if "rlnMicrographName" in table and len(table) else None


def _of_name(name: str, coordinates: Coordinates) -> MicrographCoordinates:
    return MicrographCoordinates(*tree_and_stem(name), coordinates, name)


def _of_file(path: Path, folder: Path, coordinates: Coordinates, name: str | None = None) -> MicrographCoordinates:
    return MicrographCoordinates(path.parent.relative_to(folder), micrograph_of(path), coordinates, name)
