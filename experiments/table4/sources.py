"""The micrographs to measure on: EMPIAR-10017 itself, else public pictures of it, else a simulation; always said which."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.config import DatasetConfig
from drpnet.datasets import open_dataset
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import pair_names
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import read_micrograph, read_shape
from drpnet.labelled import LabelledMicrograph
from drpnet.progress import counted
from drpnet.schema import compose_config, dataset_facts
from experiments.released_pipeline.compare import to_micrograph

CHOICES = ("auto", "archive", "pictures", "simulated")
WORDS = {
    "archive": "EMPIAR-10017, the archive's micrographs and labels",
    "pictures": "public 8-bit, denoised pictures of EMPIAR-10017 with CryoPPP's labels, NOT the archive's files and labels",
    "simulated": "a SIMULATED stand-in for EMPIAR-10017, no real micrograph",
}
"""What the numbers are measured on."""
BORDER_IN_ANGSTROMS = 120 * 1.77
"""The band at the edges of EMPIAR-10017 in which CryoPPP labelled nothing, 120 px."""
Centres = dict[str, np.ndarray]
"""Centres (n, 2) (y, x) in px by micrograph."""


@dataclass(frozen=True)
class Source:
    """Labelled micrographs of one kind, all with the same pixel size (Angstrom) and particle diameter (Angstrom)."""

    kind: str
    micrographs: tuple[LabelledMicrograph, ...]
    pixel_size: float
    particle_diameter: float

    @property
    def labels(self) -> Centres:
        """The labelled centres of every micrograph."""
        return {micrograph.stem: micrograph.centres for micrograph in self.micrographs}

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(h, w) of every micrograph."""
        return {micrograph.stem: read_shape(micrograph.path) for micrograph in self.micrographs}


@dataclass(frozen=True)
class Found:
    """Somebody's picks on some micrographs, or a second annotation of them."""

    name: str
    centres: Centres


def data_set(kind: str, data: Path | None = None, overrides: Sequence[str] = ()) -> DatasetConfig:
    """The configured data set of a kind, below the data root (None: DRPNET_DATA or data)."""
    choice = {
        "archive": ["dataset=empiar10017"],
        "pictures": ["dataset=real10017"],
        "simulated": [
            "dataset=empiar10017", "dataset.if_missing=simulate",
            "dataset.name=empiar10017_simulated", "dataset.root=${data_root}/empiar10017_simulated",
            "dataset.micrographs=micrographs/*.mrc", "dataset.coordinates=particles.star", "dataset.pixel_size=null",
            "dataset.simulated=true",
        ],
    }[kind]  # fmt: skip
    root = [] if data is None else [f"data_root='{data}'"]
    return dataset_facts(compose_config("train", [*choice, *root, *overrides]).dataset)


def open_source(
    choice: str = "auto", data: Path | None = None, names: Sequence[str] = (), overrides: Sequence[str] = ()
) -> Source:
    """The first of archive, pictures and simulation that is on disk (the last is made), or the chosen one.

    `names` keeps only these micrographs. Raises InputError for names that are not there, and for a chosen source that
    is missing or incomplete.
    """
    if choice not in CHOICES:
        raise InputError(f"there is no source {choice!r}; use one of {', '.join(CHOICES)}")
    kinds = [choice]
    if choice == "auto":
        here = [kind for kind in ("archive", "pictures") if Path(data_set(kind, data).root).is_dir()]
        kinds = [*here, "simulated"]
    dataset = data_set(kinds[0], data, overrides)
    with counted("Simulating micrographs") as progress:
        split = open_dataset(dataset, progress)
    every = split.train + split.validation + split.test
    known = {micrograph.stem for micrograph in every}
    missing = [name for name in names if name not in known]
    if missing:
        raise InputError(f"{missing[0]} is none of the {len(known)} micrographs of {dataset.name}, such as {min(known)}")
    chosen = tuple(sorted((m for m in every if not names or m.stem in names), key=lambda m: m.stem))
    pixel_size = dataset.pixel_size or read_micrograph(chosen[0].path)[1]
    if pixel_size is None:
        raise InputError(f"{chosen[0].path} has no pixel size in its header; set it there")
    return Source(kinds[0], chosen, pixel_size, split.particle_diameter)


def read_found(name: str, folder: Path, source: Source, binned: bool = False) -> Found | None:
    """Picks from a folder for the micrographs of `source` that it has; None for no such folder or micrograph.

    `binned`: in the authors' frame, binned three times and counted from 1.
    """
    if not folder.is_dir():
        return None
    picked = read_coordinate_set(folder)
    stems = [micrograph.stem for micrograph in source.micrographs]
    pairs = pair_names(list(picked), stems)
    centres = {stem: picked[key].centres for key, stem in pairs.items()}
    if binned:
        centres = {stem: to_micrograph(found) for stem, found in centres.items()}
    return Found(name, dict(sorted(centres.items()))) if centres else None
