"""Means, spreads and paired differences over seeds and over micrographs."""

from typing import Any

import numpy as np
from scipy import stats


def interval(values: np.ndarray) -> dict[str, float]:
    """Mean of values (n,) and its 95 % confidence interval by Student's t; one value has none."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": float("nan"), "high": float("nan")}
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def by_micrograph(scores: dict[int, dict[str, Any]]) -> np.ndarray:
    """F (seeds, micrographs) of a row's scores by seed."""
    names = sorted(next(iter(scores.values()))["micrographs"])
    return np.array([[scores[seed]["micrographs"][name] for name in names] for seed in sorted(scores)])


def summary(scores: dict[int, dict[str, Any]], baseline: dict[int, dict[str, Any]] | None) -> dict[str, Any]:
    """What the table says of a row: pooled F over seeds, the two spreads, and the paired difference to its baseline.

    `spread_seeds` is the standard deviation of a seed's mean F over micrographs, `spread_micrographs` that of a
    micrograph's mean F over seeds. The difference is of pooled F, seed by seed; `over_micrographs` is the interval of the
    difference of a micrograph's mean F: the first says whether training again would change the sign, the second whether
    other micrographs would.
    """
    pooled = np.array([scores[seed]["f_measure"] for seed in sorted(scores)])
    table = by_micrograph(scores)
    row: dict[str, Any] = {
        "f_measure": {**interval(pooled), "seeds": pooled.round(4).tolist()},
        "average_precision": interval(np.array([scores[seed]["average_precision"] for seed in scores])),
        "best_f_measure": interval(np.array([scores[seed]["best_f_measure"] for seed in scores])),
        "spread_seeds": float(table.mean(axis=1).std(ddof=1)) if len(table) > 1 else float("nan"),
        "spread_micrographs": float(table.mean(axis=0).std(ddof=1)) if table.shape[1] > 1 else float("nan"),
        "difference": None,
    }
    if baseline is not None:
        seeds = sorted(set(scores) & set(baseline))
        paired = np.array([scores[seed]["f_measure"] - baseline[seed]["f_measure"] for seed in seeds])
        own = by_micrograph({seed: scores[seed] for seed in seeds})
        theirs = by_micrograph({seed: baseline[seed] for seed in seeds})
        row["difference"] = {**interval(paired), "over_micrographs": interval((own - theirs).mean(axis=0))}
    return row
