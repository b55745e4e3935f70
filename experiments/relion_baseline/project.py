"""The project folder that RELION works in: linked micrographs, their .star files, the sampled labels."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.io.star import write_star
from drpnet.labelled import LabelledMicrograph
from experiments.real10017.crossvalidate import FOLDS
from experiments.real10017.data import ENTRIES, micrographs

ENTRY = "empiar10017"
PIXEL_SIZE = 1.77
DIAMETER = ENTRIES[ENTRY].diameter
"""Particle diameter in Angstrom, the one that DRPnet is given."""
PARTICLES = 1000
"""So many labelled particles make the templates (paper, section 3.5)."""
SEED = 0


@dataclass(frozen=True)
class Project:
    """RELION's project folder, the micrographs that templates and thresholds come from, and those that are scored."""

    folder: Path
    training: tuple[LabelledMicrograph, ...]
    scored: tuple[LabelledMicrograph, ...]


def split(every: Sequence[LabelledMicrograph]) -> tuple[tuple[LabelledMicrograph, ...], tuple[LabelledMicrograph, ...]]:
    """The micrographs that no fold of real10017 tests, and those that are tested; InputError when either is missing."""
    tested = {stem for fold in FOLDS for stem in fold}
    training = tuple(micrograph for micrograph in every if micrograph.stem not in tested)
    scored = tuple(micrograph for micrograph in every if micrograph.stem in tested)
    if not training or len(scored) < len(tested):
        found = f"{len(training)} for training and {len(scored)} of {len(tested)} to score"
        raise InputError(f"the data have {found}; lay out all ten micrographs of EMPIAR-10017 with their labels")
    return training, scored


def lay_out(real: Path, folder: Path, particles: int = PARTICLES) -> Project:
    """Make the project folder, or find it as it was made; InputError when it was made from something else."""
    if not (real / ENTRY / "micrographs").is_dir():
        raise InputError(f"{real / ENTRY / 'micrographs'} is missing; see the README of this experiment for the data")
    project = Project(folder, *split(micrographs(real, ENTRY)))
    sampled = sample([micrograph.centres for micrograph in project.training], particles)
    made_from = {
        "training": {m.stem: len(own) for m, own in zip(project.training, sampled, strict=True)},
        "scored": [micrograph.stem for micrograph in project.scored],
        "seed": SEED,
    }
    record = folder / "project.json"
    if record.is_file() and json.loads(record.read_text()) != made_from:
        raise InputError(f"{record} tells of other micrographs or particles; give another --out or remove {folder}")
    for micrograph in (*project.training, *project.scored):
        link = folder / name_of(micrograph)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(micrograph.path.resolve())
    for name, chosen in (("training", project.training), ("scored", project.scored)):
        write_micrographs_star(folder / f"{name}.star", [name_of(micrograph) for micrograph in chosen])
    for micrograph, centres in zip(project.training, sampled, strict=True):
        write_labels_star(folder / "labels" / Path(name_of(micrograph)).with_suffix("").as_posix(), centres)
    write_json(made_from, record)
    return project


def name_of(micrograph: LabelledMicrograph) -> str:
    """rlnMicrographName: the path from the project folder, as RELION wants it."""
    return f"micrographs/{micrograph.stem}.mrc"


def write_micrographs_star(path: Path, names: Sequence[str], pixel_size: float = PIXEL_SIZE) -> None:
    """Write a micrographs .star of RELION 3.1 with one optics group and no CTF.

    relion_refine asks for voltage, spherical aberration and amplitude contrast even where it corrects no CTF: they are
    the Polara's 300 kV and 2.0 mm, and 0.1, and change nothing.
    """
    optics = {
        "rlnOpticsGroupName": ["opticsGroup1"],
        "rlnOpticsGroup": [1],
        "rlnMicrographOriginalPixelSize": [pixel_size],
        "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.0],
        "rlnAmplitudeContrast": [0.1],
        "rlnMicrographPixelSize": [pixel_size],
    }
    table: dict[str, Any] = {"rlnMicrographName": list(names), "rlnOpticsGroup": [1] * len(names)}
    write_star(path, {"optics": optics, "micrographs": table})


def write_labels_star(root: str | Path, centres: np.ndarray) -> None:
    """Write centres (n, 2) (y, x) px to <root>_labels.star, where relion_preprocess --coord_suffix finds them."""
    x, y = np.asarray(centres, float).reshape(-1, 2).T[::-1]
    write_star(Path(f"{root}_labels.star"), {"": {"rlnCoordinateX": x, "rlnCoordinateY": y}})


def sample(centres: Sequence[np.ndarray], count: int, seed: int = SEED) -> list[np.ndarray]:
    """`count` of all labelled particles at random, as arrays (k, 2) by micrograph; InputError when there are fewer."""
    owner = np.repeat(np.arange(len(centres)), [len(own) for own in centres])
    if not 0 < count <= len(owner):
        raise InputError(f"there are {len(owner)} labelled particles on the training micrographs, not {count}")
    chosen = np.zeros(len(owner), bool)
    chosen[np.random.default_rng(seed).choice(len(owner), count, replace=False)] = True
    return [own[chosen[owner == number]] for number, own in enumerate(centres)]
