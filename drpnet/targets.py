"""Training targets of the FCRN: particle discs become a distance map with its maxima at the particle centres (3.2.2)."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from drpnet.errors import InputError


def disc_mask(shape: tuple[int, int], centres: np.ndarray, radius: float) -> np.ndarray:
    """Boolean (h, w): pixels within `radius` px of one of the centres (n, 2) (y, x)."""
    mask = np.zeros(shape, bool)
    for window, squared in _windows(shape, centres, radius):
        mask[window] |= squared <= radius * radius
    return mask


def distance_map(shape: tuple[int, int], centres: np.ndarray, radius: float) -> np.ndarray:
    """Distance of every pixel to the nearest background pixel of the particles' mask, over `radius`: (h, w) float32.

    The paper's distance transform (3.2.2). Touching discs are one region, as in the paper: the map between them is a ridge.
    """
    if len(centres) == 0:
        return np.zeros(shape, np.float32)
    # a border of background, so that a mask that fills the image still has somewhere to measure from
    padded = np.pad(disc_mask(shape, centres, radius), 1)
    distance = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    return np.minimum(distance / radius, 1.0).astype(np.float32)


def cone_map(shape: tuple[int, int], centres: np.ndarray, radius: float) -> np.ndarray:
    """1 - distance to the nearest centre over `radius`, 0 outside: (h, w) float32.

    Equals `distance_map` for isolated particles up to a pixel's discretisation; touching particles keep their own maxima.
    """
    nearest = np.full(shape, radius * radius, np.float64)
    for window, squared in _windows(shape, centres, radius):
        np.minimum(nearest[window], squared, out=nearest[window])
    return (1.0 - np.sqrt(nearest) / radius).astype(np.float32)


def leave_out(target: np.ndarray, places: np.ndarray, radius: float) -> np.ndarray:
    """The map (h, w) with NaN, which no loss counts, within `radius` px of the places (n, 2) where it is 0."""
    return np.where(disc_mask(target.shape, places, radius) & (target == 0), np.float32(np.nan), target)


def without_unlabelled(target: np.ndarray, doubtful: np.ndarray, edge: float, radius: float) -> np.ndarray:
    """The map (h, w) without what nobody knows: around doubtful places (n, 2), and an edge that nobody labelled, in px.

    A particle there would reach half its diameter, `radius` px, beyond.
    """
    target = leave_out(target, doubtful, radius) if len(doubtful) else target
    return leave_out_edge(target, edge + radius) if edge else target


def leave_out_edge(target: np.ndarray, width: float) -> np.ndarray:
    """The map (h, w) with NaN, which no loss counts, within `width` px of an edge where it is 0; 0 px: the map itself."""
    edge, first = np.ones(target.shape, bool), int(np.ceil(width))
    edge[first : target.shape[0] - first, first : target.shape[1] - first] = False
    return np.where(edge & (target == 0), np.float32(np.nan), target)


def _windows(shape: tuple[int, int], centres: np.ndarray, radius: float):
    """For every centre, the slices of the image around it and the squared distances inside them."""
    reach = int(np.ceil(radius))
    for y, x in np.asarray(centres, float).reshape(-1, 2):
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        bottom, right = min(shape[0], int(y) + reach + 2), min(shape[1], int(x) + reach + 2)
        if top >= bottom or left >= right:
            continue
        dy = np.arange(top, bottom)[:, None] - y
        dx = np.arange(left, right)[None, :] - x
        yield (slice(top, bottom), slice(left, right)), dy * dy + dx * dx


def merged_centres(shape: tuple[int, int], centres: np.ndarray, radius: float) -> np.ndarray:
    """Centroids (m, 2) (y, x) of the 8-connected regions that discs around centres (n, 2) paint (released training script)."""
    regions, count = ndimage.label(disc_mask(shape, centres, radius), np.ones((3, 3), int))
    return np.array(ndimage.center_of_mass(regions > 0, regions, range(1, count + 1)), float).reshape(-1, 2)


def _require_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise InputError(f"target.{name} is {value}; use a share of the diameter in 0..1")


@dataclass(frozen=True)
class DiscTarget:
    """A rival target: 1 on the particles' discs, 0 elsewhere; called as `DistanceTarget`."""

    radius_diameters: float = 0.25
    """Radius of the discs in particle diameters."""

    def __post_init__(self) -> None:
        """Raise InputError for a radius that cannot work."""
        _require_share("radius_diameters", self.radius_diameters)

    def __call__(self, shape: tuple[int, int], centres: np.ndarray, diameter_px: float) -> np.ndarray:
        """The target map (h, w) float32 for particle centres (n, 2) (y, x)."""
        return disc_mask(shape, centres, max(1.0, self.radius_diameters * diameter_px)).astype(np.float32)


@dataclass(frozen=True)
class GaussianTarget:
    """A rival target: a Gaussian of height 1 at every particle, the higher one where two meet; called as `DistanceTarget`."""

    sigma_diameters: float = 0.17
    """Sigma in particle diameters."""

    def __post_init__(self) -> None:
        """Raise InputError for a sigma that cannot work."""
        _require_share("sigma_diameters", self.sigma_diameters)

    def __call__(self, shape: tuple[int, int], centres: np.ndarray, diameter_px: float) -> np.ndarray:
        """The target map (h, w) float32 for particle centres (n, 2) (y, x); 0 beyond four sigma."""
        target, sigma = np.zeros(shape, np.float32), self.sigma_diameters * diameter_px
        for window, squared in _windows(shape, centres, 4 * sigma):
            np.maximum(target[window], np.exp(-squared / (2 * sigma * sigma)), out=target[window], casting="same_kind")
        return target


@dataclass(frozen=True)
class DistanceTarget:
    """The FCRN's target for one micrograph, as a callable (h, w), centres (n, 2), diameter in px -> (h, w) in 0..1."""

    radius_diameters: float = 0.4
    """Radius of the discs in particle diameters."""
    squared: bool = False
    """Square the map, as the released code does (the paper says distance)."""
    merge_touching: bool = False
    """Distance transform of the union of the discs (paper); otherwise each particle keeps its own cone."""
    merge_centres_diameters: float = 0.0
    """Particles whose discs of this radius touch become one, in their middle (released code: about a sixth); 0: none."""

    def __post_init__(self) -> None:
        """Raise InputError for a radius that cannot work."""
        _require_share("radius_diameters", self.radius_diameters)
        if not 0 <= self.merge_centres_diameters <= 1:
            raise InputError(
                f"target.merge_centres_diameters is {self.merge_centres_diameters}; use a share of the diameter in 0..1"
            )

    def __call__(self, shape: tuple[int, int], centres: np.ndarray, diameter_px: float) -> np.ndarray:
        """The target map (h, w) float32 for particle centres (n, 2) (y, x)."""
        radius = max(1.0, self.radius_diameters * diameter_px)
        if self.merge_centres_diameters:
            centres = merged_centres(shape, centres, self.merge_centres_diameters * diameter_px)
        target = (distance_map if self.merge_touching else cone_map)(shape, centres, radius)
        return target * target if self.squared else target
