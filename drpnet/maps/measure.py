"""What two half maps are worth: FSC between them and with the structure, and the resolutions."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import rfftn

from drpnet.reconstruction.fsc import GOLD_STANDARD, half_map_fsc, resolution, shell_correlation

WITH_TRUTH = 0.5
"""Threshold of the FSC with the structure, which has no noise: where half maps of that quality have 0.143."""
_EDGE_PX = 4


@dataclass(frozen=True)
class Reference:
    """The structure (b, b, b) that the maps are compared with, a soft ball around it (0 to 1), Angstrom a voxel."""

    volume: np.ndarray
    mask: np.ndarray
    voxel_size: float


@dataclass(frozen=True)
class Measured:
    """Curves (b // 2 + 1,) by shell and resolutions in Angstrom, inf where a curve starts below its threshold."""

    frequency: np.ndarray
    unmasked: np.ndarray
    halves: np.ndarray
    """FSC of the masked half maps, corrected for the mask."""
    truth: np.ndarray
    """FSC of both halves together with the structure, masked."""
    resolution_halves: float
    resolution_truth: float


def measure(halves: tuple[np.ndarray, np.ndarray], reference: Reference, seed: int) -> Measured:
    """Compare half maps (b, b, b) with each other and with the structure."""
    fsc = half_map_fsc(*halves, reference.voxel_size, reference.mask, seed)
    whole = (halves[0] + halves[1]) * reference.mask
    truth = shell_correlation(rfftn(whole), rfftn(reference.volume * reference.mask))
    return Measured(
        fsc.frequency,
        fsc.unmasked,
        fsc.corrected,
        truth,
        resolution(fsc.corrected, fsc.frequency, GOLD_STANDARD, interpolate=True),
        resolution(truth, fsc.frequency, WITH_TRUTH, interpolate=True),
    )


def soft_ball(box: int, radius: float) -> np.ndarray:
    """Mask (b, b, b): 1 within the radius in px, which is cut to what the box holds, and a cosine edge of 4 px."""
    distance = np.linalg.norm(np.mgrid[:box, :box, :box] - box // 2, axis=0)
    radius = min(radius, box / 2 - _EDGE_PX)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((radius + _EDGE_PX - distance) / _EDGE_PX, 0, 1))
