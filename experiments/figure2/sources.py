"""The micrographs of the paper's figures: the archive's entry when it is on disk, else a simulated stand-in."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drpnet.config import DatasetConfig
from drpnet.datasets import open_dataset
from drpnet.errors import InputError
from drpnet.labelled import LabelledMicrograph
from drpnet.schema import compose_config, dataset_facts
from drpnet.simulation.micrograph import simulate_micrograph
from drpnet.simulation.parameters import SimulationParameters


@dataclass(frozen=True)
class Shown:
    """A micrograph of a figure: image (h, w), Angstrom per px, particle centres (n, 2) (y, x) or None without labels."""

    name: str
    image: np.ndarray
    pixel_size: float
    centres: np.ndarray | None


@dataclass(frozen=True)
class Source:
    """Where a figure's micrographs come from; `title` goes above the figure and says what is simulated."""

    title: str
    particle_diameter: float
    simulated: bool
    micrographs: tuple[Shown, ...]


def facts(name: str, data_root: Path | None, simulation: str | None = None) -> DatasetConfig:
    """The facts of conf/dataset/<name>.yaml, its root below `data_root` (None: DRPNET_DATA, else data/).

    `simulation` names another one of conf/simulation for it.
    """
    other = [] if simulation is None else [f"simulation@dataset.simulation={simulation}"]
    config = compose_config("train", [f"dataset={name}", *other])
    if data_root is not None:
        config.data_root = str(data_root)
    return dataset_facts(config.dataset)


def on_disk(config: DatasetConfig) -> list[LabelledMicrograph] | None:
    """Every micrograph of an entry, sorted; None when its folder does not exist.

    Of an entry without coordinates the centres are empty. Raises InputError for a folder that is incomplete.
    """
    root = Path(config.root)
    if not root.exists():
        return None
    if config.coordinates:
        every = replace(config, if_missing="error", limit=0, first=0, train=[], validation=[], test=[])
        found = open_dataset(every)
        return [*found.train, *found.validation]
    paths = sorted(root.glob(config.micrographs))
    if not paths:
        raise InputError(
            f"{root} exists but holds no micrographs {config.micrographs!r}: an incomplete data set; "
            f"{config.download or 'complete it'} or move the folder away for a simulated stand-in"
        )
    return [LabelledMicrograph(path, np.empty((0, 2)), config.pixel_size) for path in paths]


def shown(micrograph: LabelledMicrograph, labelled: bool = True) -> Shown:
    """A micrograph of the disk, read."""
    image, pixel_size = micrograph.read()
    return Shown(micrograph.stem, image, pixel_size, micrograph.centres if labelled else None)


def simulated(parameters: SimulationParameters, indices: range) -> tuple[Shown, ...]:
    """The micrographs that `drpnet simulate` writes under these numbers (0-based), made in memory."""
    made = []
    for index in indices:
        micrograph = simulate_micrograph(parameters, index)
        name = f"simulated_{index + 1:04d}"
        made.append(Shown(name, micrograph.image, parameters.pixel_size, micrograph.centres))
    return tuple(made)


def trpv1(data_root: Path | None, count: int) -> Source:
    """`count` micrographs of EMPIAR-10005 from outside the training set, else those that stand in for them.

    The paper's 50 training micrographs are the 101st to 150th; here are the first ones. The stand-ins are the last ones
    of dataset=simulated_trpv1, which training never sees.
    """
    config = facts("empiar10005", data_root)
    entry = on_disk(config)
    if entry is not None:
        micrographs = tuple(shown(micrograph) for micrograph in entry[: min(count, config.first)])
        return Source("EMPIAR-10005 (TRPV1)", config.particle_diameter, False, micrographs)
    stand_in = facts("simulated_trpv1", data_root)
    last = stand_in.simulation.micrographs
    micrographs = simulated(stand_in.simulation, range(last - min(count, len(stand_in.test)), last))
    return Source("simulated TRPV1, a stand-in for EMPIAR-10005", stand_in.particle_diameter, True, micrographs)
