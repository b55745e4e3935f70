"""From a micrograph to the network's frame: rescale, contrast, illumination (paper 3.2.1)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from drpnet.config import PreprocessConfig
from drpnet.errors import InputError

_FEWEST_USUAL = 0.05
"""Share of usual grey levels around a pixel below which its local average falls back to the median."""


@dataclass(frozen=True)
class Frame:
    """A preprocessed micrograph: image (h, w) float32, pixel size in Angstrom, size of the particle in its pixels."""

    image: np.ndarray
    pixel_size: float
    particle_diameter_px: float
    scale: tuple[float, float]
    """Micrograph pixels per frame pixel along (y, x)."""
    half_size_pass: bool = False
    """The FCRN sees this frame at half its size: `network_frame`."""

    def to_micrograph(self, centres: np.ndarray) -> np.ndarray:
        """Centres (n, 2) (y, x) of this frame in the pixels of the micrograph."""
        scale = np.asarray(self.scale)
        return (np.asarray(centres, float).reshape(-1, 2) + 0.5) * scale - 0.5

    def from_micrograph(self, centres: np.ndarray) -> np.ndarray:
        """Centres (n, 2) (y, x) of the micrograph in the pixels of this frame."""
        scale = np.asarray(self.scale)
        return (np.asarray(centres, float).reshape(-1, 2) + 0.5) / scale - 0.5


def without_offset(image: np.ndarray) -> np.ndarray:
    """An image (h, w) minus its median, float32: averaged and filtered on top of a large offset, grey levels lose digits."""
    step = max(1, min(image.shape) // 512)
    return (image - np.median(image[::step, ::step])).astype(np.float32, copy=False)


def rescale(image: np.ndarray, pixel_size: float, target_pixel_size: float) -> tuple[np.ndarray, tuple[float, float]]:
    """Resample an image (h, w) to about `target_pixel_size`, antialiased; pixel areas, not corners, are kept aligned.

    Returns the image and the achieved number of input pixels per output pixel along (y, x). Large reductions are first
    averaged over whole blocks, which leaves the final interpolation little to do.
    """
    height, width = image.shape
    factor = target_pixel_size / pixel_size
    new_height, new_width = max(1, round(height / factor)), max(1, round(width / factor))
    if (new_height, new_width) == (height, width):
        return np.ascontiguousarray(image, dtype=np.float32), (1.0, 1.0)
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
    block = int(factor / 2)
    if block >= 2 and height % block == 0 and width % block == 0:
        tensor = F.avg_pool2d(tensor, block)
    tensor = F.interpolate(tensor, size=(new_height, new_width), mode="bilinear", antialias=True, align_corners=False)
    return tensor[0, 0].numpy(), (height / new_height, width / new_width)


def bin_by(image: np.ndarray, factor: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Resample an image (h, w) by a whole factor, bicubic and antialiased, to (h // factor, w // factor).

    Returns it with the factor along (y, x). Rows and columns that fill no whole pixel are left out.
    """
    height, width = image.shape[0] // factor, image.shape[1] // factor
    tensor = torch.from_numpy(np.ascontiguousarray(image[: height * factor, : width * factor], dtype=np.float32))
    if factor > 1:
        size = (height, width)
        tensor = F.interpolate(tensor[None, None], size, mode="bicubic", antialias=True, align_corners=False)[0, 0]
    return tensor.numpy(), (float(factor), float(factor))


def correct_illumination(image: np.ndarray, sigma: float, outlier_deviations: float = 0.0) -> np.ndarray:
    """Eq. 1: subtract the local average of an image (h, w), add the global one; sigma in pixels, edges mirrored.

    Grey levels more than `outlier_deviations` robust standard deviations from the median (0: none) are left out of the
    average: a crystal of ice would otherwise wear a bright halo as wide as sigma that hides the particles around it.
    """
    if not outlier_deviations:
        background = _wide_gaussian(image, sigma)
    else:
        median, spread = centre_and_spread(image)
        usual = (np.abs(image - median) <= outlier_deviations * spread).astype(np.float32)
        average = _wide_gaussian(usual * (image - median), sigma)
        background = median + average / np.maximum(_wide_gaussian(usual, sigma), _FEWEST_USUAL)
    return (image - background + background.mean()).astype(np.float32)


