"""What a transform of written coordinates is worth: how dark its places are on all micrographs, against chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from drpnet.frames.transforms import Shape, Transform


@dataclass(frozen=True)
class Case:
    """One micrograph of `shape` (h, w): centres (n, 2) (y, x) as written, and its darkness in blocks of `block` px."""

    name: str
    centres: np.ndarray
    shape: Shape
    darkness: np.ndarray
    block: int


class Evidence:
    """The centres of several micrographs on their maps of darkness, which have one block size."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = [case for case in cases if len(case.centres)]
        self.centres = np.concatenate([np.empty((0, 2)), *(case.centres for case in self.cases)])
        counts = [len(case.centres) for case in self.cases]
        self.owner = np.repeat(np.arange(len(counts)), counts)
        """Which micrograph (n,) each centre is of."""
        self.shapes = np.array([case.shape for case in self.cases], int).reshape(-1, 2)
        self._own_shapes = self.shapes[self.owner]
        self._sizes = np.array([case.darkness.shape for case in self.cases], int).reshape(-1, 2)
        self._block = self.cases[0].block if self.cases else 1
        self._maps = np.zeros((len(counts), *(self._sizes.max(axis=0) if counts else (1, 1))), np.float32)
        for place, case in zip(self._maps, self.cases, strict=True):
            place[: case.darkness.shape[0], : case.darkness.shape[1]] = case.darkness

    def only(self, number: int) -> "Evidence":
        """The evidence of one micrograph."""
        return Evidence([self.cases[number]])

    def thinned(self, most: int) -> "Evidence":
        """The same with at most about `most` centres, evenly taken, for a quick look."""
        step = -(-len(self.centres) // most)
        return self if step <= 1 else Evidence([
            Case(case.name, case.centres[::step], case.shape, case.darkness, case.block) for case in self.cases
        ])  # fmt: skip

    def spacing(self) -> float:
        """Median distance of a written centre to its nearest neighbour; infinite where there are no two."""
        found = [np.inf]
        for case in self.cases:
            distinct = np.unique(case.centres, axis=0)
            if len(distinct) > 1:
                found.append(float(np.median(cKDTree(distinct).query(distinct, k=2)[0][:, 1])))
        return min(found) if len(found) == 1 else float(np.median(found[1:]))

    def places(self, transform: Transform) -> np.ndarray:
        """Where a transform puts the centres: (n, 2) (y, x) px."""
        return transform.apply(self.centres, self._own_shapes)

    def holds(self, places: np.ndarray) -> np.ndarray:
        """Boolean (n,): which places (n, 2) lie in their micrographs."""
        return np.all((places >= -0.5) & (places <= self._own_shapes - 0.5), axis=1)

    def inside(self, transform: Transform) -> float:
        """Share of the places in their micrographs."""
        return float(self.holds(self.places(transform)).mean()) if len(self.centres) else 1.0

    def quick(self, transform: Transform) -> tuple[float, float]:
        """Mean darkness, of the nearest block, and share inside."""
        places = self.places(transform)
        inside = self.holds(places)
        rows, columns = self._blocks(places[inside], self.owner[inside])
        values = self._maps[self.owner[inside], rows, columns]
        return float(values.sum()) / max(len(places), 1), float(inside.mean()) if len(places) else 1.0

    def values(self, places: np.ndarray) -> np.ndarray:
        """Darkness (n,) interpolated at places (n, 2); 0 outside the micrograph."""
        inner = ((places + 0.5) / self._block - 0.5).clip(0, self._sizes[self.owner] - 1)
        points = np.concatenate([self.owner[None].astype(float), inner.T])
        found = ndimage.map_coordinates(self._maps, points, order=1, mode="nearest", output=float)
        return np.where(self.holds(places), found, 0.0)

    def contrast(self, transform: Transform) -> float:
        """Mean darkness of the places; 0 where they are random."""
        return float(self.values(self.places(transform)).mean()) if len(self.centres) else 0.0

    def contrasts(self, transform: Transform) -> np.ndarray:
        """The contrast on each micrograph (m,)."""
        values = self.values(self.places(transform))
        return np.bincount(self.owner, values, len(self.cases)) / np.bincount(self.owner, minlength=len(self.cases))

    def z(self, transform: Transform) -> float:
        """The summed darkness over its deviation when all places of a micrograph are moved together, at random.

        So their pattern stays: a lattice or a cluster has more chance of a lucky position than scattered places. The
        deviation is the root mean square of the cross-correlation of places and darkness over all shifts around the
        edges, and never below that of scattered places.
        """
        places = self.places(transform)
        inside = self.holds(places)
        variance = 0.0
        for number, (height, width) in enumerate(self._sizes):
            own = inside & (self.owner == number)
            counts = np.zeros((height, width))
            np.add.at(counts, self._blocks(places[own], self.owner[own]), 1)
            darkness = self._maps[number, :height, :width]
            sums = np.fft.irfft2(np.fft.rfft2(counts).conj() * np.fft.rfft2(darkness), s=(height, width))
            variance += max(float(sums.var()), float(own.sum()))
        return float(self.values(places).sum() / np.sqrt(variance)) if variance else 0.0

    def gain(self, transform: Transform, other: Transform) -> float:
        """How many standard errors the paired differences of two transforms, particle by particle, are above 0.

        Of three and more micrographs the one that speaks loudest is left out: no single micrograph may decide.
        """
        if transform == other or not len(self.centres):
            return 0.0
        change = self.values(self.places(transform)) - self.values(self.places(other))
        sums, squares = np.bincount(self.owner, change), np.bincount(self.owner, change**2)
        variances = squares - sums**2 / np.bincount(self.owner)
        if len(sums) > 2:
            others = np.arange(len(sums)) != np.argmax(sums)
            sums, variances = sums[others], variances[others]
        return float(sums.sum() / np.sqrt(max(variances.sum(), 1e-6 * len(change))))

    def offset(self, transform: Transform, diameter_px: float) -> tuple[np.ndarray, np.ndarray]:
        """The offset (2,) (y, x) in px that brings the places onto the particles, and its jackknife error (2,).

        The top of a parabola through the contrasts of offsets within 0.2 diameters, fitted again around its own top.
        """
        places = self.places(transform)
        steps = np.linspace(-0.2, 0.2, 5) * diameter_px
        grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        parts = max(2, min(20, len(places) // 5))
        group = np.arange(len(places)) % parts
        y, x = grid.T
        terms = np.linalg.pinv(np.stack([np.ones_like(y), y, x, y * y, x * x, x * y], axis=1))

        def top(values: np.ndarray) -> np.ndarray:
            _, b_y, b_x, c_y, c_x, c_xy = terms @ values
            return np.linalg.pinv(np.array([[2 * c_y, c_xy], [c_xy, 2 * c_x]])) @ [-b_y, -b_x]

        centre, reach = np.zeros(2), 0.3 * diameter_px
        for _ in range(4):
            sums = np.stack([np.bincount(group, self.values(places + centre + one), parts) for one in grid], axis=1)
            whole = sums.sum(axis=0)
            tops = centre + np.array([top(whole - part) for part in sums]).clip(-reach, reach)
            centre = centre + top(whole).clip(-reach, reach)
        return centre, np.sqrt((parts - 1) * tops.var(axis=0))

    def _blocks(self, places: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inner = np.floor((places + 0.5) / self._block).astype(int)
        rows, columns = inner.clip(0, self._sizes[owner] - 1).T
        return rows, columns
