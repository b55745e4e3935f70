"""What a pick run writes: candidates with both scores, per-micrograph picks, and the files that RELION and cryoSPARC read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.io.star import read_star, write_star


@dataclass(frozen=True)
class Candidates:
    """All candidates of a micrograph: centres (n, 2) (y, x) in its own pixels and (n,) scores, strongest first.

    `classifier_score` is NaN where no classifier was used.
    """

    centres: np.ndarray
    figure_of_merit: np.ndarray
    detection_score: np.ndarray
    classifier_score: np.ndarray


@dataclass(frozen=True)
class ParticleTable:
    """The picks of one micrograph for particles.star."""

    name: str
    centres: np.ndarray
    figure_of_merit: np.ndarray
    optics_group: int = 1
    ctf: dict[str, float] | None = None


def _xy(centres: np.ndarray) -> dict[str, np.ndarray]:
    centres = np.asarray(centres, float).reshape(-1, 2)
    return {"rlnCoordinateX": centres[:, 1], "rlnCoordinateY": centres[:, 0]}


def write_autopick_star(path: Path, centres: np.ndarray, figure_of_merit: np.ndarray) -> None:
    """Write RELION's `<stem>_autopick.star` of centres (n, 2) (y, x): unbinned pixels, 0-based, the dummies JoinStar needs."""
    count = len(centres)
    table = {
        **_xy(centres),
        "rlnClassNumber": np.zeros(count, int),
        "rlnAutopickFigureOfMerit": np.asarray(figure_of_merit, float),
        "rlnAnglePsi": np.zeros(count),
    }
    write_star(path, {"": pd.DataFrame(table)})


def write_candidates_star(path: Path, candidates: Candidates) -> None:
    """Write all candidates of a micrograph with both scores."""
    table = {
        **_xy(candidates.centres),
        "rlnAutopickFigureOfMerit": candidates.figure_of_merit,
        "drpnetDetectionScore": candidates.detection_score,
        # -1: no classifier; a STAR file has no NaN
        "drpnetClassifierScore": np.where(np.isnan(candidates.classifier_score), -1.0, candidates.classifier_score),
    }
    write_star(path, {"candidates": pd.DataFrame(table)})


def read_candidates_star(path: Path) -> Candidates:
    """Read what `write_candidates_star` wrote; InputError for anything else."""
    table = read_star(path).get("candidates")
    columns = ("rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit", "drpnetDetectionScore", "drpnetClassifierScore")
    if table is None or any(column not in table.columns for column in columns):
        raise InputError(f"{path} is not a candidates file of drpnet; pick into a new folder")
    x, y, merit, detection, classifier = (table[column].to_numpy(float) for column in columns)
    return Candidates(np.stack([y, x], axis=1), merit, detection, np.where(classifier < 0, np.nan, classifier))


def write_autopick_index(path: Path, micrographs: Sequence[tuple[str, Path]]) -> None:
    """Write RELION's index of (micrograph name, .star of its picks): autopick.star (>= 4.0)."""
    table = {
        "rlnMicrographName": [name for name, _ in micrographs],
        "rlnMicrographCoordinates": [str(star) for _, star in micrographs],
    }
    write_star(path, {"coordinate_files": pd.DataFrame(table)})


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text)


def write_particles_star(path: Path, tables: Sequence[ParticleTable], optics: list[dict[str, Any]] | None) -> None:
    """Write the picks of all micrographs as one RELION 3.1 particles .star, CTF columns included where they are known."""
    columns = sorted({column for table in tables for column in table.ctf or {}})
    frames = []
    for table in tables:
        data: dict[str, Any] = {"rlnMicrographName": [table.name] * len(table.centres), **_xy(table.centres)}
        data["rlnAutopickFigureOfMerit"] = np.asarray(table.figure_of_merit, float)
        data["rlnOpticsGroup"] = np.full(len(table.centres), table.optics_group)
        for column in columns:
            data[column] = np.full(len(table.centres), (table.ctf or {}).get(column, 0.0))
        frames.append(pd.DataFrame(data))
    groups = pd.DataFrame(optics) if optics else pd.DataFrame({"rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1]})
    write_star(path, {"optics": groups, "particles": pd.concat(frames, ignore_index=True)})
