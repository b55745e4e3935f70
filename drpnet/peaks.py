"""Maxima of the distance map: smoothing, extended maxima at several levels, centroids (released detection script)."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.morphology import local_maxima, reconstruction

from drpnet.config import DetectionConfig


@dataclass(frozen=True)
class Peaks:
    """Candidates of one map: centres (n, 2) (y, x), heights (n,) of the smoothed map there, levels (n,) 1..k."""

    centres: np.ndarray
    heights: np.ndarray
    levels: np.ndarray


def extended_maxima(image: np.ndarray, height: float) -> np.ndarray:
    """Regional maxima of the h-maxima transform of an image (h, w), 8-connected: boolean (h, w); MATLAB's imextendedmax.

    The h-maxima transform flattens every maximum that rises less than `height` above its surroundings (Soille,
    Morphological Image Analysis, 6.3.4). skimage's `h_maxima` marks a different set.
    """
    flattened = reconstruction(image - height, image, footprint=np.ones((3, 3)))
    return local_maxima(flattened, connectivity=2)


def find_peaks(distance_map: np.ndarray, diameter_px: float, config: DetectionConfig) -> Peaks:
    """Candidates of a distance map (h, w): centroids of its extended maxima, graded by level, strongest first.

    A candidate's level is the largest k <= config.levels such that an extended maximum at k x threshold holds it. Candidates
    closer to an edge than the border, or to a stronger candidate than the minimum distance, are dropped.
    """
    sigma = config.smoothing_sigma_px or config.smoothing_sigma_diameters * diameter_px
    smooth = ndimage.gaussian_filter(distance_map.astype(np.float32), sigma, mode="nearest") if sigma else distance_map
    if config.normalise_map and smooth.max() > 0:
        smooth = smooth / smooth.max()
    # float64: the reconstruction compares sums of the form (image - h), which must not round differently from image
    smooth = smooth.astype(np.float64)
    # a map without maxima is flat; its one plateau is no particle
    if smooth.max() - smooth.min() < config.threshold:
        return Peaks(np.empty((0, 2)), np.empty(0), np.empty(0, int))

    mask = extended_maxima(smooth, config.minimum_level * config.threshold)
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    index = np.arange(1, count + 1)
    centres = np.asarray(ndimage.center_of_mass(mask, labels, index)).reshape(-1, 2)
    heights = np.asarray(ndimage.maximum(smooth, labels, index))
    levels = np.full(count, config.minimum_level)
    for level in range(config.minimum_level + 1, config.levels + 1):
        stronger = extended_maxima(smooth, level * config.threshold)
        # the extended maxima grow with the level, so a surviving candidate lies inside one; but of several candidates
        # inside one stronger maximum only the highest is that maximum
        blobs, n_blobs = ndimage.label(stronger, structure=np.ones((3, 3)))
        if not n_blobs:
            break
        tops = np.asarray(ndimage.maximum(smooth, blobs, np.arange(1, n_blobs + 1)))
        places = np.asarray(ndimage.maximum_position(smooth, labels, index), int).reshape(-1, 2)
        inside = blobs[places[:, 0], places[:, 1]]
        keeps = (inside > 0) & (heights >= np.where(inside > 0, tops[inside - 1], np.inf))
        levels[keeps & (levels == level - 1)] = level

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
