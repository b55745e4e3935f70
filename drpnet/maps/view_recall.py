"""Recall by viewing direction: whether a picker loses some views, with a test that knows crowding and ice.

A view and its opposite are mirror images of each other, and symmetric copies are the same image, so both are one direction.
"""

from dataclasses import dataclass

import numpy as np

from drpnet.maps.known_poses import Simulation
from drpnet.measures.intervals import interval, resampled
from drpnet.reconstruction.symmetry import symmetry_matrices
from drpnet.reconstruction.views import directions, pixel_centres, pixels

BANDS = 5
NSIDE = 4
_RESAMPLES, _PERMUTATIONS = 2000, 2000


@dataclass(frozen=True)
class ViewRecall:
    """Recall over |cos tilt|, which random views fill evenly: from side views (0) to views along the z axis (1)."""

    particles: list[int]
    """In each of BANDS bands of |cos tilt|, side views first."""
    recall: list[float | None]
    """In each band; None without particles."""
    intervals: list[list[float] | None]
    """95 %, bootstrap over micrographs."""
    side_minus_axis: float | None
    """Recall of the half of the views nearest the sides less that of the half nearest the axis."""
    side_minus_axis_interval: list[float] | None
    p_uniform: float
    """How often as uneven a recall over the views' pixels arises when views are exchanged within micrographs."""


def recall_by_view(simulation: Simulation, found: np.ndarray, symmetry: str, seed: int = 0) -> ViewRecall:
    """Recall of the particles (n,) that were found, by view."""
    height = np.abs(np.cos(np.deg2rad(simulation.angles[:, 1])))
    band = np.minimum((height * BANDS).astype(int), BANDS - 1)
    # rows 0 .. BANDS - 1 are the bands, then the half near the sides and the half near the axis
    groups = np.stack([*(band == i for i in range(BANDS)), height < 0.5, height >= 0.5])
    micrographs = np.arange(len(simulation.names))
    inside = simulation.micrograph[:, None] == micrographs
    total, hits = groups.astype(float) @ inside, groups.astype(float) @ (inside & found[:, None])
    drawn = resampled(len(micrographs), _RESAMPLES, seed)
    recall, spread = _ratio(hits.sum(1), total.sum(1)), _ratio(drawn @ hits.T, drawn @ total.T)
    return ViewRecall(
        particles=total.sum(1)[:BANDS].astype(int).tolist(),
        recall=[_number(value) for value in recall[:BANDS]],
        intervals=[interval(spread[:, i]) for i in range(BANDS)],
        side_minus_axis=_number(recall[-2] - recall[-1]),
        side_minus_axis_interval=interval(spread[:, -2] - spread[:, -1]),
        p_uniform=uniformity(view_pixels(simulation.angles, symmetry), simulation.micrograph, found, seed),
    )


def uniformity(pixel: np.ndarray, micrograph: np.ndarray, found: np.ndarray, seed: int = 0) -> float:
    """p of the hypothesis that `found` (n,) does not depend on the view's `pixel` (n,), given the micrograph (n,).

    A permutation test of the chi-square of found by pixel: views are exchanged among the particles of a micrograph, so that
    what the ice and the crowd of a micrograph do to all of its particles is no evidence.
    """
    pixel = np.unique(pixel, return_inverse=True)[1]
    order = np.argsort(micrograph, kind="stable")
    pixel, found, micrograph = pixel[order], found[order], micrograph[order]
    if found.all() or not found.any() or pixel.max(initial=0) == 0:
        return 1.0
    rng = np.random.default_rng(seed)
    observed = _unevenness(pixel, found)
    # a random key within each micrograph, which is the whole part, exchanges the views there and nowhere else
    draws = (found[np.argsort(micrograph + rng.random(len(pixel)))] for _ in range(_PERMUTATIONS))
    more = sum(_unevenness(pixel, one) >= observed - 1e-9 for one in draws)
    return (1 + more) / (1 + _PERMUTATIONS)


def view_pixels(angles: np.ndarray, symmetry: str, nside: int = NSIDE) -> np.ndarray:
    """A number (n,) for the direction of angles (n, 3): pixels of symmetric copies and opposites share the smallest."""
    return canonical_pixels(symmetry, nside)[pixels(directions(*angles[:, :2].T), nside)]


def canonical_pixels(symmetry: str, nside: int = NSIDE) -> np.ndarray:
    """By pixel (12 nside^2,) the smallest of those that its centre's copies and their opposites lie in."""
    copies = np.einsum("kij,nj->kni", symmetry_matrices(symmetry), pixel_centres(nside))
    both = np.concatenate([copies, -copies])
    places = np.stack([pixels(one, nside) for one in both])
    first = places.min(axis=0)
    return first[first]


def recall_map(simulation: Simulation, found: np.ndarray, symmetry: str) -> tuple[np.ndarray, np.ndarray]:
    """Particles and how many were found, by pixel (12 NSIDE^2,) of HEALPix, all that are one direction together."""
    canonical = canonical_pixels(symmetry)
    own = view_pixels(simulation.angles, symmetry)
    total, hits = (np.bincount(own, weights, minlength=len(canonical)) for weights in (None, found.astype(float)))
    return total[canonical], hits[canonical]


def _unevenness(pixel: np.ndarray, found: np.ndarray) -> float:
    """Chi-square of found by pixel."""
    total, hits = np.bincount(pixel), np.bincount(pixel, found)
    share = found.mean()
    return float(((hits - total * share) ** 2 / (total * share * (1 - share))).sum())


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
