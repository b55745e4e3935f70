"""Maps of how dark each place of a micrograph is against its surroundings: where its particles are, without any model."""

import numpy as np
from scipy import ndimage

from drpnet.preprocess import centre_and_spread

PIXELS_PER_DIAMETER = 8
"""Size of the particle in the shrunken micrograph: fine enough to place it, small enough to try thousands of frames."""
_DISC_SIGMA, _SURROUNDINGS_SIGMA = 0.3, 0.8
"""In diameters. A narrower disc finds the shell of a hollow particle (apoferritin) darker than its centre."""
_CLIP_LEVELS, _CLIP_VALUES = 4.0, 3.0


def block_size(diameter_px: float) -> int:
    """The block in which a particle of that diameter has about `PIXELS_PER_DIAMETER` px."""
    return max(1, int(diameter_px / PIXELS_PER_DIAMETER))


def shrink(image: np.ndarray, block: int) -> np.ndarray:
    """The means of whole blocks of an image (h, w), float32; rows and columns that fill none are left out."""
    height, width = image.shape[0] // block, image.shape[1] // block
    blocks = image[: height * block, : width * block].reshape(height, block, width, block)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def darkness_of_image(small: np.ndarray, diameter: float) -> np.ndarray:
    """Darkness (h, w) of a shrunken micrograph with dark particles of `diameter` in its pixels.

    Standardised to mean 0 and deviation 1, so that places drawn at random average 0, and clipped at 3 deviations: ice
    that is far darker than particles counts no more than one of them.
    """
    median, spread = centre_and_spread(small)
    levels = np.clip((small - median) / spread, -_CLIP_LEVELS, _CLIP_LEVELS)
    return _standardised(-_disc_minus_surroundings(levels, diameter))


def darkness_of_labels(labels: np.ndarray, shape: tuple[int, int], diameter_px: float) -> np.ndarray:
    """The same for a micrograph of `shape` (h, w) of which only other centres (n, 2) (y, x) count: discs on nothing."""
    block = block_size(diameter_px)
    picture = np.zeros((max(1, shape[0] // block), max(1, shape[1] // block)))
    rows, columns = np.floor((np.asarray(labels, float).reshape(-1, 2) + 0.5) / block).astype(int).T
    inside = (rows >= 0) & (columns >= 0) & (rows < picture.shape[0]) & (columns < picture.shape[1])
    picture[rows[inside], columns[inside]] = 1.0
    return _standardised(_disc_minus_surroundings(picture, diameter_px / block))


def _disc_minus_surroundings(levels: np.ndarray, diameter: float) -> np.ndarray:
    disc = ndimage.gaussian_filter(levels, _DISC_SIGMA * diameter, mode="reflect")
    return disc - ndimage.gaussian_filter(levels, _SURROUNDINGS_SIGMA * diameter, mode="reflect")


def _standardised(values: np.ndarray) -> np.ndarray:
    values = np.clip(values / (values.std() or 1.0), -_CLIP_VALUES, _CLIP_VALUES)
    values = values - values.mean()
    return (values / (values.std() or 1.0)).astype(np.float32)
