"""From a data set's facts to labelled micrographs, split for training, validation and test."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from drpnet.config import DatasetConfig
from drpnet.errors import InputError
from drpnet.labelled import LabelledMicrograph, LabelledSet
from drpnet.of_particles import micrographs_of_particles
from drpnet.pairing import paired_micrographs
from drpnet.simulation.dataset import simulate_dataset

log = logging.getLogger(__name__)


def open_dataset(config: DatasetConfig, progress: Callable[[int, int], None] | None = None) -> LabelledSet:
    """Find a data set's micrographs and labels, simulate it when that is asked for, and split it.

    Raises InputError when the root is missing and `if_missing` is `error`, and always when it exists but is
    incomplete.
    """
    config = on_disk(config, progress)
    labelled = micrographs_of_particles if config.star else paired_micrographs
    return _split(config, labelled(config), config.simulated)


def on_disk(config: DatasetConfig, progress: Callable[[int, int], None] | None = None) -> DatasetConfig:
    """The facts of what lies on disk: of the data set, or of its simulated stand-in, made where that is asked for.

    Raises InputError when the root is missing and `if_missing` is `error`.
    """
    root = Path(config.root)
    if config.if_missing == "simulate" and (config.simulated or not root.exists()):
        if config.simulation is None:
            raise InputError(
                f"dataset {config.name} has no simulation parameters; "
                "set dataset.simulation or dataset.if_missing=error"
            )
        if not config.simulated:
            stand_in = root.with_name(f"{root.name}_simulated")
            log.warning(
                "%s is not at %s. Using a SIMULATED STAND-IN instead (%s). For the real data: %s. "
                "To stop here instead: dataset.if_missing=error",
                config.name, root, stand_in, config.download or "see the data set's page",
            )  # fmt: skip
            root = stand_in
            config = replace(
                config, name=f"{config.name}_simulated", root=str(root), simulated=True,
                micrographs="micrographs/*.mrc", coordinates="particles.star", coordinates_upside_down=False,
                pixel_size=None, train=[], validation=[], test=[], limit=0, first=0, unpaired="error",
            )  # fmt: skip
        simulate_dataset(config.simulation, root, progress)
    if not root.is_dir():
        raise InputError(
            f"dataset {config.name} is not at {root}; {config.download or 'put it there'}, set dataset.root, "
            "or take a simulated stand-in with dataset.if_missing=simulate"
        )
    return config


def _split(config: DatasetConfig, micrographs: list[LabelledMicrograph], simulated: bool) -> LabelledSet:
    """Split by micrograph: named test, named or last-fifth validation, the rest (or named) for training."""
    by_stem = {micrograph.stem: micrograph for micrograph in micrographs}
    for part in ("train", "validation", "test"):
        missing = [name for name in getattr(config, part) if name not in by_stem]
        if missing:
            raise InputError(
                f"dataset.{part} names {missing[0]!r}, which is not among the {len(by_stem)} labelled "
                f"micrographs (such as {next(iter(by_stem))!r}); correct it"
            )
    test = [by_stem[name] for name in config.test]
    validation = [by_stem[name] for name in config.validation]
    held_out = set(config.test) | set(config.validation)
    names = config.train or [stem for stem in by_stem if stem not in held_out]
    if config.limit:
        chosen = names[config.first : config.first + config.limit]
        if len(chosen) < config.limit:
            raise InputError(
                f"dataset {config.name} has {len(names)} labelled micrographs, too few for dataset.limit={config.limit} "
                f"from dataset.first={config.first} on: an incomplete data set; {config.download or 'complete it'}, "
                "or lower dataset.limit"
            )
        names = chosen
    train = [by_stem[name] for name in names if name not in held_out]
    if not validation and len(train) > 1:
        count = max(1, len(train) // 5)
        train, validation = train[:-count], train[-count:]
    if not train:
        raise InputError(
            f"dataset {config.name} leaves no micrograph for training; check dataset.train, test and limit"
        )
    parts = (tuple(train), tuple(validation), tuple(test))
    return LabelledSet(config.name, config.particle_diameter, *parts, simulated=simulated)
