"""Views on the sphere: which of the pixels of HEALPix are seen, and how many could be.

The paper counts missing views among the 12,288 pixels of nside 32 (1.8 degrees; Table 3). Refinement puts every particle
into the asymmetric unit of the point group, so with symmetry most of the sphere is empty whatever was picked. Pixels are
numbered in the nested scheme.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from astropy_healpix import healpy
from scipy.special import gammaln

from drpnet.reconstruction.symmetry import expand, fold, in_unit

NSIDE = 32
_FINER = 8


def directions(rot: np.ndarray, tilt: np.ndarray) -> np.ndarray:
    """Views (n, 3) as unit vectors (x, y, z) of rot and tilt (n,) in degrees."""
    phi, theta = np.deg2rad(rot), np.deg2rad(tilt)
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)


def rot_and_tilt(views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rot in -180..180 and tilt in 0..180 degrees of views (n, 3)."""
    return np.rad2deg(np.arctan2(views[:, 1], views[:, 0])), np.rad2deg(np.arccos(np.clip(views[:, 2], -1, 1)))


def pixels(views: np.ndarray, nside: int = NSIDE) -> np.ndarray:
    """The HEALPix pixel (n,) of each view (n, 3)."""
    return healpy.vec2pix(nside, *views.T, nest=True)


def pixel_centres(nside: int = NSIDE) -> np.ndarray:
    """The centre (12 nside^2, 3) of every pixel."""
    return np.stack(healpy.pix2vec(nside, np.arange(12 * nside**2), nest=True), axis=-1)


@lru_cache
def attainable(symmetry: str, nside: int = NSIDE) -> np.ndarray:
    """The share (12 nside^2,) of each pixel that lies in the asymmetric unit: 0 where no particle can be.

    Measured on the 64 pixels of the 8 times finer grid; the shares add up to the unit's area in pixels.
    """
    inside = [in_unit(part, symmetry) for part in np.array_split(pixel_centres(nside * _FINER), 12)]
    return np.concatenate(inside).reshape(-1, _FINER**2).mean(axis=1)


@dataclass(frozen=True)
class MissingViews:
    """Views without a particle. `raw` counts the file's angles as they stand, all others the angles in the unit."""

    total: int
    raw: int
    in_unit: int
    """Of `unit_total`."""
    unit_total: int
    """Pixels that the asymmetric unit touches."""
    attainable_minimum: int
    """`raw` at its best: `total - unit_total`."""
    uniform: float
    """`in_unit` that as many particles with random views would leave on average."""


class ViewCounts:
    """Particles per view, added part by part; the memory does not depend on how many there are.

    `raw` and `folded` (12288,) count the angles as they are and in the asymmetric unit at nside 32; `planes` (49152,) counts
    all symmetric copies at nside 64, each and its opposite as one, for the efficiency of the distribution.
    """

    def __init__(self, symmetry: str, planes_nside: int = 64) -> None:
        self.symmetry = symmetry
        self.planes_nside = planes_nside
        self.raw = np.zeros(12 * NSIDE**2, np.int64)
        self.folded = np.zeros(12 * NSIDE**2, np.int64)
        self.planes = np.zeros(12 * planes_nside**2, np.int64)

    def add(self, rot: np.ndarray, tilt: np.ndarray) -> None:
        """Count particles with these angles (n,) in degrees."""
        views = directions(rot, tilt)
        self.raw += np.bincount(pixels(views), minlength=len(self.raw))
        self.folded += np.bincount(pixels(fold(views, self.symmetry)), minlength=len(self.folded))
        copies = expand(views, self.symmetry)
        self.planes += np.bincount(pixels(upper(copies), self.planes_nside), minlength=len(self.planes))

    @property
    def particles(self) -> int:
        """How many were added."""
        return int(self.raw.sum())

    def missing(self) -> MissingViews:
        """The views that no particle has."""
        share = attainable(self.symmetry)
        possible = share > 0
        occupied = np.count_nonzero(self.folded[possible])
        total, unit = len(share), int(possible.sum())
        empty = (1 - share / share.sum()) ** self.particles
        return MissingViews(
            total=total,
            raw=int(total - np.count_nonzero(self.raw)),
            in_unit=int(unit - occupied),
            unit_total=unit,
            attainable_minimum=total - unit,
            uniform=float(empty[possible].sum()),
        )


def upper(views: np.ndarray) -> np.ndarray:
    """Of each view (n, 3) and its opposite the one in the upper half: z > 0, else y > 0, else x > 0."""
    x, y, z = views.T
    flip = (z < 0) | ((z == 0) & ((y < 0) | ((y == 0) & (x < 0))))
    return np.where(flip[:, None], -views, views)


def expected_occupied(counts: np.ndarray, particles: int) -> float:
    """How many pixels a random `particles` of the counted ones (counts per pixel) occupy on average.

    So two sets of different size can be compared at equal numbers (rarefaction; Hurlbert 1971). `particles` is at most the
    sum of the counts.
    """
    total = counts.sum()
    seen = counts[counts > 0]
    rest = total - seen
    possible = rest >= particles
    rest = rest[possible]
    none = np.exp(
        gammaln(rest + 1) - gammaln(rest - particles + 1) - gammaln(total + 1) + gammaln(total - particles + 1)
    )
    return float(len(seen) - none.sum())