def _wide_gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    """The Gaussian-weighted average of an image (h, w), mirrored at its edges.

    It is taken on a block-averaged copy and interpolated back; what this changes is far below the noise (the mirrored,
    separable Gaussian of the full image is the oracle in the tests).
    """
    block = max(1, int(sigma / 8))
    if block == 1:
        return ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=3.0)
    small = ndimage.gaussian_filter(_block_average(image, block), sigma / block, mode="reflect", truncate=3.0)
    return _enlarge(small, block, image.shape)


def _block_average(image: np.ndarray, block: int) -> np.ndarray:
    height, width = image.shape
    padded = np.pad(image, ((0, -height % block), (0, -width % block)), mode="symmetric")
    tensor = torch.from_numpy(np.ascontiguousarray(padded))[None, None]
    return F.avg_pool2d(tensor, block)[0, 0].numpy()


def _enlarge(small: np.ndarray, block: int, shape: tuple[int, ...]) -> np.ndarray:
    tensor = torch.from_numpy(small)[None, None]
    size = (small.shape[0] * block, small.shape[1] * block)
    large = F.interpolate(tensor, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
    return large[: shape[0], : shape[1]]


def stretch_contrast(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map the percentiles `low` and `high` of an image (h, w) to 0 and 1 and clip (MATLAB's stretchlim + imadjust)."""
    bottom, top = np.percentile(image, [low, high])
    if top <= bottom:
        raise InputError(
            f"the micrograph has no contrast between its percentiles {low} and {high}; "
            "is most of it blank or masked? use a wider preprocess.stretch_percentiles"
        )
    return np.clip((image - bottom) / (top - bottom), 0, 1).astype(np.float32)


def centre_and_spread(image: np.ndarray) -> tuple[float, float]:
    """Median and robust standard deviation (1.4826 MAD) of an image (h, w): carbon and ice hardly move them."""
    step = max(1, min(image.shape) // 512)
    sample = image[::step, ::step]
    median = float(np.median(sample))
    spread = 1.4826 * float(np.median(np.abs(sample - median))) or float(image.std())
    if not spread > 0:
        raise InputError("the micrograph is constant after preprocessing; is it blank?")
    return median, spread


def clip_outliers(image: np.ndarray, deviations: float) -> np.ndarray:
    """Clip an image (h, w) at `deviations` robust standard deviations around its median."""
    median, spread = centre_and_spread(image)
    return np.clip(image, median - deviations * spread, median + deviations * spread)


def standardise(image: np.ndarray) -> np.ndarray:
    """Subtract the median of an image (h, w) and divide by its robust standard deviation."""
    median, spread = centre_and_spread(image)
    return ((image - median) / spread).astype(np.float32)


def smoothed(image: np.ndarray, sigma: float, config: PreprocessConfig) -> np.ndarray:
    """An image (h, w) convolved with a Gaussian of `sigma` px, cut off where the settings say; its edges go on unchanged."""
    return ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=config.smoothing_reach_sigmas)


def released_scale(box_size_px: float, width_px: int) -> tuple[int, int]:
    """The authors' SetScaleFactors: (binning factor, radius of the particle in the binned frame) for a box in pixels."""
    radius = box_size_px / 2
    reference = 48 if radius > 144 else 32
    ratio = radius / reference
    first = math.ceil(ratio) if ratio > 2 else 2 if ratio > 1 else 1
    second = math.ceil(width_px / 1800) if width_px / first > 1800 else 1
    factor = first * second
    return factor, int(radius // factor)


def preprocess(image: np.ndarray, pixel_size: float, particle_diameter: float, config: PreprocessConfig) -> Frame:
    """Bring a micrograph (h, w) into the network's frame; `particle_diameter` in Angstrom is its longest dimension.

    Under `scale_rule: released` the diameter is the authors' box edge. Raises InputError when the particle cannot be
    seen in the image.
    """
    height, width = image.shape
    diameter_px = particle_diameter / pixel_size
    if diameter_px > min(height, width):
        raise InputError(
            f"the particle diameter of {particle_diameter:g} Angstrom is {diameter_px:.0f} px at {pixel_size:g} A/px, "
            f"larger than the {height} x {width} image; give --diameter (in training dataset.particle_diameter) "
            "in Angstrom and check the pixel size"
        )
    if diameter_px < 4:
        raise InputError(
            f"the particle diameter of {particle_diameter:g} Angstrom is only {diameter_px:.1f} px at {pixel_size:g} "
            "A/px, fewer than the 4 px that a picker needs; check --diameter (in training dataset.particle_diameter) and the "
            "pixel size"
        )
    if image.min() == image.max():
        raise InputError("the micrograph is constant; is it blank?")
    if config.stretch_passes or (config.standardise and not config.mean_level and not config.eight_bit):
        image = without_offset(image)  # these settings map any offset to the same levels
    if config.outlier_deviations:
        image = clip_outliers(image, config.outlier_deviations)
    half = False
    if config.scale_rule == "released":
        # the authors' box is a whole number of px, and a fraction of one decides on the half-size pass
        factor, radius = released_scale(round(diameter_px), width)
        half = config.half_size_pass and radius >= (48 if diameter_px > 288 else 32)
        small, scale = bin_by(image, factor)
    else:
        small, scale = rescale(image, pixel_size, particle_diameter / config.particle_diameter_px)
    achieved = pixel_size * math.sqrt(scale[0] * scale[1])
    # the authors' radius is a whole number
    particle_px = 2.0 * max(1, radius) if config.scale_rule == "released" else particle_diameter / achieved

    small = -small if config.negative_stain else small
    if config.smoothing_before_px:
        small = smoothed(small, config.smoothing_before_px, config)
    for _ in range(config.stretch_passes):
        small = stretch_contrast(small, *config.stretch_percentiles)
    if config.mean_level and not 0.5 <= small.mean() <= 0.6:
        small = np.clip(small + config.mean_level - small.mean(), 0, 1)
    sigma = config.illumination_sigma_px or config.illumination_sigma_diameters * particle_px
    if sigma:
        small = correct_illumination(small, sigma, config.illumination_outliers)
    if config.eight_bit:
        small = np.round(np.clip(small, 0, 1) * 255) / 255
    after_px = (half and config.smoothing_after_half_size_px) or config.smoothing_after_px
    if after_px:
        small = smoothed(small, after_px, config)
    if config.standardise:
        small = standardise(small)
        if config.outlier_deviations:
            small = np.clip(small, -config.outlier_deviations, config.outlier_deviations)
    return Frame(np.ascontiguousarray(small, dtype=np.float32), achieved, particle_px, scale, half)


def network_frame(frame: Frame) -> Frame:
    """What the FCRN sees of a frame, in training as in picking: the frame, or half its size under the half-size pass."""
    if not frame.half_size_pass:
        return frame
    image, (rows, columns) = rescale(frame.image, pixel_size=1.0, target_pixel_size=2.0)
    factor = math.sqrt(rows * columns)
    scale = (frame.scale[0] * rows, frame.scale[1] * columns)
    return Frame(image, frame.pixel_size * factor, frame.particle_diameter_px / factor, scale)


def enlarge(distance_map: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A map (h, w) of `network_frame` at the size of the frame itself, (height, width) or the same."""
    if distance_map.shape == shape:
        return distance_map
    tensor = torch.from_numpy(np.ascontiguousarray(distance_map))[None, None]
    return F.interpolate(tensor, size=shape, mode="bilinear", align_corners=False)[0, 0].numpy()
