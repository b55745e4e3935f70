"""Training on one page: data, networks, Lightning, then calibration, scores and a complete run folder."""

import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.progress import track

from drpnet.calibration import fit_logistic
from drpnet.cascade import Picker
from drpnet.datasets import LabelledMicrograph, LabelledSet, open_dataset
from drpnet.errors import InputError
from drpnet.evaluate import print_evaluation, score_micrographs, write_json
from drpnet.figures import draw_training
from drpnet.io.atomic import whole_file
from drpnet.io.picks import Candidates
from drpnet.matching import match_one_to_one
from drpnet.model import Calibration, Model, load_model, save_model
from drpnet.progress import counted
from drpnet.schema import clear_errors

log = logging.getLogger(__name__)
WEIGHTS = "weights.safetensors"


def train(config: DictConfig, folder: Path) -> float:
    """Train one stage of the cascade as `config` says, into a complete run folder; returns what a sweep optimises.

    That is the F-measure (one-to-one, half a diameter, best threshold) on the validation micrographs.
    """
    started = time.time()
    with clear_errors():
        settings = OmegaConf.to_object(config)
        pl.seed_everything(config.seed, workers=True)
        if config.resume is not None and not Path(config.resume).is_file():
            raise InputError(f"resume={config.resume} is no file; give the run's checkpoints/last.ckpt")
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "config.yaml", resolve=True)
        with counted("Simulating micrographs") as progress:
            data = open_dataset(settings.dataset, progress)
        log.info(
            "%s: %d micrographs to train, %d to validate, %d to test",
            data.name, len(data.train), len(data.validation), len(data.test),
        )  # fmt: skip
        network = instantiate(config.network)
        module = instantiate(config.module)(network=network)
        if settings.stage == "fcrn":
            target = instantiate(config.target)
            datamodule = instantiate(config.datamodule)(
                data=data, preprocess=settings.preprocess, target=target, seed=config.seed
            )
        elif settings.stage == "classifier":
            if config.fcrn_weights is None:
                raise InputError("the classifier learns from a trained FCRN's detections; give fcrn_weights=RUN/weights.safetensors")
            base = replace(load_model(config.fcrn_weights), patches=settings.patches)
            datamodule = instantiate(config.datamodule)(
                data=data, model=base, selection=settings.selection, seed=config.seed
            )
        else:
            raise InputError(f"stage is {settings.stage!r}; use 'fcrn' or 'classifier' (choose model=fcrn or model=classifier)")
        trainer = instantiate(config.trainer)(
            callbacks=[instantiate(callback) for callback in (config.callbacks or {}).values()],
            logger=instantiate(config.logger) if config.logger else False,
            default_root_dir=str(folder),
        )

    trainer.fit(module, datamodule, ckpt_path=config.resume)
    if not trainer.is_global_zero:
        return float("nan")

    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if best:
        module.load_state_dict(torch.load(best, weights_only=True, map_location="cpu")["state_dict"])
    architecture = _architecture(config.network)
    if settings.stage == "fcrn":
        model = Model(
            fcrn=network.cpu().eval(), preprocess=settings.preprocess, detection=settings.detection,
            patches=settings.patches, architectures={"fcrn": architecture},
        )  # fmt: skip
    else:
        model = replace(base, classifier=network.cpu().eval(), architectures={**base.architectures, "classifier": architecture})
    model = calibrate(model, data.validation or data.train, data.particle_diameter)
    metrics: dict[str, Any] = {"dataset": data.name, "simulated": data.simulated, "stage": settings.stage}
    metrics["epochs"] = trainer.current_epoch
    metrics["train_seconds"] = round(time.time() - started, 1)
    parts = {"validation": data.validation, "test": data.test}
    picks: dict[str, list[Candidates]] = {}
    for part, micrographs in parts.items():
        if micrographs:
            picks[part] = pick_all(model, micrographs, data.particle_diameter, f"Scoring {part} micrographs")
            metrics[part] = score(picks[part], micrographs, data.particle_diameter)
            print_evaluation(metrics[part], title=f"{data.name}: {part} micrographs, {settings.stage}")
    provenance = {
        "dataset": data.name, "simulated": data.simulated, "particle_diameter": data.particle_diameter,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]), "seed": config.seed, **versions(),
        "metrics": {part: {k: v for k, v in metrics[part].items() if k != "per_micrograph"} for part in picks},
    }  # fmt: skip
    model = replace(model, provenance={**model.provenance, settings.stage: provenance})
    save_model(model, folder / WEIGHTS)
    write_json({**metrics, **versions(), "seed": config.seed, "config": "config.yaml"}, folder / "metrics.json")
    shown = next((part for part in ("test", "validation") if part in picks), None)
    draw_training(folder, model, parts[shown][0] if shown else data.train[0], data)
    log.info("weights, metrics and figures are in %s", folder)
    return float(metrics["validation"]["best_f_measure"] or 0.0) if "validation" in metrics else float("nan")


def pick_all(model: Model, micrographs: tuple[LabelledMicrograph, ...], diameter: float, text: str) -> list[Candidates]:
    """All candidates of every micrograph."""
    picker = Picker(model)
    return [picker.pick(*micrograph.read(), diameter) for micrograph in track(micrographs, text, transient=True)]


def score(picks: list[Candidates], micrographs: tuple[LabelledMicrograph, ...], diameter: float) -> dict[str, Any]:
    """The evaluation (rule `common`) of candidates at the balanced figure of merit."""
    return score_micrographs(
        {
            micrograph.stem: (found.centres, found.figure_of_merit, micrograph.centres, diameter / 2 / micrograph.read()[1])
            for found, micrograph in zip(picks, micrographs, strict=True)
        }
    )


def calibrate(model: Model, micrographs: tuple[LabelledMicrograph, ...], diameter: float) -> Model:
    """Fit the figure of merit on labelled micrographs."""
    features, is_true = [], []
    for micrograph in track(micrographs, "Calibrating the figure of merit", transient=True):
        image, pixel_size = micrograph.read()
        found = Picker(model).pick(image, pixel_size, diameter)
        hit = np.zeros(len(found.centres), bool)
        hit[match_one_to_one(found.centres, micrograph.centres, diameter / pixel_size / 2).pick_index] = True
        probability = np.clip(found.classifier_score, 1e-9, 1 - 1e-9)
        features.append(np.stack([found.detection_score, np.log(probability / (1 - probability))], axis=1))
        is_true.append(hit)
    table, labels = np.concatenate(features), np.concatenate(is_true)
    if not 0 < labels.sum() < len(labels):
        log.warning("the figure of merit stays uncalibrated: %d of %d candidates are true", labels.sum(), len(labels))
        return model
    detector = fit_logistic(table[:, :1], labels)
    cascade = fit_logistic(table, labels) if model.classifier is not None else (*detector, 0.0)
    return replace(model, calibration=Calibration(detector, cascade))
