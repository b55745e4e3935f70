"""Bootstrap over micrographs: how far a number would move had other micrographs of the same kind been scored.

Micrographs, not particles, are drawn: the picks of one micrograph share its ice, defocus and annotator (Efron and
Tibshirani 1993, chapter 8). The intervals are percentiles, and the same seed draws the same micrographs, so that the
difference of two pickers is taken on each draw (paired).
"""

import numpy as np

from drpnet.errors import InputError

LEVEL = 0.95


def resampled(micrographs: int, resamples: int, seed: int) -> np.ndarray:
    """How often each micrograph is drawn, (resamples, micrographs); every row sums to `micrographs`.

    InputError for fewer than 0 resamples.
    """
    if resamples < 0:
        raise InputError(f"{resamples} bootstrap resamples; give 0 (no intervals) or more, for example 1000")
    rng = np.random.default_rng(seed)
    return rng.multinomial(micrographs, np.full(micrographs, 1 / micrographs), size=resamples).astype(float)


def interval(values: np.ndarray) -> list[float] | None:
    """The central 95 % of values (b,) as [low, high]; None without any, or when one is no number."""
    if not len(values) or not np.isfinite(values).all():
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return [float(low), float(high)]
