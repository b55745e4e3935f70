"""Maxima of the distance map: smoothing, extended maxima at several levels, centroids (released detection script)."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from drpnet.config import DetectionConfig


@dataclass(frozen=True)
class Peaks:
    """Candidates of one map: centres (n, 2) (y, x), heights (n,) of the smoothed map there, levels (n,) 1..k."""

    centres: np.ndarray
    heights: np.ndarray
    levels: np.ndarray


def smooth_map(distance_map: np.ndarray, diameter_px: float, config: DetectionConfig) -> np.ndarray:
    """The map (h, w) in which peaks are sought: normalised, rounded and smoothed as the settings say."""
    smooth: np.ndarray = distance_map.astype(np.float32)
    if config.normalise_map and smooth.max() > 0:
        smooth = smooth / smooth.max()
    if config.eight_bit:
        smooth = np.round(np.clip(smooth, 0, 1) * 255) / 255
    if config.first_smoothing_px:
        smooth = ndimage.gaussian_filter(smooth, config.first_smoothing_px, mode="nearest")
    sigma = config.smoothing_sigma_px or config.smoothing_sigma_diameters * diameter_px
    if sigma and config.even_kernel:
        return smooth_with_even_kernel(smooth, sigma)
    return ndimage.gaussian_filter(smooth, sigma, mode="nearest") if sigma else smooth


def smooth_with_even_kernel(image: np.ndarray, sigma: float) -> np.ndarray:
    """An image (h, w) smoothed with weights of a Gaussian at an even number of places up to 3 sigma, zeros around it.

    The places lie half a pixel beside the pixels, so what was at (y, x) comes out at (y - 0.5, x - 0.5).
    """
    half = max(1, round(3 * sigma))
    places = np.arange(2 * half) - (half - 0.5)
    weights = np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (0, 1):
        image = ndimage.correlate1d(image, weights, axis, mode="constant", origin=-1)
    return image


def find_peaks(distance_map: np.ndarray, diameter_px: float, config: DetectionConfig) -> Peaks:
    """Candidates of a distance map (h, w): centroids of its extended maxima, graded by level, strongest first.

    A candidate's level is the largest k <= config.levels such that an extended maximum at k x threshold holds it. Candidates
    closer to an edge than the border, or to a stronger candidate than the minimum distance, are dropped. A flat map has none.
    """
    from drpnet.floods import graded_maxima  # numba takes half a second to import; only picking needs it

    smooth = smooth_map(distance_map, diameter_px, config)
    centres, heights, levels = graded_maxima(smooth, config.threshold, config.minimum_level, config.levels)
    border = config.border_diameters * diameter_px
    within = np.all((centres >= border) & (centres <= np.asarray(smooth.shape) - 1 - border), axis=1)
    order = np.argsort(-heights, kind="stable")
    order = order[np.asarray(within)[order]]
    centres, heights, levels = centres[order], heights[order], levels[order]
    kept = suppress_neighbours(centres, config.minimum_distance_diameters * diameter_px)
    return Peaks(centres[kept], heights[kept], levels[kept])


def suppress_neighbours(centres: np.ndarray, minimum_distance: float) -> np.ndarray:
    """Boolean (n,): which of the centres (n, 2), strongest first, stay when closer ones than `minimum_distance` go."""
    kept = np.ones(len(centres), bool)
    if len(centres) < 2 or minimum_distance <= 0:
        return kept
    neighbours = cKDTree(centres).query_ball_point(centres, minimum_distance * (1 - 1e-9))
    for i, near in enumerate(neighbours):
        if kept[i]:
            kept[[j for j in near if j > i]] = False
    return kept
