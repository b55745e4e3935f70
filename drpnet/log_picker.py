"""A Laplacian-of-Gaussian picker: the baseline without training that stands beside DRPnet."""

import math

import numpy as np
from scipy import ndimage

from drpnet.errors import InputError
from drpnet.peaks import suppress_neighbours
from drpnet.preprocess import clip_outliers, rescale, without_offset

DIAMETER_PX = 16.0
"""Particle diameter in the frame that is filtered."""
MINIMUM_DISTANCE_DIAMETERS = 0.6
BLOB_DIAMETERS = 0.8
"""Width of the blob over the particle's longest dimension: seen from most sides a particle is narrower."""


def log_candidates(
    image: np.ndarray,
    pixel_size: float,
    particle_diameter: float,
    minimum_distance_diameters: float = MINIMUM_DISTANCE_DIAMETERS,
    blob_diameters: float = BLOB_DIAMETERS,
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n, 2) (y, x) of dark particles of an image (h, w), and their scores (n,), best first.

    `particle_diameter`, the longest dimension, is in Angstrom. Particles are maxima of sigma^2 times the
    Laplacian of a Gaussian whose sigma = radius / sqrt(2) answers most to a disc of that radius (Lindeberg,
    Int. J. Comput. Vis. 30, 1998); discs are `blob_diameters` of the diameter wide. Scores are answers in
    robust standard deviations (1.4826 MAD), so one threshold serves micrographs of any contrast. Raises
    InputError for a particle that is larger than the image or smaller than 4 px.
    """
    if not (math.isfinite(particle_diameter) and particle_diameter > 0 and pixel_size > 0):
        raise InputError(
            f"a particle of {particle_diameter:g} Angstrom at {pixel_size:g} A/px: both must be above 0"
        )
    diameter_px = particle_diameter / pixel_size
    if not 4 <= diameter_px <= min(image.shape):
        raise InputError(
            f"a particle of {particle_diameter:g} Angstrom is {diameter_px:.1f} px at {pixel_size:g} A/px; "
            f"it must be at least 4 px and fit into the {image.shape[0]} x {image.shape[1]} image"
        )
    if np.ptp(image) == 0:
        return np.empty((0, 2)), np.empty(0)
    answer, scale = blob_answer(image, diameter_px, blob_diameters)
    spread = 1.4826 * float(np.median(np.abs(answer - np.median(answer)))) or float(answer.std())
    top = (ndimage.maximum_filter(answer, size=3, mode="nearest") == answer) & (answer > 0)
    places = np.argwhere(top)
    strength = answer[top]
    order = np.argsort(-strength, kind="stable")
    places, strength = places[order], strength[order]
    centres = (_refined(answer, places) + 0.5) * np.asarray(scale) - 0.5
    kept = suppress_neighbours(centres, minimum_distance_diameters * diameter_px)
    return centres[kept], strength[kept] / spread


def blob_answer(
    image: np.ndarray, diameter_px: float, blob_diameters: float = 1.0
) -> tuple[np.ndarray, tuple[float, float]]:
    """The scale-normalised Laplacian of Gaussian, positive on dark blobs, of a reduced image (h, w).

    Also returns the image pixels per reduced pixel along (y, x); there `diameter_px` becomes 16 px or less.
    """
    factor = max(1.0, diameter_px / DIAMETER_PX)
    small, scale = rescale(without_offset(image), 1.0, factor)
    small = clip_outliers(small, 5.0).astype(np.float64)
    # the truncated kernel does not sum to zero exactly, so the grey level would leak into the answer
    small -= small.mean()
    sigma = blob_diameters * diameter_px / math.sqrt(scale[0] * scale[1]) / 2 / math.sqrt(2)
    return sigma**2 * ndimage.gaussian_laplace(small, sigma, mode="reflect"), scale


def _refined(answer: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Tops (n, 2) of parabolas through each maximum and its neighbours along y and x."""
    padded = np.pad(answer, 1, mode="edge").astype(float)
    refined = places.astype(float)
    y, x = places.T + 1
    middle = padded[y, x]
    for axis, (before, after) in enumerate(
        [(padded[y - 1, x], padded[y + 1, x]), (padded[y, x - 1], padded[y, x + 1])]
    ):
        bend = before - 2 * middle + after
        step = np.where(bend < 0, (before - after) / np.where(bend < 0, 2 * bend, 1), 0)
        refined[:, axis] += np.clip(step, -0.5, 0.5)
    return refined
