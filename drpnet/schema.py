"""The Hydra schema: every key of conf/ with its type, so that a typo is an error; composes conf/."""

import dataclasses
import difflib
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, InstantiationException
from omegaconf import MISSING as OMEGACONF_MISSING
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from drpnet.archive import ArchiveEntry
from drpnet.complaints import complaint, misfit, unreadable
from drpnet.config import DatasetConfig, DetectionConfig, PatchConfig, PreprocessConfig, SelectionConfig
from drpnet.errors import InputError
from drpnet.simulation.parameters import SimulationParameters

T = TypeVar("T")
STAGES = ("fcrn", "classifier")


@functools.cache
def _editable(cls: type) -> type:
    """The fields of a frozen dataclass, neither checked nor frozen (else OmegaConf locks it)."""
    hints = get_type_hints(cls)
    fields = []
    for item in dataclasses.fields(cls):
        if item.default_factory is not dataclasses.MISSING:
            default = field(default_factory=item.default_factory)
        else:
            known = item.default is not dataclasses.MISSING
            default = field(default=item.default if known else OMEGACONF_MISSING)
        fields.append((item.name, hints[item.name], default))
    return dataclasses.make_dataclass(f"{cls.__name__}Schema", fields)


def _node(cls: type) -> Any:
    """A schema field whose keys and types are those of a parameter dataclass."""
    return field(default_factory=_editable(cls))


@dataclass
class TrainSchema:
    """conf/train.yaml."""

    name: str = "train"
    stage: str = OMEGACONF_MISSING
    seed: int = 0
    data_root: str = "data"
    fcrn_weights: str | None = None
    fcrn_network: Any = None
    resume: str | None = None
    initial_weights: str | None = None
    """A model file whose network of this stage training starts from, instead of random weights."""
    dataset: Any = _node(DatasetConfig)
    also: Any = None
    """A second data set (`dataset@also=NAME`) whose micrographs are trained on, too; scores stay those of `dataset`."""
    preprocess: Any = _node(PreprocessConfig)
    detection: Any = _node(DetectionConfig)
    patches: Any = _node(PatchConfig)
    selection: Any = _node(SelectionConfig)
    target: Any = OMEGACONF_MISSING
    network: Any = OMEGACONF_MISSING
    module: Any = OMEGACONF_MISSING
    datamodule: Any = OMEGACONF_MISSING
    trainer: Any = OMEGACONF_MISSING
    logger: Any = None
    callbacks: Any = None


@dataclass(frozen=True)
class TrainSettings:
    """The typed, checked part of conf/train.yaml; what is instantiated stays in the configuration."""

    stage: str
    seed: int
    fcrn_weights: str | None
    resume: str | None
    initial_weights: str | None
    dataset: DatasetConfig
    also: DatasetConfig | None
    preprocess: PreprocessConfig
    detection: DetectionConfig
    patches: PatchConfig
    selection: SelectionConfig


@dataclass
class NetworksSchema:
    """Networks from outside the package, by `_target_`."""

    fcrn: Any = None
    classifier: Any = None


@dataclass
class PickSchema:
    """conf/pick.yaml; the flags of `drpnet pick` have the same names."""

    data_root: str = "data"
    dataset: Any = _node(DatasetConfig)
    """The data set whose micrographs are picked, where an experiment names one; else None."""
    micrographs: str = OMEGACONF_MISSING
    out: str = OMEGACONF_MISSING
    particle_diameter: float = OMEGACONF_MISSING
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
    shard: str | None = None
    """K/N: only the K-th of N shares of the micrographs, so that N programs pick into one folder."""
    watch: float | None = None
    """Seconds between two looks for new micrographs; None: pick what is there and end."""
    overlay: bool = False
    seed: int = 0
    preprocess: Any = None
    detection: Any = None
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


def conf_folder() -> Path:
    """conf/, as `drpnet.conf` of an installed package or beside the package in a bare checkout."""
    spec = find_spec("drpnet.conf")
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(__file__).resolve().parents[1] / "conf"


def compose_config(name: str, overrides: list[str]) -> DictConfig:
    """conf/<name>.yaml with overrides, as train.py and pick.py get it; InputError for what does not fit."""
    register()
    with clear_errors(), initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(name, overrides=overrides)


