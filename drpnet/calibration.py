"""The figure of merit: a logistic model that turns a candidate's scores into the probability of a true particle.

Beside the candidate's own scores it looks at its micrograph. The same score means a particle where there are many good
candidates, and a speck of dust where there are hardly any; and where particles are faint, a true one gets a low score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

PRIOR_STRENGTH = 0.1
GOOD, SOFTNESS = 0.25, 0.03
"""The detection score from which a candidate counts as good, and over what range that sets in."""
LEAST = 0.003
"""Good candidates a square of the particle diameter below which a micrograph counts as empty."""
ENOUGH, UNLIKE = 10, 0.1
"""Micrographs from which on it can be told what crowding says; the deviation of their clarity below which they are alike."""


@dataclass(frozen=True)
class Scores:
    """What the figure of merit looks at, of all candidates of a micrograph."""

    heights: np.ndarray
    """(n,) detection scores."""
    logits: np.ndarray
    """(n,) of the classifier."""
    crowding: float
    clarity: float

    def of(self, chosen: np.ndarray) -> "Scores":
        """Those of the candidates that a boolean (n,) chooses."""
        return replace(self, heights=self.heights[chosen], logits=self.logits[chosen])


@dataclass(frozen=True)
class FigureOfMerit:
    """The logistic model. A pair holds the slopes in faint micrographs (clarity 0) and in clear ones (clarity 1)."""

    intercept: float = -4.0
    height: tuple[float, float] = (12.0, 12.0)
    crowding: tuple[float, float] = (0.0, 0.0)
    clarity: float = 0.0
    classifier: float = 0.0

    def logit(self, scores: Scores) -> np.ndarray:
        """Logit (n,) of the probability that a candidate is a particle."""
        height, crowding = (faint + scores.clarity * (clear - faint) for faint, clear in (self.height, self.crowding))
        of_micrograph = self.intercept + crowding * scores.crowding + self.clarity * scores.clarity
        alone = of_micrograph + height * np.asarray(scores.heights, float)
        return alone + self.classifier * scores.logits if self.classifier else alone

    def scaled(self, intercept: float, slope: float, classifier: float = 0.0) -> "FigureOfMerit":
        """The model whose logit is intercept + slope * this one, with another slope of the classifier's."""
        height, crowding = ((slope * faint, slope * clear) for faint, clear in (self.height, self.crowding))
        return FigureOfMerit(intercept + slope * self.intercept, height, crowding, slope * self.clarity, classifier)


def fit_figure_of_merit(
    start: FigureOfMerit, micrographs: Sequence[Scores], is_true: np.ndarray, classifier: bool
) -> FigureOfMerit:
    """The model fitted to the candidates of micrographs, true (n,) from 0 to 1; with the classifier's logits or without.

    From few micrographs only what the logit of `start` means is learnt, from alike ones nothing about faint and clear.
    """
    second = [np.concatenate([scores.logits for scores in micrographs])] if classifier else []
    if len(micrographs) < ENOUGH:
        first = replace(start, classifier=0.0)
        known = np.concatenate([first.logit(scores) for scores in micrographs])
        return first.scaled(*fit_logistic(np.stack([known, *second], axis=1), is_true))
    heights = np.concatenate([scores.heights for scores in micrographs])
    number = [len(scores.heights) for scores in micrographs]
    crowded, clear = (np.repeat([getattr(s, name) for s in micrographs], number) for name in ("crowding", "clarity"))
    if np.std([scores.clarity for scores in micrographs]) < UNLIKE:
        intercept, height, crowds, *weight = fit_logistic(np.stack([heights, crowded, *second], axis=1), is_true)
        return FigureOfMerit(intercept, (height, height), (crowds, crowds), 0.0, *weight)
    parts = [column * share for column in (heights, crowded) for share in (1 - clear, clear)]
    # clarity itself may speak for a candidate or against it
    table = np.stack([*parts, clear, -clear, *second], axis=1)
    intercept, *slopes = fit_logistic(table, is_true)
    return FigureOfMerit(intercept, (slopes[0], slopes[1]), (slopes[2], slopes[3]), slopes[4] - slopes[5], *slopes[6:])


def crowding(heights: np.ndarray, area: float) -> float:
    """Logarithm of how many good candidates there are a square of the particle diameter.

    Detection scores (n,) of all candidates of a micrograph, and its area in such squares.
    """
    good = expit((np.asarray(heights, float) - GOOD) / SOFTNESS).sum()
    return float(np.log(good / area + LEAST))


def fit_logistic(features: np.ndarray, is_true: np.ndarray) -> tuple[float, ...]:
    """Coefficients (intercept, slopes...) of P(true) = 1 / (1 + exp(-(c0 + features @ c))), slopes not negative.

    features (n, k), is_true (n,) from 0 to 1: between where nobody is sure.
    Maximum likelihood with a weak normal prior, which keeps separable data finite. A higher score never means a worse
    candidate, so negative slopes are not allowed.
    """
    features = np.asarray(features, float)
    spread, centre = features.std(axis=0), features.mean(axis=0)
    # what is the same for all, as the crowding of a single micrograph, deviates by rounding, and says nothing
    spread = np.where(spread > 1e-6 * np.maximum(1, np.abs(centre)), spread, np.inf)
    scaled = (features - centre) / spread
    truth = np.asarray(is_true, float)
    prior = PRIOR_STRENGTH / len(truth)

    def loss(c: np.ndarray) -> tuple[float, np.ndarray]:
        logit = c[0] + scaled @ c[1:]
        weight = (expit(logit) - truth) / len(truth)
        gradient = np.concatenate([[weight.sum()], scaled.T @ weight]) + 2 * prior * c
        return float((np.logaddexp(0, logit) - truth * logit).mean() + prior * c @ c), gradient

    bounds = [(None, None)] + [(0, None)] * features.shape[1]
    fitted = minimize(loss, np.zeros(1 + features.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = fitted[1:] / spread
    return (float(fitted[0] - slopes @ centre), *(float(s) for s in slopes))
