"""Numbers that follow from counts, scores and offsets: F-beta, averages, calibration, localisation. No files, no rules."""

from typing import Any

import numpy as np

from drpnet.errors import InputError

BINS = 10
"""Of the reliability curve."""
SHOWN_OFFSETS = 500
"""Offsets that a result holds for a picture."""


def check_beta(beta: float) -> float:
    """The beta of F-beta, the weight of recall against precision; InputError unless it is above 0 and finite."""
    if not (beta > 0 and np.isfinite(beta)):
        raise InputError(f"beta is {beta}; give a number above 0, for example 1, or 2 when recall matters more")
    return float(beta)


def f_beta(precision: np.ndarray, recall: np.ndarray, beta: float = 1.0) -> np.ndarray:
    """(1 + beta^2) P R / (beta^2 P + R), elementwise, 0 where both are 0 (van Rijsbergen 1979)."""
    top = (1 + beta**2) * np.asarray(precision, float) * recall
    below = beta**2 * np.asarray(precision, float) + recall
    return np.divide(top, below, out=np.zeros_like(top), where=below > 0)


def precision_recall(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall (...) of counts (..., 4): true picks, picks, found, truth; the empty sides of `Counts`."""
    true_picks, picks, found, truth = np.moveaxis(np.asarray(counts, float), -1, 0)
    both_empty = np.where((picks == 0) & (truth == 0), 1.0, 0.0)
    precision = np.divide(true_picks, picks, out=both_empty.copy(), where=picks > 0)
    return precision, np.divide(found, truth, out=both_empty, where=truth > 0)


def averaged(counts: np.ndarray, weights: np.ndarray, average: str, beta: float = 1.0) -> np.ndarray:
    """Precision, recall, F and F-beta (b, 4) of m micrographs with counts (m, 4), for each row of weights (b, m).

    A weight says how often a micrograph is there, as in a bootstrap; every row needs one above 0. `micro` pools the
    counts, `macro` takes the mean of each number over the micrographs, `max` the greatest.
    """
    counts, weights = np.asarray(counts, float), np.asarray(weights, float)
    if average == "micro":
        return _numbers(weights @ counts, beta)
    single = _numbers(counts, beta)
    if average == "macro":
        return weights @ single / weights.sum(axis=1, keepdims=True)
    return np.stack([np.where(row[:, None] > 0, single, -np.inf).max(axis=0) for row in weights])


def _numbers(counts: np.ndarray, beta: float) -> np.ndarray:
    precision, recall = precision_recall(counts)
    return np.stack([precision, recall, f_beta(precision, recall), f_beta(precision, recall, beta)], axis=-1)


def weighted_average_precision(
    scores: np.ndarray, is_true: np.ndarray, micrograph: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Average precision (b,) as `matching.average_precision` has it, for each row of weights (b, m) of m micrographs.

    scores (n,), is_true (n,) and micrograph (n,) are those of all picks, truth (m,) counts labels. NaN without labels.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hit, owner = scores[order], np.asarray(is_true, float)[order], micrograph[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.empty(0, int)
    areas = []
    for row in np.asarray(weights, float):
        weight = row[owner]
        tp, picks = np.cumsum(weight * hit)[last], np.cumsum(weight)[last]
        precision = np.divide(tp, picks, out=np.zeros_like(tp), where=picks > 0)
        labels = float(row @ truth)
        areas.append(np.sum(np.diff(tp, prepend=0.0) * precision) / labels if labels else np.nan)
    return np.array(areas)


def calibration(scores: np.ndarray, is_true: np.ndarray, bins: int = BINS) -> dict[str, Any] | None:
    """Reliability curve and expected calibration error of scores (n,) as probabilities of is_true (n,) (Guo et al. 2017).

    Equal bins of 0..1; each row has the bounds, how many picks, their mean score and the share that is true. The
    error is the mean of |share - mean score| over picks. None where scores leave 0..1 or are all equal.
    """
    scores, is_true = np.asarray(scores, float), np.asarray(is_true, bool)
    if not len(scores) or not (scores.min() >= 0 and scores.max() <= 1) or scores.min() == scores.max():
        return None
    place = np.minimum((scores * bins).astype(int), bins - 1)
    rows = []
    for index in range(bins):
        inside = place == index
        if inside.any():
            rows.append(
                {
                    "from": index / bins,
                    "to": (index + 1) / bins,
                    "picks": int(inside.sum()),
                    "mean_score": float(scores[inside].mean()),
                    "share_true": float(is_true[inside].mean()),
                }
            )
    error = sum(row["picks"] * abs(row["share_true"] - row["mean_score"]) for row in rows) / len(scores)
    return {"expected_calibration_error": float(error), "curve": rows}


def score_histogram(scores: np.ndarray, is_true: np.ndarray, bins: int = 30) -> dict[str, list[float]] | None:
    """How many true and false picks there are by score (n,): bounds (bins + 1) and counts; None without any pick."""
    scores, is_true = np.asarray(scores, float), np.asarray(is_true, bool)
    if not len(scores):
        return None
    bounds = np.histogram_bin_edges(scores, bins)
    counts = {name: np.histogram(scores[kind], bounds)[0] for name, kind in (("true", is_true), ("false", ~is_true))}
    return {"bounds": bounds.tolist(), **{name: count.tolist() for name, count in counts.items()}}


def localisation(
    offsets: np.ndarray, diameter_px: float | None = None, pixel_size: float | None = None
) -> dict[str, Any] | None:
    """How far matched picks lie from their labels: offsets (m, 2) are pick minus label in (y, x) px; None for none.

    Median, 95th percentile and the mean offset in x and y (a constant shift shows there), in px; in diameters and in
    Angstrom where `diameter_px` (px) and `pixel_size` (Angstrom/px) are known; some of the offsets, for a picture.
    """
    offsets = np.asarray(offsets, float).reshape(-1, 2)
    if not len(offsets):
        return None
    distance = np.hypot(*offsets.T)
    mean = offsets.mean(axis=0)
    thinned = offsets[np.unique(np.linspace(0, len(offsets) - 1, SHOWN_OFFSETS).round().astype(int))]
    in_px = {
        "median": float(np.median(distance)),
        "p95": float(np.percentile(distance, 95)),
        "mean_x": float(mean[1]),
        "mean_y": float(mean[0]),
    }
    scales = {"px": 1.0, "angstrom": pixel_size, "diameters": None if diameter_px is None else 1 / diameter_px}
    return {
        "matches": len(offsets),
        "offsets_px": [{"x": round(float(x), 2), "y": round(float(y), 2)} for y, x in thinned],
        **{
            unit: None if scale is None else {key: value * scale for key, value in in_px.items()}
            for unit, scale in scales.items()
        },
    }
