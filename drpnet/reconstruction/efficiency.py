"""Efficiency of an orientation distribution, E_od: how evenly its views fill Fourier space.

Naydenova & Russo, Nat Commun 8:629 (2017), as their program cryoEF 1.1 computes it: every view fills the plane of Fourier
space through the origin that is perpendicular to it; the transform of the filling is a point spread function; E_od says how
round that is, 1 for a sphere. Its value depends on the box and on the B-factor, which therefore belong to it: on a grid of
64 voxels a perfectly even distribution reaches 0.805 with B = 160 and 0.935 with B = 1500.
"""

from dataclasses import dataclass

import numba
import numpy as np
from scipy.fft import fftshift, ifftn, ifftshift

from drpnet.errors import InputError
from drpnet.reconstruction.views import pixel_centres

BOX = 64
B_FACTOR = 160.0
_MARGIN = 2


@dataclass(frozen=True)
class Efficiency:
    """E_od with what it was computed from, and the point spread function's radius, all in voxels of the box."""

    e_od: float
    box: int
    b_factor: float
    mean_radius: float
    deviation: float
    smallest_radius: float
    largest_radius: float
    filled: float
    """Share of the voxels within the Fourier radius box / 2 - 2 that any view reaches."""


def orientation_efficiency(counts: np.ndarray, box: int = BOX, b_factor: float = B_FACTOR) -> Efficiency:
    """E_od of particles counted by view: `counts` (12 nside^2,) in nested HEALPix pixels, symmetric copies included.

    The centre of a pixel stands for its views (nside 64: within 0.5 degrees). `box` is in voxels, even and at least 8; the
    B-factor is in voxels squared. Raises InputError for a box that is odd or too small, or no views at all.
    """
    if box < 8 or box % 2:
        raise InputError(f"the box of E_od must be even and at least 8 voxels, got {box}; 64 is quick, 128 finer")
    if not b_factor >= 0:
        raise InputError(f"the B-factor of E_od must not be negative, got {b_factor:g}; cryoEF uses 160")
    seen = np.flatnonzero(counts)
    if not len(seen):
        raise InputError("E_od needs at least one view; give particles with angles")
    centres = pixel_centres(int(np.sqrt(len(counts) / 12)))[seen]
    filling = fourier_filling(centres, counts[seen].astype(float), box, b_factor)
    return _roundness(point_spread(filling), filling, b_factor)


def fourier_filling(views: np.ndarray, weights: np.ndarray, box: int, b_factor: float) -> np.ndarray:
    """Filling (box, box, box) of Fourier space (z, y, x), origin at box // 2, by views (n, 3) with weights (n,).

    Voxel k is on the plane of the view v where no component of (v . k) v exceeds half a voxel, |k| < box / 2 - 2; every
    plane shares its weight among its voxels; all is damped by exp(-b_factor |k|^2 / (2 box^2)).
    """
    filling = np.zeros((box, box, box))
    _fill(np.ascontiguousarray(views, float), np.ascontiguousarray(weights, float), filling)
    axis = np.arange(box) - box // 2
    square = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    return filling * np.exp(-b_factor * square / (2 * box**2))


@numba.njit(cache=True)
def _fill(views: np.ndarray, weights: np.ndarray, filling: np.ndarray) -> None:
    """Walk half of each plane over two axes and solve for the third, along which the view is longest; mirror it."""
    box = filling.shape[0]
    half = box // 2
    limit = (half - _MARGIN) ** 2
    strides = np.array([1, box, box * box])
    flat = filling.reshape(-1)
    origin = half * (1 + box + box * box)
    found = np.empty(2 * box * box, np.int64)
    for p in range(len(views)):
        view = views[p]
        longest = np.argmax(np.abs(view))
        first, second = (longest + 1) % 3, (longest + 2) % 3
        slope_i, slope_j = -view[first] / view[longest], -view[second] / view[longest]
        reach = 0.5 / view[longest] ** 2 + 1e-9  # the largest component of (v . k) v is (v . k) v_longest
        count = 0
        for i in range(half):
            width = int(np.sqrt(max(limit - i * i - 1e-6, 0.0)))
            for j in range(-width if i else 0, width + 1):
                middle = slope_i * i + slope_j * j
                for k in range(int(np.ceil(middle - reach)), int(np.floor(middle + reach)) + 1):
                    if i * i + j * j + k * k < limit and (i or j or k > 0):
                        found[count] = i * strides[first] + j * strides[second] + k * strides[longest]
                        count += 1
        share = weights[p] / (2 * count + 1)
        flat[origin] += share
        for c in range(count):
            flat[origin + found[c]] += share
            flat[origin - found[c]] += share


def point_spread(filling: np.ndarray) -> np.ndarray:
    """Point spread function (b, b, b), centre at b // 2, of a filling, on a grid twice as fine as its box."""
    box = len(filling)
    amplitudes = np.sqrt(filling / filling.sum()).astype(np.float32)
    padded = np.pad(amplitudes, box // 2)
    spread = np.abs(fftshift(ifftn(ifftshift(padded), overwrite_x=True)))
    middle = slice(box // 2, box // 2 + box)
    return spread[middle, middle, middle]


def _roundness(spread: np.ndarray, filling: np.ndarray, b_factor: float) -> Efficiency:
    box = len(spread)
    body = spread >= spread.max() / np.e**2
    inside = np.zeros(tuple(n - 1 for n in body.shape), np.int8)
    for step in np.ndindex(2, 2, 2):
        inside += body[tuple(slice(s, s + box - 1) for s in step)]
    surface = np.argwhere((inside > 0) & (inside < 8)) + 1
    radii = np.linalg.norm(surface - box // 2, axis=1)
    axis = np.arange(box) - box // 2
    ball = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < (box // 2 - _MARGIN) ** 2
    return Efficiency(
        e_od=float(1 - 2 * radii.std() / radii.mean()),
        box=box,
        b_factor=float(b_factor),
        mean_radius=float(radii.mean()),
        deviation=float(radii.std()),
        smallest_radius=float(radii.min()),
        largest_radius=float(radii.max()),
        filled=float(np.count_nonzero(filling[ball]) / ball.sum()),
    )
