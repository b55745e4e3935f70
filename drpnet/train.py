"""Training on one page: data, networks, Lightning, then calibration, scores and a complete run folder."""

import logging
import time
import warnings
from dataclasses import replace
from functools import partial, reduce
from inspect import signature
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from drpnet.checkpoints import WholeFiles, check_checkpoint, restore_best, start_from
from drpnet.complaints import one_line
from drpnet.datasets import open_dataset
from drpnet.doctor.glance import warn_of_labels
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.evaluation.tables import print_evaluation
from drpnet.figures import draw_training
from drpnet.labelled import joined
from drpnet.limits import check_numbers
from drpnet.model import Model, load_model, save_model
from drpnet.progress import counted
from drpnet.provenance import provenance, versions
from drpnet.schema import TrainSettings, clear_errors, train_settings
from drpnet.scoring import calibrate, pick_all, score
from drpnet.unlabelled import warn_of_unlabelled, with_doubtful, with_edges

log = logging.getLogger(__name__)
# advertisements and hints for other data than ours; what matters of the devices is said by us
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*(does not have many workers|LeafSpec|no `val_dataloader`).*")
WEIGHTS = "weights.safetensors"
Stage = tuple[Model, pl.LightningModule, partial[pl.LightningDataModule]]
"""The model to start from, what is trained, and what makes the data module of a labelled set."""


def train(config: DictConfig, folder: Path) -> float:
    """Train one stage of the cascade as `config` says, into a complete run folder; returns what a sweep optimises.

    That is the F-measure (one-to-one, half a diameter, best threshold) on the validation micrographs.
    """
    started = time.time()
    with clear_errors():
        settings = train_settings(config)
        check(settings)
        check_numbers(config)
        pl.seed_everything(settings.seed, workers=True, verbose=False)
        trainer = build_trainer(config, folder)
        network = instantiate(config.network)
        check_normalisation(trainer, network, config)
        start, module, make_datamodule = STAGES[settings.stage](config, settings, network)
        if settings.initial_weights is not None:
            start_from(settings.initial_weights, settings.stage, network)
        if settings.resume is not None:
            check_checkpoint(settings.resume, module)

        if trainer.is_global_zero:
            folder.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(config, folder / "config.yaml", resolve=True)
        with counted("Simulating micrographs") as progress:
            facts = [one for one in (settings.dataset, settings.also) if one is not None]
            sets = [open_dataset(one, progress) for one in facts]
        known = settings.initial_weights or settings.fcrn_weights
        sets = [with_edges(own, one.unlabelled_edge) for one, own in zip(facts, sets, strict=True)]
        sets = [with_doubtful(own, known) if one.incomplete else own for one, own in zip(facts, sets, strict=True)]
        if trainer.is_global_zero and settings.stage == "fcrn" and settings.initial_weights and not settings.dataset.incomplete:
            warn_of_unlabelled(sets[0], settings.initial_weights)
        data = reduce(joined, sets)
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        log.info(
            "%s: %s",
            data.name,
            ", ".join(f"{len(found)} micrographs for {part}" for part, found in parts.items()),
        )
        if trainer.is_global_zero:
            for one, own in zip(facts, sets, strict=True):
                if not own.simulated:
                    labels, bright = one.star or one.coordinates, start.preprocess.negative_stain
                    warn_of_labels(own.train, own.particle_diameter, one.root, labels, bright)
        datamodule = make_datamodule(data=data)

    trainer.fit(module, datamodule, ckpt_path=settings.resume, weights_only=True)
    if not trainer.is_global_zero:
        return float("nan")
    restore_best(trainer, module)
    seconds = time.time() - started

    architectures = {**start.architectures, settings.stage: architecture(config.network)}
    model = replace(start, **{settings.stage: network.cpu().eval()}, architectures=architectures)
    model = calibrate(model, data.validation or data.train, data.particle_diameter)
    metrics: dict[str, Any] = {}
    for part in ("validation", "test"):
        if parts[part]:
            picks = pick_all(model, parts[part], data.particle_diameter, f"Scoring {part} micrographs")
            metrics[part] = score(picks, parts[part])
            print_evaluation(metrics[part], title=f"{data.name}, {part} micrographs: one-to-one within half a diameter")
    record = provenance(data, settings.seed, trainer.current_epoch, seconds, metrics)
    if settings.initial_weights is not None:
        record["initial_weights"] = load_model(settings.initial_weights).provenance.get(settings.stage)
    model = replace(model, provenance={**model.provenance, settings.stage: record})
    save_model(model, folder / WEIGHTS)
    write_json({**record, **metrics, "versions": versions()}, folder / "metrics.json")
    draw_training(folder, model, (data.test or data.validation or data.train)[0], data)
    log.info("weights, metrics and figures are in %s", folder)
    return float(metrics["validation"]["best_f_measure"] or 0.0) if "validation" in metrics else float("nan")


