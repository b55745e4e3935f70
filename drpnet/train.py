"""Training on one page: data, networks, Lightning, then calibration, scores and a complete run folder."""

import logging
import pickle
import time
import warnings
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from drpnet.cascade import Picker
from drpnet.complaints import one_line
from drpnet.datamodules import loader
from drpnet.datasets import joined, open_dataset
from drpnet.doctor.glance import warn_of_labels
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.evaluation.tables import print_evaluation
from drpnet.figures import draw_training
from drpnet.limits import check_numbers
from drpnet.mining import mine_samples
from drpnet.model import Calibration, Model, load_model, save_model
from drpnet.progress import counted
from drpnet.provenance import provenance, versions
from drpnet.samples import LabelledPatches
from drpnet.schema import TrainSettings, clear_errors, train_settings
from drpnet.scoring import calibrate, pick_all, score

log = logging.getLogger(__name__)
# advertisements and hints for other data than ours; what matters of the devices is said by us
logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*(does not have many workers|LeafSpec|no `val_dataloader`).*")
WEIGHTS = "weights.safetensors"
ADAPTED_WEIGHT = 0.5
ENOUGH = 500
"""Positive samples below which adapting warns: on two simulated micrographs F fell from .69 to .35 in a trial."""
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
        start, module, make_datamodule = STAGES[settings.stage](config, settings, network)
        if settings.initial_weights is not None:
            start_from(settings.initial_weights, settings.stage, network)
        if settings.resume is not None:
            check_checkpoint(settings.resume, module)

        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "config.yaml", resolve=True)
        with counted("Simulating micrographs") as progress:
            data = open_dataset(settings.dataset, progress)
            if settings.also is not None:
                data = joined(data, open_dataset(settings.also, progress))
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        log.info(
            "%s: %s",
            data.name,
            ", ".join(f"{len(found)} micrographs for {part}" for part, found in parts.items()),
        )
        if trainer.is_global_zero and not data.simulated:
            facts, negative_stain = settings.dataset, start.preprocess.negative_stain
            warn_of_labels(
                data.train, data.particle_diameter, facts.root, facts.star or facts.coordinates, negative_stain
            )
        datamodule = make_datamodule(data=data)

    trainer.fit(module, datamodule, ckpt_path=settings.resume)
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
        trainer = instantiate(config.trainer)(callbacks=callbacks, logger=logger, default_root_dir=str(folder))
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise InputError(f"trainer does not fit: {one_line(error)}; correct that key of trainer") from None
    devices = trainer.num_devices * trainer.num_nodes
    if devices > 1 and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise InputError(
            f"--multirun and {devices} devices: each device would start the whole sweep again; "
            "give each training its own command, or set trainer.devices=1"
        )
    if not trainer.is_global_zero:
        logging.disable(logging.WARNING)  # one process speaks for all
    return trainer


def _fcrn_stage(config: DictConfig, settings: TrainSettings, network: nn.Module) -> Stage:
    """The first network: an empty model with this run's settings, and patches with their distance maps."""
    module = instantiate(config.module)(network=network, detection=settings.detection)
    start = Model(None, None, settings.preprocess, settings.detection, settings.patches)
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


def start_from(weights: str, stage: str, network: nn.Module) -> None:
    """Give a network the weights of a model file's network of the same stage; InputError for one of other layers."""
    known = getattr(load_model(weights), stage)
    if known is None:
        raise InputError(f"initial_weights={weights} holds no {stage}; give a model that does")
    try:
        network.load_state_dict(known.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"initial_weights={weights} is of another network ({one_line(error)[:200]}); "
            f"give a model whose {stage} is this {type(network).__name__}"
        ) from None


def check_checkpoint(path: str, module: pl.LightningModule) -> None:
    """Raise InputError for a file that is no checkpoint, or one of another network."""
    try:
        module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["state_dict"])
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).splitlines()[:2])[:200]
        if isinstance(error, (pickle.UnpicklingError, EOFError)):
            reason = "it is no checkpoint"
        raise InputError(
            f"resume={path} does not fit ({type(error).__name__}: {reason}); "
            "give checkpoints/last.ckpt of a run with this same model"
        ) from None


def restore_best(trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """Put the weights of the best checkpoint, where one was kept, back into the module."""
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if best:
        module.load_state_dict(torch.load(best, weights_only=True, map_location="cpu")["state_dict"])


def architecture(network: DictConfig) -> dict[str, Any]:
    """How to build a network again: its dotted name and its arguments."""
    arguments = OmegaConf.to_container(network, resolve=True)
    assert isinstance(arguments, dict)
    return {"name": arguments.pop("_target_"), "arguments": arguments}


def adapt_classifier(
    model: Model,
    micrographs: list[tuple[np.ndarray, float]],
    diameter: float,
    config: DictConfig,
    device: str,
) -> Model:
    """A model with a classifier trained on micrographs (image (h, w), pixel size) without labels (paper 3.3.2).

    `config` is conf/train.yaml with model=classifier. Without labels there is nothing to calibrate on: the logit of
    the detection score keeps its calibration and the classifier's logit is added with the weight ADAPTED_WEIGHT.
    """
    settings = train_settings(config)
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    start = replace(model, patches=settings.patches, classifier=None)
    unlabelled = ((image, pixel_size, None) for image, pixel_size in micrographs)
    samples = mine_samples(Picker(start, device), unlabelled, diameter, settings.selection, settings.seed)
    positive = int(samples.labels.sum())
    log.info("classifier samples: %d positive, %d negative", positive, len(samples.labels) - positive)
    if positive < ENOUGH:
        log.warning(
            "%d positive samples are few (below %d) and the adapted classifier may do harm; adapt on more micrographs",
            positive, ENOUGH,
        )  # fmt: skip
    network = instantiate(config.network)
    module = instantiate(config.module)(network=network)
    patches = LabelledPatches(
        samples.patches, samples.labels, instantiate(config.datamodule.augmentation), settings.seed
    )
    trainer = instantiate(config.trainer)(
        logger=False, enable_checkpointing=False, callbacks=[instantiate(config.callbacks.progress)]
    )
    trainer.fit(module, loader(patches, config.datamodule.batch_size, settings.seed))
    intercept, slope = model.calibration.detector
    return replace(
        start,
        classifier=network.cpu().eval(),
        architectures={**model.architectures, "classifier": architecture(config.network)},
        calibration=Calibration(model.calibration.detector, (intercept, slope, ADAPTED_WEIGHT)),
    )
