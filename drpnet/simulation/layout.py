"""Where particles lie: random, partly in clusters, never too close, never where it is forbidden."""

from collections.abc import Callable

import numpy as np

_TRIES_PER_PARTICLE = 400


def place_centres(
    rng: np.random.Generator,
    shape: tuple[int, int],
    count: int,
    distance: float,
    cluster_fraction: float,
    allowed: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Up to `count` centres (n, 2) float64 (y, x) in px inside the frame (h, w), `distance` px apart or more.

    A `cluster_fraction` of them is thrown within 1.3 distances of an earlier one; `allowed` maps (k, 2) to
    bool (k,).
    """
    cell = distance / np.sqrt(2)
    grid: dict[tuple[int, int], np.ndarray] = {}
    centres: list[np.ndarray] = []
    limit = np.asarray(shape, float) - 1
    for _ in range(_TRIES_PER_PARTICLE):
        missing = min(count - len(centres), 1 + len(centres))
        if missing <= 0:
            break
        throws = rng.uniform(0, 1, (missing, 2)) * limit
        if centres:
            clustered = rng.random(missing) < cluster_fraction
            anchor = np.asarray(centres)[rng.integers(len(centres), size=missing)]
            radius, angle = distance * rng.uniform(1.0, 1.3, missing), rng.uniform(0, 2 * np.pi, missing)
            beside = anchor + radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
            throws[clustered] = beside[clustered]
        good = np.all((throws >= 0) & (throws <= limit), axis=1)
        good[good] = allowed(throws[good])
        for throw in throws[good]:
            if _is_free(throw, grid, cell, distance):
                grid[int(throw[0] // cell), int(throw[1] // cell)] = throw
                centres.append(throw)
    return np.asarray(centres, float).reshape(-1, 2)


def _is_free(
    throw: np.ndarray, grid: dict[tuple[int, int], np.ndarray], cell: float, distance: float
) -> bool:
    row, column = int(throw[0] // cell), int(throw[1] // cell)
    for i in range(row - 2, row + 3):
        for j in range(column - 2, column + 3):
            other = grid.get((i, j))
            if other is not None and np.hypot(*(other - throw)) < distance:
                return False
    return True
