"""torchmetrics on top of `drpnet.matching`: summed states, so every process may see other micrographs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from drpnet.matching import check_radius, match_one_to_one, precision_recall_f

Centres = Tensor | np.ndarray | Sequence[Sequence[float]]


class MatchedPeakFMeasure(Metric):
    """F of one-to-one matches within `radius_px`, pooled over every micrograph of every process.

    `update(picks, truth)` takes centres (n, 2) and (k, 2) in (y, x) of one micrograph, in the same pixels.
    `compute()` is 0 when either side is empty and 1 when both are. In a MetricCollection the three metrics of
    this module share their states. Raises InputError for a radius not above 0 and for non-finite positions.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    true_positives: Tensor
    picks: Tensor
    particles: Tensor

    def __init__(self, radius_px: float, **kwargs: Any) -> None:
        """Match within `radius_px` pixels; the rest goes to torchmetrics."""
        super().__init__(**kwargs)
        self.radius_px = check_radius(radius_px)
        for name in ("true_positives", "picks", "particles"):
            self.add_state(name, default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, picks: Centres, truth: Centres) -> None:
        """Count one micrograph: picks (n, 2) against truth (k, 2)."""
        found, wanted = _array(picks), _array(truth)
        self.true_positives += len(match_one_to_one(found, wanted, self.radius_px).pick_index)
        self.picks += len(found)
        self.particles += len(wanted)

    def compute(self) -> Tensor:
        """The statistic over everything seen, a scalar tensor."""
        return self._statistic(2)

    def _statistic(self, index: int) -> Tensor:
        counts = int(self.true_positives), int(self.picks), int(self.particles)
        return torch.tensor(precision_recall_f(*counts)[index], device=self.true_positives.device)


class MatchedPeakPrecision(MatchedPeakFMeasure):
    """Share of the picks that match a labelled particle of their own, within `radius_px`, pooled."""

    def compute(self) -> Tensor:
        """The statistic over everything seen, a scalar tensor."""
        return self._statistic(0)


class MatchedPeakRecall(MatchedPeakFMeasure):
    """Share of the labelled particles that match a pick of their own, within `radius_px`, pooled."""

    def compute(self) -> Tensor:
        """The statistic over everything seen, a scalar tensor."""
        return self._statistic(1)


def _array(centres: Centres) -> np.ndarray:
    if isinstance(centres, Tensor):
        centres = centres.detach().cpu().double().numpy()
    return np.asarray(centres, float).reshape(-1, 2)
