"""Write picks for RELION and cryoSPARC, and keep every candidate with its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes
from drpnet.io.star import read_columns, write_star

_PIXEL_SIZE = "rlnMicrographPixelSize"
_SCORES = {
    "figure_of_merit": "rlnAutopickFigureOfMerit",
    "detection_score": "drpnetDetectionScore",
    "classifier_score": "drpnetClassifierScore",
}


@dataclass(frozen=True)
class Candidates:
    """All candidates of one micrograph: `centres` (n, 2) in (y, x) px, scores (n,), NaN where none."""

    centres: np.ndarray
    figure_of_merit: np.ndarray
    detection_score: np.ndarray
    classifier_score: np.ndarray


@dataclass(frozen=True)
class ParticleTable:
    """The picks of one micrograph in a particles .star; `ctf` holds its CTF columns by label, if known.

    `figure_of_merit` is None for picks without scores.
    """

    micrograph_name: str
    centres: np.ndarray
    figure_of_merit: np.ndarray | None
    optics_group: int = 1
    ctf: Mapping[str, Any] | None = None


def write_autopick_star(path: Path, centres: np.ndarray, figure_of_merit: np.ndarray | None) -> None:
    """Write the picks of one micrograph as relion_autopick does; `centres` (n, 2) in (y, x) px.

    Without a figure of merit (manual picks) the file has no such column.
    """
    merit = {} if figure_of_merit is None else {"rlnAutopickFigureOfMerit": np.asarray(figure_of_merit, dtype=float)}
    table = {
        **_xy(centres),
        "rlnClassNumber": np.zeros(len(centres), int),
        **merit,
        "rlnAnglePsi": np.zeros(len(centres)),
    }
    write_star(path, {"": table})


def write_candidates_star(path: Path, candidates: Candidates) -> None:
    """Write all candidates of one micrograph with their scores; RELION reads the file, too."""
    table = _xy(candidates.centres)
    for name, label in _SCORES.items():
        table[label] = np.asarray(getattr(candidates, name), dtype=float)
    write_star(path, {"": table})


def read_candidates_star(path: Path) -> Candidates:
    """Read what `write_candidates_star` wrote; InputError for anything else."""
    table = read_columns(path)
    missing = [c for c in ("rlnCoordinateX", "rlnCoordinateY", *_SCORES.values()) if c not in table]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}; give the candidates that `drpnet pick` wrote")
    try:
        centres = np.array([table["rlnCoordinateY"], table["rlnCoordinateX"]], float).T
        scores = {name: np.array(table[label], float) for name, label in _SCORES.items()}
    except ValueError as reason:
        raise InputError(
            f"{path} holds a value that is no number ({reason}); pick this micrograph again"
        ) from reason
    if not np.isfinite(centres).all():
        raise InputError(f"{path} holds coordinates that are not finite; pick this micrograph again")
    return Candidates(centres, **scores)


def write_autopick_index(
    path: Path, picks: Sequence[tuple[str, Path]], micrographs_star: str | Path | None = None
) -> None:
    """Write the list of (micrograph name, its picks) that RELION >= 4.0 imports, e.g. autopick.star.

    With `micrographs_star` also coords_suffix_autopick.star beside it, which RELION 3.0 and 3.1 take instead: one line
    that names the star, as their auto-picking job writes it. Without one an older such file goes: it names a star that
    these picks are not from.
    """
    table = {
        "rlnMicrographName": [name for name, _ in picks],
        "rlnMicrographCoordinates": [str(star) for _, star in picks],
    }
    write_star(path, {"coordinate_files": table})
    suffix = Path(path).with_name("coords_suffix_autopick.star")
    if micrographs_star is None:
        suffix.unlink(missing_ok=True)
    else:
        write_bytes(suffix, f"{micrographs_star}\n".encode())


def write_particles_star(
    path: Path,
    tables: Sequence[ParticleTable],
    optics: Mapping[str, Sequence[Any]] | None = None,
    pixel_size: float | None = None,
) -> None:
    """Write the picks of all micrographs as one RELION 3.1+ particles .star (optics and particles).

    `optics` holds its columns by label; without it there is one group with `pixel_size` (Angstrom), if known.
    CTF columns are written when every micrograph has them, and so is the figure of merit.
    """
    if optics is None:
        groups = sorted({table.optics_group for table in tables} or {1})
        optics = {"rlnOpticsGroupName": [f"opticsGroup{group}" for group in groups], "rlnOpticsGroup": groups}
        if pixel_size is not None:
            optics = {**optics, _PIXEL_SIZE: [pixel_size] * len(groups)}
    groups_of_rows = _repeated(tables, [table.optics_group for table in tables])
    write_star(path, {"optics": optics, "particles": {**_particles(tables), "rlnOpticsGroup": groups_of_rows, **_ctf(tables)}})


def write_particles_star_30(
    path: Path, tables: Sequence[ParticleTable], optics: Mapping[str, Sequence[Any]] | None = None,
    pixel_size: float | None = None,
) -> None:  # fmt: skip
    """Write the same as one table without optics groups, as RELION 3.0 and older have it.

    Their values stand in every row; the pixel size, in Angstrom, as rlnDetectorPixelSize (micrometres) at a magnification
    of 10,000, for these columns are all that says it there.
    """
    table = {**_particles(tables), **_ctf(tables)}
    given = optics or {}
    rows = [list(given["rlnOpticsGroup"]).index(t.optics_group) for t in tables] if "rlnOpticsGroup" in given else []
    for label in ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"):
        if label in given:
            table[label] = _repeated(tables, [given[label][row] for row in rows])
    sizes = [given[_PIXEL_SIZE][row] for row in rows] if _PIXEL_SIZE in given else [pixel_size] * len(tables)
    if tables and all(size is not None for size in sizes):
        table["rlnMagnification"] = _repeated(tables, [10000.0] * len(tables))
        table["rlnDetectorPixelSize"] = _repeated(tables, sizes)
    write_star(path, {"": table})


def _particles(tables: Sequence[ParticleTable]) -> dict[str, Any]:
    """Names, coordinates and, where all have them, figures of merit of the particles of all micrographs."""
    empty = np.empty((0, 2))
    scores = [table.figure_of_merit for table in tables if table.figure_of_merit is not None]
    whole = len(scores) == len(tables)
    merit = {"rlnAutopickFigureOfMerit": np.concatenate([empty[:, 0], *scores])} if whole else {}
    return {
        "rlnMicrographName": _repeated(tables, [table.micrograph_name for table in tables]),
        **_xy(np.concatenate([empty, *(np.asarray(table.centres).reshape(-1, 2) for table in tables)])),
        **merit,
    }


def _ctf(tables: Sequence[ParticleTable]) -> dict[str, Any]:
    """The CTF columns that every micrograph has."""
    known = [table.ctf or {} for table in tables]
    labels = [label for label in known[0] if all(label in ctf for ctf in known)] if known else []
    return {label: _repeated(tables, [ctf[label] for ctf in known]) for label in labels}


def _repeated(tables: Sequence[ParticleTable], values: Sequence[Any]) -> np.ndarray:
    """A column: the value of a micrograph for each of its particles."""
    kind = object if any(isinstance(value, str) for value in values) or not values else None
    return np.repeat(np.array(values, dtype=kind), [len(table.centres) for table in tables])


def _xy(centres: np.ndarray) -> dict[str, np.ndarray]:
    centres = np.asarray(centres, dtype=float).reshape(-1, 2)
    return {"rlnCoordinateX": centres[:, 1], "rlnCoordinateY": centres[:, 0]}
