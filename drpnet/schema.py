"""The Hydra schema: every key of conf/ with its type, so that a typo in YAML or on the command line is an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, InstantiationException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from drpnet.config import DatasetConfig, DetectionConfig, PatchConfig, PreprocessConfig, SelectionConfig
from drpnet.errors import InputError
from drpnet.simulation.parameters import SimulationParameters


@dataclass(frozen=True)
class DatasetSchema(DatasetConfig):
    """DatasetConfig with typed simulation parameters."""

    name: str = MISSING
    root: str = MISSING
    particle_diameter: float = MISSING
    simulation: SimulationParameters | None = None


@dataclass
class TrainSchema:
    """conf/train.yaml."""

    name: str = "train"
    stage: str = MISSING
    seed: int = 0
    data_root: str = "data"
    fcrn_weights: str | None = None
    resume: str | None = None
    dataset: DatasetSchema = field(default_factory=DatasetSchema)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    target: Any = MISSING
    network: Any = MISSING
    module: Any = MISSING
    datamodule: Any = MISSING
    trainer: Any = MISSING
    logger: Any = None
    callbacks: Any = None


@dataclass
class NetworksSchema:
    """Networks from outside the package, by `_target_`."""

    fcrn: Any = None
    classifier: Any = None


@dataclass
class PickSchema:
    """conf/pick.yaml; the flags of `drpnet pick` have the same names."""

    micrographs: str = MISSING
    out: str = MISSING
    particle_diameter: float = MISSING
    pixel_size: float | None = None
    weights: str = "default"
    classifier: bool = True
    threshold: str | None = None
    preset: str = "balanced"
    min_distance: float | None = None
    box_size: int | None = None
    adapt: int | None = None
    negative_stain: bool = False
    device: str = "auto"
    workers: int = 1
    overlay: bool = False
    seed: int = 0
    preprocess: PreprocessConfig | None = None
    detection: DetectionConfig | None = None
    network: NetworksSchema = field(default_factory=NetworksSchema)


def stand_in_suffix(root: str, if_missing: str, simulated: bool) -> str:
    """`_simulated` when a run is going to use simulated data: the run folder's name says so."""
    return "_simulated" if simulated or (if_missing == "simulate" and not Path(root).exists()) else ""


def register() -> None:
    """Make the schema and the resolvers known to Hydra; may be called more than once."""
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainSchema)
    store.store(name="pick_schema", node=PickSchema)
    OmegaConf.register_new_resolver("stand_in_suffix", stand_in_suffix, replace=True)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn Hydra's and OmegaConf's errors into one line that names the key, the value and the remedy."""
    try:
        yield
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        raise InputError(f"the configuration does not fit: {_first_line(cause or error)}; {_remedy(error)}") from None
    except (HydraException, OmegaConfBaseException) as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise InputError(f"the configuration is wrong: {_first_line(error)}; run with --help for the choices") from None


def _first_line(error: BaseException) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:2] if line.strip())


def _remedy(error: BaseException) -> str:
    places = [line.strip() for line in str(error).splitlines() if "full_key" in line]
    return f"see {places[0].replace('full_key:', 'the key').strip()}" if places else "check its _target_ and arguments"


def to_settings(config) -> PickSchema:
    """The typed settings of a composed conf/pick.yaml; InputError when a required one is missing."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise InputError(f"{missing[0]} is missing; for example: python pick.py micrographs=mics/ out=picks particle_diameter=180")
    with clear_errors():
        return OmegaConf.to_object(config)


def simulation_parameters(config) -> SimulationParameters:
    """The typed, checked parameters of a composed simulation."""
    with clear_errors():
        return OmegaConf.to_object(config)