def check(settings: TrainSettings) -> None:
    """Raise InputError for files that are missing."""
    if settings.resume is not None and not Path(settings.resume).is_file():
        raise InputError(f"resume={settings.resume} is no file; give a run's checkpoints/last.ckpt")
    if settings.stage == "classifier" and settings.fcrn_weights is None:
        raise InputError(
            "fcrn_weights is missing: the classifier learns from a trained FCRN's detections; "
            "give fcrn_weights=RUN/weights.safetensors"
        )
    if settings.also is not None and settings.stage != "fcrn":
        raise InputError("also=... is for the first network; train the classifier on one data set")


def build_trainer(config: DictConfig, folder: Path) -> pl.Trainer:
    """Lightning's trainer with the callbacks and the logger of the configuration; InputError for what it refuses."""
    callbacks = [instantiate(callback) for callback in (config.callbacks or {}).values()]
    logger = instantiate(config.logger) if config.logger else False
    try:
        trainer = instantiate(config.trainer)(
            callbacks=callbacks, logger=logger, default_root_dir=str(folder), plugins=[WholeFiles()]
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise InputError(f"trainer does not fit: {one_line(error)}; correct that key of trainer") from None
    devices = trainer.num_devices * trainer.num_nodes
    if devices > 1 and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise InputError(
            f"--multirun and {devices} devices: each device would start the whole sweep again; "
            "give each training its own command, or set trainer.devices=1"
        )
    batch: Any = OmegaConf.select(config, "datamodule.batch_size")
    if isinstance(batch, int) and batch % devices:
        raise InputError(
            f"datamodule.batch_size={batch} is of all devices together and cannot be dealt to {devices}; "
            f"take a multiple of {devices}"
        )
    if not trainer.is_global_zero:
        logging.disable(logging.WARNING)  # one process speaks for all
    return trainer


def check_normalisation(trainer: pl.Trainer, network: nn.Module, config: DictConfig) -> None:
    """Raise InputError where batch normalisation over all devices is asked for on CPUs: torch has it on GPUs only."""
    normalises = any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    on_cpu = trainer.strategy.root_device.type == "cpu" and trainer.num_devices > 1
    if normalises and on_cpu and config.trainer.get("sync_batchnorm"):
        raise InputError(
            "the network normalises batches, and over several processes that works on GPUs only; set trainer.devices=1, "
            "or trainer.sync_batchnorm=false, where each process normalises its own share and the numbers are others"
        )


def _fcrn_stage(config: DictConfig, settings: TrainSettings, network: nn.Module) -> Stage:
    """The first network: an empty model with this run's settings, and patches with their distance maps."""
    module = instantiate(config.module)(network=network, detection=settings.detection)
    start = Model(None, None, settings.preprocess, settings.detection, settings.patches)
    if settings.initial_weights is not None:  # what a few micrographs cannot tell of the figure of merit stays as it is
        start = replace(start, calibration=load_model(settings.initial_weights).calibration)
    target = instantiate(config.target)
    return start, module, _datamodule(config, preprocess=settings.preprocess, target=target, seed=settings.seed)


def _classifier_stage(config: DictConfig, settings: TrainSettings, network: nn.Module) -> Stage:
    """The second network: a trained FCRN, and the patches that it found."""
    module = instantiate(config.module)(network=network)
    assert settings.fcrn_weights is not None
    fcrn = instantiate(config.fcrn_network) if config.fcrn_network else None
    start = replace(load_model(settings.fcrn_weights, fcrn=fcrn), patches=settings.patches)
    if (start.preprocess, start.detection) != (settings.preprocess, settings.detection):
        log.warning("the FCRN's own preprocessing and detection settings are used, not those of this configuration")
    return start, module, _datamodule(config, model=start, selection=settings.selection, seed=settings.seed)


def _datamodule(config: DictConfig, **arguments: Any) -> partial[pl.LightningDataModule]:
    """The configured data module but for its data; a wrong argument shows here, not after minutes of simulation."""
    configured = instantiate(config.datamodule)
    signature(configured.func).bind(**configured.keywords, **arguments, data=None)
    return partial(configured, **arguments)


STAGES = {"fcrn": _fcrn_stage, "classifier": _classifier_stage}


def architecture(network: DictConfig) -> dict[str, Any]:
    """How to build a network again: its dotted name and its arguments."""
    arguments = OmegaConf.to_container(network, resolve=True)
    assert isinstance(arguments, dict)
    return {"name": arguments.pop("_target_"), "arguments": arguments}
