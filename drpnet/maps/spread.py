"""Mean and 95 % interval of a number that independent sets of micrographs gave."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student


def mean_and_interval(values: Sequence[float]) -> dict[str, Any]:
    """`mean`, `interval` (Student's t over the sets; None for one set or a value that is not finite) and the `values`."""
    numbers = np.asarray(values, float)
    found: dict[str, Any] = {"mean": None, "interval": None, "values": [_finite(value) for value in numbers]}
    if np.isfinite(numbers).all():
        found["mean"] = float(numbers.mean())
        if len(numbers) > 1:
            reach = student.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / np.sqrt(len(numbers))
            found["interval"] = [float(numbers.mean() - reach), float(numbers.mean() + reach)]
    return found


def difference(values: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """The same of the differences, set by set (paired)."""
    return mean_and_interval(np.asarray(values, float) - np.asarray(others, float))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
