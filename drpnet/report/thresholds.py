"""The thresholds that the page's slider steps on."""

import math
from dataclasses import dataclass

import numpy as np

_STEPS = 150


@dataclass(frozen=True)
class Thresholds:
    """Rising values (g,) of the slider, the one it starts at, and how many decimals tell them apart."""

    values: np.ndarray
    start: float
    decimals: int

    def bin_of(self, scores: np.ndarray) -> np.ndarray:
        """For scores (n,) the last value (n,) that each one reaches, as its place in `values`."""
        return np.clip(np.searchsorted(self.values, scores, side="right") - 1, 0, None)


def thresholds_of(scores: np.ndarray, start: float | None = None) -> Thresholds:
    """Hundredths for scores (n,) within 0..1, else about 150 round steps from below the least to above the greatest.

    Without a `start` it is the lowest: all picks as they were given.
    """
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    if low >= 0 and high <= 1:
        step, first, last, decimals = 0.01, 0, 100, 2
    else:
        step = _round_step((high - low) / _STEPS or max(abs(low), 1.0) / 100)
        first, last = math.floor(low / step), math.floor(high / step) + 1
        decimals = max(0, -math.floor(math.log10(step)))
    # the decimal text, not the product, is what a user types
    values = np.array([float(f"{place * step:.{decimals}f}") for place in range(first, last + 1)])
    if len(scores) and values[0] > low:
        values = np.concatenate([[low], values])  # what rounding lost
    return Thresholds(values, values[0] if start is None else start, decimals)


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))