def cluster_parameters(kind: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What conf/cluster/<kind>.yaml says of jobs, with changes; parameters of submitit. InputError for no such kind."""
    folder = conf_folder() / "cluster"
    kinds = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "none")
    if kind not in kinds:
        raise InputError(f"there is no cluster {kind!r}; use {', '.join(kinds)}")
    given = {**cast(dict, OmegaConf.to_container(OmegaConf.load(folder / f"{kind}.yaml"))), **changes}
    return {key: value for key, value in given.items() if value is not None and key != "kind"}


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn Hydra's and OmegaConf's errors into one line that names the key, the value and the remedy."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        built = isinstance(error, InstantiationException)
        raise InputError(misfit(error) if built else complaint(error, _known_keys())) from None
    except (YAMLError, ValueError) as error:
        said = unreadable(error)
        if said is None:
            raise
        raise InputError(said) from None
    except TypeError as error:
        # what a configuration leaves partial is called outside Hydra's instantiate
        if "unexpected keyword argument" not in str(error):
            raise
        raise InputError(f"the configuration does not fit: {error}; correct that key") from None


def _known_keys() -> list[str]:
    parameters = (DatasetConfig, PreprocessConfig, DetectionConfig, PatchConfig, SelectionConfig)
    classes: tuple[Any, ...] = (TrainSchema, PickSchema, *parameters, ArchiveEntry, SimulationParameters)
    groups = ["experiment", "model", "profile", "max_epochs", "devices", "accelerator", "batch_size", "lr"]
    return [item.name for cls in classes for item in dataclasses.fields(cls)] + groups


def build(cls: type[T], node: Any) -> T:
    """A parameter dataclass from a composed node: types converted, unknown keys and wrong values refused."""
    with clear_errors():
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        typed = OmegaConf.merge(OmegaConf.structured(_editable(cast(Any, cls))), plain or {})
        missing = sorted(OmegaConf.missing_keys(typed))
        if missing:
            raise InputError(f"{missing[0]} of {cls.__name__} is missing; give it a value")
        values = OmegaConf.to_container(typed, resolve=True)
        assert isinstance(values, dict)
        return cls(**{str(key): value for key, value in values.items()})


def _require_known(config: DictConfig, schema: type) -> None:
    """Raise InputError for a setting that was added with + and that nothing reads."""
    known = {item.name for item in dataclasses.fields(schema)}
    for key in map(str, config):
        if key not in known:
            near = difflib.get_close_matches(key, _known_keys(), 1)
            raise InputError(f"nothing reads the setting {key}; " + (f"did you mean {near[0]}?" if near else "leave it out"))


def train_settings(config: DictConfig) -> TrainSettings:
    """The typed settings of a composed conf/train.yaml."""
    _require_known(config, TrainSchema)
    if OmegaConf.is_missing(config, "stage"):
        raise InputError("stage is missing; choose model=fcrn or model=classifier")
    if config.stage not in STAGES:
        raise InputError(f"stage is {config.stage!r}; choose model=fcrn or model=classifier")
    return TrainSettings(
        stage=config.stage,
        seed=config.seed,
        fcrn_weights=config.fcrn_weights,
        resume=config.resume,
        initial_weights=config.initial_weights,
        dataset=dataset_facts(config.dataset),
        also=dataset_facts(config.also) if config.also else None,
        preprocess=build(PreprocessConfig, config.preprocess),
        detection=build(DetectionConfig, config.detection),
        patches=build(PatchConfig, config.patches),
        selection=build(SelectionConfig, config.selection),
    )


def dataset_facts(node: Any) -> DatasetConfig:
    """The typed facts of a composed data set, with its archive entry and its simulation where it has them."""
    dataset = build(DatasetConfig, node)
    archive, simulation = dataset.archive, dataset.simulation
    return dataclasses.replace(
        dataset,
        archive=None if archive is None else build(ArchiveEntry, archive),
        simulation=None if simulation is None else build(SimulationParameters, simulation),
    )


def pick_settings(config: DictConfig) -> PickSchema:
    """The typed settings of a composed conf/pick.yaml; InputError when a required one is missing."""
    _require_known(config, PickSchema)
    with clear_errors():
        if OmegaConf.is_missing(config.dataset, "name"):
            config = config.copy()
            config.dataset = None
        missing = sorted(OmegaConf.missing_keys(config))
        if missing:
            raise InputError(
                f"{missing[0]} is missing; for example: "
                "python pick.py micrographs=mics/ out=picks particle_diameter=180"
            )
        settings = cast(PickSchema, OmegaConf.to_object(config))
    if settings.preprocess is not None:
        settings.preprocess = build(PreprocessConfig, settings.preprocess)
    if settings.detection is not None:
        settings.detection = build(DetectionConfig, settings.detection)
    if settings.dataset is not None:
        settings.dataset = dataset_facts(settings.dataset)
    return settings
