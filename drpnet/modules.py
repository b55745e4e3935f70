"""Lightning modules: the FCRN learns the distance map (Adam, MSE), the classifier tells particles apart (SGD)."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torchmetrics.classification import BinaryAccuracy

from drpnet.config import DetectionConfig
from drpnet.errors import InputError
from drpnet.matching import best_threshold, match_one_to_one
from drpnet.networks import channels_last
from drpnet.peaks import find_peaks

OptimizerFactory = Callable[..., torch.optim.Optimizer]


def _schedule(name: str, total_steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: `constant` (as the released script really ran) or `cosine` to zero."""
    if name == "constant":
        return lambda step: 1.0
    if name == "cosine":
        return lambda step: 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total_steps))))
    raise InputError(f"module.schedule is {name!r}; use 'constant' or 'cosine'")


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

    def configure_optimizers(self) -> Any:
        """The optimizer of the configuration, its rate scheduled step by step."""
        optimizer = self.optimizer_factory(self.parameters())
        factor = _schedule(self.schedule, int(self.trainer.estimated_stepping_batches))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class FCRNModule(_Trained):
    """Regression of the distance map (3.3.1); validates on whole micrographs with the matched-peak F-measure.

    The F-measure is one-to-one within half a particle diameter, at its best threshold over the validation set.
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
        self._scores: list[np.ndarray] = []
        self._hits: list[np.ndarray] = []
        self._truth = 0

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """The loss of a batch of patches."""
        loss = self.loss(self(batch[0]), batch[1])
        self.log("train_loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's matches."""
        self._scores, self._hits, self._truth = [], [], 0

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor, float], _: int) -> None:
        """Loss and matched peaks of one whole micrograph."""
        image, target, centres, diameter = batch
        output = self(image[None])
        self.log("val_loss", self.loss(output, target[None]), prog_bar=True, batch_size=1)
        peaks = find_peaks(output[0, 0].float().cpu().numpy(), float(diameter), self.detection)
        truth = centres.cpu().numpy()
        hit = np.zeros(len(peaks.heights), bool)
        hit[match_one_to_one(peaks.centres, truth, float(diameter) / 2).pick_index] = True
        self._scores.append(peaks.heights)
        self._hits.append(hit)
        self._truth += len(truth)

    def on_validation_epoch_end(self) -> None:
        """The pooled F-measure at its best threshold."""
        _, f_measure = best_threshold(np.concatenate(self._scores), np.concatenate(self._hits), self._truth)
        self.log("val_f", float(f_measure), prog_bar=True)


class ClassifierModule(_Trained):
    """Particle or not (3.3.2): binary cross-entropy on mined patches, SGD as the paper says."""

    def __init__(self, network: nn.Module, optimizer: OptimizerFactory, schedule: str = "constant"):
        """Network (n, 1, s, s) -> logits (n,)."""
        super().__init__(network, optimizer, schedule)
        self.accuracy = BinaryAccuracy()

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """The loss of a batch of patches."""
        loss = F.binary_cross_entropy_with_logits(self(batch[0]), batch[1])
        self.log("train_loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        """Loss and accuracy of held-out patches."""
        logits = self(batch[0])
        self.log("val_loss", F.binary_cross_entropy_with_logits(logits, batch[1]), prog_bar=True)
        self.accuracy(logits.sigmoid(), batch[1].int())
        self.log("val_accuracy", self.accuracy, prog_bar=True)
