"""What picks: the device, the weights with the options of a run, the classifier adapted to its micrographs."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate

from drpnet.config import PreprocessConfig
from drpnet.errors import InputError
from drpnet.io.find import MicrographList
from drpnet.model import Model, load_model, save_model
from drpnet.pick_folder import ADAPTED
from drpnet.picking import load
from drpnet.schema import PickSchema, clear_errors, compose_config

log = logging.getLogger(__name__)


def choose_device(name: str) -> str:
    """`auto` takes a GPU when there is one; asking for one that is not there is an InputError."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"device {name!r} cannot be used: {reason}; use --device cpu or auto") from None
    return name


def device_words(name: str, asked: str) -> str:
    """The device in words: whoever let it choose, too, must see that no GPU was found."""
    if name.startswith("cuda"):
        return f"{name} ({torch.cuda.get_device_name(name)})"
    if name == "cpu":
        found = " (no GPU found)" if asked == "auto" else ""
        return f"CPU{found}, {torch.get_num_threads()} threads"
    return name


def prepare_model(settings: PickSchema) -> Model:
    """The weights with the profile and the options of this run."""
    with clear_errors():
        model = load_model(
            settings.weights,
            fcrn=instantiate(settings.network.fcrn) if settings.network.fcrn else None,
            classifier=instantiate(settings.network.classifier) if settings.network.classifier else None,
        )
    preprocess: PreprocessConfig = settings.preprocess or model.preprocess
    if preprocess != model.preprocess:
        log.warning(
            "the weights %s were NOT trained with this profile's preprocessing and will find little or nothing; "
            "give --weights of a training with the same profile", settings.weights,
        )  # fmt: skip
    detection = settings.detection or model.detection
    if settings.min_distance is not None:
        distance = settings.min_distance / settings.particle_diameter
        detection = replace(detection, minimum_distance_diameters=distance)
    if settings.negative_stain:
        preprocess = replace(preprocess, negative_stain=True)
    classifier = model.classifier if settings.classifier else None
    return replace(model, preprocess=preprocess, detection=detection, classifier=classifier)


def adapt(
    model: Model, settings: PickSchema, found: MicrographList, device: str, needed: bool
) -> Model:
    """The model with a classifier trained, without labels, on some of these micrographs (paper 3.3.2).

    Their number is `settings.adapt`. A continued folder keeps its classifier; where nothing is left to pick
    none is `needed`.
    """
    kept = Path(settings.out) / ADAPTED
    count = min(settings.adapt or 0, len(found.entries))
    if not needed:
        return model
    if kept.is_file():
        before = load_model(kept)
        return replace(model, **{name: getattr(before, name) for name in ("classifier", "patches", "calibration")})
    from drpnet.adapt import adapt_classifier  # Lightning takes seconds to import; only adapting needs it

    micrographs = []
    for place in np.linspace(0, len(found.entries) - 1, count).round().astype(int):
        try:
            micrographs.append(load(found.entries[place], settings.pixel_size)[:2])
        except InputError as error:
            log.warning("not used for adapting: %s", error)
    if not micrographs:
        raise InputError("none of the micrographs chosen for --adapt can be read; give a larger number")
    log.info("adapting the classifier, without labels, on %d of these micrographs", len(micrographs))
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    config = compose_config("train", ["model=classifier", f"seed={settings.seed}", *_trainer(device)])
    model = adapt_classifier(model, micrographs, settings.particle_diameter, config, device)
    save_model(model, kept)
    return model


def _trainer(device: str) -> list[str]:
    """Lightning's words for a device."""
    kind, _, number = device.partition(":")
    accelerator = {"cuda": "gpu"}.get(kind, kind)
    return [f"trainer.accelerator={accelerator}", *([f"trainer.devices=[{number}]"] if number else [])]
