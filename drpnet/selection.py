"""The classifier's training samples, taken without labels from the FCRN's own detections (paper 3.3.2)."""

import numpy as np
from scipy.spatial import cKDTree

from drpnet.config import SelectionConfig

POSITIVE, NEGATIVE, UNUSED = 1, 0, -1


def select_samples(
    heights: np.ndarray, levels: np.ndarray, deviations: np.ndarray, config: SelectionConfig
) -> np.ndarray:
    """Label pooled candidates (n,): 1 positive, 0 negative, -1 unused.

    heights (n,) are the detection scores, levels (n,) the grades of `find_peaks`, deviations (n,) the standard deviations
    of the patches in the micrograph's own units. `confidence`: positives are confident detections of a high level,
    negatives the least confident ones. `deviation` (the paper's rule for 10061): above and below the given quantiles of
    the deviation alone.
    """
    labels = np.full(len(heights), UNUSED)
    if len(heights) == 0:
        return labels
    if config.labels == "deviation":
        labels[deviations >= np.quantile(deviations, config.positive_quantile)] = POSITIVE
        labels[deviations < np.quantile(deviations, config.negative_quantile)] = NEGATIVE
        return labels
    confident = (levels >= config.positive_level) & (heights >= np.quantile(heights, config.positive_quantile))
    labels[confident] = POSITIVE
    labels[~confident & (heights < np.quantile(heights, config.negative_quantile))] = NEGATIVE
    return labels


def judge_by_grey_levels(
    labels: np.ndarray, deviations: np.ndarray, means: np.ndarray, config: SelectionConfig
) -> np.ndarray:
    """The labels (n,) with positives of low standard deviation or mean unused, and plain candidates made negative.

    deviations and means (n,) are those of the candidates' patches; the shares of the settings are of all candidates.
    """
    labels = labels.copy()
    if len(labels) == 0:
        return labels
    plain = deviations < np.quantile(deviations, config.positive_deviation_quantile)
    faint = means < np.quantile(means, config.positive_mean_quantile)
    labels[(labels == POSITIVE) & (plain | faint)] = UNUSED
    labels[deviations < np.quantile(deviations, config.negative_deviation_quantile)] = NEGATIVE
    return labels


def drop_near_positives(centres: np.ndarray, labels: np.ndarray, distance: float) -> np.ndarray:
    """The labels (n,) of one micrograph's candidates with negatives closer than `distance` px to a positive unused.

    The released code keeps negatives R/3 away from every positive; centres are (n, 2) (y, x).
    """
    labels = labels.copy()
    positive, negative = labels == POSITIVE, np.flatnonzero(labels == NEGATIVE)
    if positive.any() and len(negative):
        nearest, _ = cKDTree(centres[positive]).query(centres[negative])
        labels[negative[nearest < distance]] = UNUSED
    return labels


def background_centres(
    shape: tuple[int, int], centres: np.ndarray, distance: float, count: int, rng: np.random.Generator
) -> np.ndarray:
    """At most `count` random places (m, 2) (y, x) of an image of `shape` farther than `distance` px from all centres."""
    places = rng.uniform((0, 0), shape, (10 * count, 2))
    if len(centres) and len(places):
        nearest, _ = cKDTree(centres).query(places)
        places = places[nearest > distance]
    return places[:count]
