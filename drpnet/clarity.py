"""How clearly particles stand out in a micrograph, told from its power spectrum alone."""

import numpy as np
from scipy import fft

TILE_DIAMETERS = 3.2
PARTICLES, NOISE = (1.0, 2.0), (4.0, 6.0)
"""Bands of spatial frequency, in waves a particle diameter: where particles have most of their power, and where noise has."""
FAINT, CLEAR = 0.0, 2.5
"""Logarithm of the ratio of the bands' powers that counts as clarity 0, white noise, and as clarity 1."""


def clarity(image: np.ndarray, diameter_px: float) -> float:
    """From 0, where waves as long as the particle are no stronger than shorter ones, as in noise, to 1.

    A preprocessed micrograph (h, w), and the particle's diameter in its pixels; 0 below the 12 px that the noise's band needs.
    The median over square tiles, so that a carbon edge or a patch of frost decides nothing.
    """
    if diameter_px < 2 * NOISE[1]:
        return 0.0
    size = round(TILE_DIAMETERS * diameter_px)
    padded = np.pad(image, [(0, max(0, size - length)) for length in image.shape], mode="symmetric")
    half = size // 2
    tiles = np.lib.stride_tricks.sliding_window_view(padded, (size, size))[::half, ::half].reshape(-1, size, size)
    edges = np.hanning(size).astype(np.float32)
    modes = fft.rfft2((tiles - tiles.mean(axis=(1, 2), keepdims=True)) * np.outer(edges, edges))
    spectra = modes.real**2 + modes.imag**2
    waves = diameter_px * np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    particles, noise = (_power(spectra, waves, *band) for band in (PARTICLES, NOISE))
    ratio = float(np.median(np.log(particles) - np.log(noise)))
    return float(np.clip((ratio - FAINT) / (CLEAR - FAINT), 0, 1))


def _power(spectra: np.ndarray, waves: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    """Mean power (n,) of each spectrum (n, h, w) in a band; a little at least, for flat tiles have none."""
    least = max(1e-6 * float(spectra.mean()), 1e-30)
    power: np.ndarray = spectra[:, (waves >= lowest) & (waves < highest)].mean(axis=1) + least
    return power
