"""A classifier for a user's own micrographs, trained on what the first network finds there, without labels."""

import logging
from dataclasses import replace

import numpy as np
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from drpnet.cascade import Picker
from drpnet.datamodules import loader
from drpnet.mining import Mined, mine_samples
from drpnet.model import Calibration, Model
from drpnet.samples import LabelledPatches
from drpnet.schema import train_settings
from drpnet.train import architecture

log = logging.getLogger(__name__)
ADAPTED_WEIGHT = 0.5
ENOUGH = 500
"""Positive samples below which adapting warns: on two simulated micrographs F fell from .69 to .35 in a trial."""


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
    unlabelled = (Mined(image, pixel_size) for image, pixel_size in micrographs)
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
    detector = model.calibration.detector
    return replace(
        start,
        classifier=network.cpu().eval(),
        architectures={**model.architectures, "classifier": architecture(config.network)},
        calibration=Calibration(detector, replace(detector, classifier=ADAPTED_WEIGHT)),
    )
