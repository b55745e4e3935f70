"""torchmetrics on top of `measures.matching`: summed or joined states, so every process may see other micrographs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from drpnet.errors import InputError
from drpnet.measures.matching import (
    average_precision,
    best_threshold,
    check_radius,
    match_one_to_one,
    precision_recall_f,
    true_in_score_order,
)

Centres = Tensor | np.ndarray | Sequence[Sequence[float]]
Scores = Tensor | np.ndarray | Sequence[float]


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


class BestMatchedPeakFMeasure(MatchedPeakFMeasure):
    """The greatest F that one threshold on the picks' scores reaches, pooled over every micrograph of every process.

    `update(picks, truth, scores)` takes the scores (n,) of the picks as well. Raises InputError where they are not as
    many as the picks.
    """

    scores: list[Tensor] | Tensor
    is_true: list[Tensor] | Tensor

    def __init__(self, radius_px: float, **kwargs: Any) -> None:
        """Match within `radius_px` pixels; the rest goes to torchmetrics."""
        super().__init__(radius_px, **kwargs)
        for name in ("scores", "is_true"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, picks: Centres, truth: Centres, scores: Scores = ()) -> None:
        """Keep the scores (n,) of one micrograph's picks (n, 2), and which of them find a particle of truth (k, 2)."""
        found, wanted, ranks = _array(picks), _array(truth), _array(scores, ())
        if len(ranks) != len(found):
            raise InputError(f"{len(found)} picks have {len(ranks)} scores; give every pick a score")
        is_true = true_in_score_order(found, wanted, self.radius_px, ranks)
        self.true_positives += int(is_true.sum())
        self.picks += len(found)
        self.particles += len(wanted)
        # one type for both: an empty share of a process is float32
        for state, values in ((self.scores, ranks), (self.is_true, is_true)):
            assert isinstance(state, list)
            state.append(torch.as_tensor(values, dtype=torch.float32, device=self.particles.device))

    def compute(self) -> Tensor:
        """The statistic over everything seen, a scalar tensor."""
        return torch.tensor(best_threshold(*self._ranked(), int(self.particles))[1], device=self.particles.device)

    def _ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n,) of all picks seen, and which are true (n,)."""
        scores, is_true = (
            _array(dim_zero_cat(state) if len(state) else (), ()) for state in (self.scores, self.is_true)
        )
        return scores, is_true


class MatchedPeakAveragePrecision(BestMatchedPeakFMeasure):
    """Area under the pooled precision-recall curve, not interpolated (`matching.average_precision`); NaN without particles.

    `update(picks, truth, scores)` as for the best F.
    """

    def compute(self) -> Tensor:
        """The statistic over everything seen, a scalar tensor."""
        area = average_precision(*self._ranked(), int(self.particles))
        return torch.tensor(float("nan") if area is None else area, device=self.particles.device)


class MatchedPeakLocalisationError(Metric):
    """Median distance in px of one-to-one matches within `radius_px`, over every micrograph of every process.

    `update(picks, truth)` takes centres (n, 2) and (k, 2) in (y, x) of one micrograph. NaN without a match. Raises
    InputError for a radius not above 0 and for non-finite positions.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    distances: list[Tensor] | Tensor

    def __init__(self, radius_px: float, **kwargs: Any) -> None:
        """Match within `radius_px` pixels; the rest goes to torchmetrics."""
        super().__init__(**kwargs)
        self.radius_px = check_radius(radius_px)
        self.add_state("distances", default=[], dist_reduce_fx="cat")

    def update(self, picks: Centres, truth: Centres) -> None:
        """Keep the distances of one micrograph: picks (n, 2) against truth (k, 2)."""
        distance = match_one_to_one(_array(picks), _array(truth), self.radius_px).distance
        assert isinstance(self.distances, list)
        self.distances.append(torch.as_tensor(distance, dtype=torch.float32, device=self.device))

    def compute(self) -> Tensor:
        """The median over everything seen, a scalar tensor."""
        distances = _array(dim_zero_cat(self.distances) if len(self.distances) else (), ())
        return torch.tensor(float(np.median(distances)) if len(distances) else float("nan"), device=self.device)


def _array(values: Centres | Scores, row: tuple[int, ...] = (2,)) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, float).reshape(-1, *row)
