"""Lightning modules: the FCRN learns the distance map (Adam, MSE), the classifier tells particles apart (SGD)."""

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryAccuracy

from drpnet.config import DetectionConfig
from drpnet.datamodules import ValidationItem
from drpnet.errors import InputError
from drpnet.metrics import BestMatchedPeakFMeasure
from drpnet.networks import channels_last
from drpnet.peaks import find_peaks
from drpnet.preprocess import enlarge

OptimizerFactory = Callable[..., torch.optim.Optimizer]


def _schedule(name: str, total_steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: `constant`, `cosine` to zero, or `drop` to a tenth after half of the steps.

    The release asks for drops (MATLAB's piecewise schedule, factor .1), but its period is never reached: it ran constant.
    """
    if name == "constant":
        return lambda step: 1.0
    if name == "cosine":
        return lambda step: 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total_steps))))
    if name == "drop":
        return lambda step: 1.0 if 2 * step < total_steps else 0.1
    raise InputError(f"module.schedule is {name!r}; use 'constant', 'cosine' or 'drop'")


class _Trained(pl.LightningModule):
    """A network with an optimizer and a learning-rate schedule."""

    def __init__(self, network: nn.Module, optimizer: OptimizerFactory, schedule: str = "constant"):
        super().__init__()
        _schedule(schedule, 1)
        self.network = channels_last(network)
        self.optimizer_factory, self.schedule = optimizer, schedule
        optimizer(network.parameters())  # a wrong argument shows here, not after the data are read

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The network's output."""
        return self.network(x.contiguous(memory_format=torch.channels_last))

    def on_train_epoch_start(self) -> None:
        """What an epoch draws by itself (dropout) depends on (seed, epoch, process) alone: a resumed run draws the same."""
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
        torch.manual_seed(int(np.random.SeedSequence((seed, self.current_epoch, self.global_rank)).generate_state(1)[0]))

    def configure_optimizers(self) -> Any:
        """The optimizer of the configuration, its rate scheduled step by step."""
        optimizer = self.optimizer_factory(self.parameters())
        factor = _schedule(self.schedule, int(self.trainer.estimated_stepping_batches))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class FCRNModule(_Trained):
    """Regression of the distance map (3.3.1); validates on whole micrographs with the matched-peak F-measure.

    The F-measure is one-to-one within half a particle diameter, at its best threshold over the validation set. What is
    logged counts every validation micrograph once, however many processes share them.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerFactory,
        loss: nn.Module | None = None,
        schedule: str = "constant",
        detection: DetectionConfig | None = None,
    ):
        """Network (n, 1, h, w) -> (n, 1, h, w); `loss` defaults to the mean squared error per pixel."""
        super().__init__(network, optimizer, schedule)
        self.loss = loss or nn.MSELoss()
        given = detection or DetectionConfig()
        self.detection = replace(given, levels=given.minimum_level)
        # not sync_dist, which divides by a whole number of micrographs a process; a loss that is NaN is to be seen
        self.mean_loss = MeanMetric(nan_strategy="disable")
        self.f_measure = BestMatchedPeakFMeasure(0.5)  # of positions in particle diameters

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """The loss of a batch of patches."""
        loss = self._loss(self(batch[0]), batch[1])
        self.log("train_loss", loss, prog_bar=True, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def _loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss where the target is known, which is not NaN."""
        known = ~target.isnan()
        return self.loss(output, target) if known.all() else self.loss(output[known], target[known])

    def validation_step(self, batch: ValidationItem, _: int) -> None:
        """Loss and matched peaks of one whole micrograph."""
        image, target, shape, centres, diameter, counts = batch
        output = self(image[None])
        if counts:
            self.mean_loss.update(self._loss(output, target[None]))
            distance_map = enlarge(output[0, 0].float().cpu().numpy(), tuple(shape))
            peaks = find_peaks(distance_map, diameter, self.detection)
            self.f_measure.update(peaks.centres / diameter, centres / diameter, peaks.heights)
        self.log("val_loss", self.mean_loss, prog_bar=True, batch_size=1)
        self.log("val_f", self.f_measure, prog_bar=True, batch_size=1)


class ClassifierModule(_Trained):
    """Particle or not (3.3.2): binary cross-entropy on mined patches, SGD as the paper says."""

    def __init__(self, network: nn.Module, optimizer: OptimizerFactory, schedule: str = "constant"):
        """Network (n, 1, s, s) -> logits (n,)."""
        super().__init__(network, optimizer, schedule)
        self.accuracy = BinaryAccuracy()

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """The loss of a batch of patches."""
        loss = F.binary_cross_entropy_with_logits(self(batch[0]), batch[1])
        self.log("train_loss", loss, prog_bar=True, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        """Loss and accuracy of held-out patches."""
        logits = self(batch[0])
        loss = F.binary_cross_entropy_with_logits(logits, batch[1])
        self.log("val_loss", loss, prog_bar=True, sync_dist=True)
        self.accuracy(logits.sigmoid(), batch[1].int())
        self.log("val_accuracy", self.accuracy, prog_bar=True)
