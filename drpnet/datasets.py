"""Labelled micrographs: from a data set's facts to the micrographs and centres that training and scoring use."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drpnet.config import DatasetConfig
from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set, read_empiar10005
from drpnet.io.micrographs import read_micrograph
from drpnet.simulation.dataset import simulate_dataset

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledMicrograph:
    """A micrograph on disk with its particle centres (n, 2) (y, x) in its own pixels."""

    path: Path
    centres: np.ndarray
    pixel_size: float | None

    @property
    def stem(self) -> str:
        """The file's name without suffixes."""
        return self.path.name.split(".")[0]

    def read(self) -> tuple[np.ndarray, float]:
        """Image (h, w) float32 and pixel size; InputError when nobody knows the pixel size."""
        image, pixel_size = read_micrograph(self.path)
        pixel_size = self.pixel_size or pixel_size
        if pixel_size is None:
            raise InputError(f"{self.path} has no pixel size in its header; set dataset.pixel_size (Angstrom per pixel)")
        if len(self.centres) and (self.centres.max(axis=0) > np.asarray(image.shape)).any():
            y, x = self.centres.max(axis=0)
            raise InputError(
                f"a coordinate of {self.path.name} lies at x {x:.0f}, y {y:.0f}, outside its {image.shape[0]} x "
                f"{image.shape[1]} px; do the coordinates belong to another micrograph or to a binned one?"
            )
        return image, pixel_size


@dataclass(frozen=True)
class LabelledSet:
    """The micrographs of a data set, split by micrograph."""

    name: str
    particle_diameter: float
    train: tuple[LabelledMicrograph, ...]
    validation: tuple[LabelledMicrograph, ...]
    test: tuple[LabelledMicrograph, ...]
    simulated: bool


def open_dataset(config: DatasetConfig, progress: Callable[[int, int], None] | None = None) -> LabelledSet:
    """Find a data set's micrographs and labels, simulate it when that is asked for, and split it by micrograph.

    Raises InputError when the root is missing and `if_missing` is `error`, and always when it exists but is incomplete.
    """
    root = Path(config.root)
    simulated = config.simulated
    if config.if_missing == "simulate" and (simulated or not root.exists()):
        if config.simulation is None:
            raise InputError(f"dataset {config.name} has no simulation parameters; set dataset.simulation or dataset.if_missing=error")
        if not simulated:
            stand_in = root.with_name(f"{root.name}_simulated")
            log.warning(
                "%s is not at %s. Training on a SIMULATED STAND-IN instead (%s). For the real data: %s. "
                "To stop here instead: dataset.if_missing=error",
                config.name, root, stand_in, config.download or "see the data set's page",
            )  # fmt: skip
            root, simulated = stand_in, True
            config = replace(
                config, name=f"{config.name}_simulated", micrographs="micrographs/*.mrc", coordinates="particles.star",
                coordinate_format="any", pixel_size=None, train=[], validation=[], test=[], limit=0, first=0,
            )  # fmt: skip
        simulate_dataset(config.simulation, root, progress)
    if not root.is_dir():
        raise InputError(
            f"dataset {config.name} is not at {root}; {config.download or 'put it there'}, set dataset.root, "
            "or train on a simulated stand-in with dataset.if_missing=simulate"
        )
    return _split(config, _labelled(config, root), simulated)


def _labelled(config: DatasetConfig, root: Path) -> list[LabelledMicrograph]:
    """Every micrograph below the root that has labels, sorted by name."""
    paths = sorted(root.glob(config.micrographs))
    if not paths:
        raise InputError(
            f"{root} exists but holds no micrographs {config.micrographs!r}: an incomplete data set; "
            f"{config.download or 'complete it'} or correct dataset.micrographs"
        )
    source = root / config.coordinates
    if not source.exists():
        raise InputError(
            f"{root} exists but its coordinates {config.coordinates!r} are missing: an incomplete data set; "
            f"{config.download or 'complete it'} or correct dataset.coordinates"
        )
    if config.coordinate_format == "empiar10005":
        found = {p.name: p for p in sorted(source.rglob("coordinate_*_bin3.dat"))}
        labels = {}
        for path in paths:
            match = found.get(f"coordinate_{path.stem}_bin3.dat")
            if match is not None:
                labels[path.stem] = read_empiar10005(match).centres
    else:
        labels = {stem: coordinates.centres for stem, coordinates in read_coordinate_set(source).items()}
    unlabelled = [path.name for path in paths if path.name.split(".")[0] not in labels]
    if unlabelled:
        log.warning("%s: %d of %d micrographs have no labels and are left out, first %s", config.name, len(unlabelled), len(paths), unlabelled[0])
    micrographs = [
        LabelledMicrograph(path, labels[path.name.split(".")[0]], config.pixel_size)
        for path in paths
        if path.name.split(".")[0] in labels
    ]
    if not micrographs:
        first = next(iter(labels), "none")
        raise InputError(
            f"no micrograph of {root} has labels: micrographs are named like {paths[0].name!r}, labels like {first!r}; "
            "correct dataset.coordinates"
        )
    return micrographs


def _split(config: DatasetConfig, micrographs: list[LabelledMicrograph], simulated: bool) -> LabelledSet:
    """Split by micrograph: named test, named or last-fifth validation, the rest (or the named ones) for training."""
    by_stem = {micrograph.stem: micrograph for micrograph in micrographs}
    for part in ("train", "validation", "test"):
        missing = [name for name in getattr(config, part) if name not in by_stem]
        if missing:
            raise InputError(f"dataset.{part} names {missing[0]!r}, which is not among the {len(by_stem)} labelled micrographs")
    test = [by_stem[name] for name in config.test]
    validation = [by_stem[name] for name in config.validation]
    held_out = set(config.test) | set(config.validation)
    names = config.train or [stem for stem in by_stem if stem not in held_out]
    if config.limit:
        names = names[config.first : config.first + config.limit]
    train = [by_stem[name] for name in names if name not in held_out]
    if not validation and len(train) > 1:
        count = max(1, len(train) // 5)
        train, validation = train[:-count], train[-count:]
    if not train:
        raise InputError(f"dataset {config.name} leaves no micrograph for training; check dataset.train, test and limit")
    return LabelledSet(config.name, config.particle_diameter, tuple(train), tuple(validation), tuple(test), simulated)
