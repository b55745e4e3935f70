"""Extended maxima of an image at several heights by floods, compiled by numba; imported when peaks are first looked for.

The h-maxima transform flattens every maximum that rises less than h above its surroundings, and the extended maxima are the
regional maxima of what is left (Soille, Morphological Image Analysis, 6.3.4; MATLAB's imextendedmax). No transform is needed
to find them: the extended maximum of a maximum m is the connected region of pixels >= m - h around it, if that region holds
no pixel above m. A flood either fills this region or is over at the first higher pixel, which is near for most maxima.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def compiled(signature: str) -> Callable[[Callable], Any]:
    """Compile for `signature` and keep the result beside this file or in the user's cache, where either can be written."""

    def compile_it(function: Callable) -> Any:
        try:
            return numba.njit(signature, cache=True)(function)
        except (RuntimeError, OSError):
            return numba.njit(signature)(function)

    return compile_it


def graded_maxima(
    image: np.ndarray, threshold: float, lowest: int, highest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extended maxima (8-connected) of an image (h, w) at the height lowest x threshold, in raster order of their first pixels.

    Returns centroids (n, 2) (y, x), heights (n,) and levels (n,): the largest k <= highest such that the maximum is also one
    at the height k x threshold. A region that is the whole image is no maximum.
    """
    # float64: m - k x threshold must not round to the value of a pixel
    padded = np.pad(image.astype(np.float64), 1, constant_values=-np.inf)
    width, pixels = padded.shape[1], padded.ravel()
    around = np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    starts = _starts(pixels, around)
    levels, firsts, centres = _grade(pixels, around, starts, float(threshold), lowest, highest, image.size)
    order = np.argsort(firsts, kind="stable")
    order = order[levels[order] > 0]
    return centres[order], pixels[starts[order]], levels[order]


@compiled("int64[::1](float64[::1], int64[::1])")
def _starts(pixels, around):
    """Where (n,) a flat image (with a frame of -inf) has no higher neighbour, and no equal one before it."""
    width = around[-1] - 1
    found = np.empty(len(pixels), np.int64)
    count = 0
    for here in range(width + 1, len(pixels) - width - 1):
        value = pixels[here]
        if not value > -np.inf:
            continue
        for step in around:
            near = pixels[here + step]
            if near > value or (near == value and step < 0):
                break
        else:
            found[count] = here
            count += 1
    return found[:count].copy()


@compiled("int64(float64[::1], int64[::1], int64, float64, boolean, int32[::1], int32, int64[::1])")
def _flood(pixels, around, start, low, ties_lose, seen, mark, queue):
    """Fill `queue` with the region of pixels >= low around `start`; returns its size, or 0 when it holds a higher pixel.

    With `ties_lose` also when it holds an equal one before `start`: of the maxima of one region the first stands for all.
    """
    top = pixels[start]
    seen[start] = mark
    queue[0] = start
    done, size = 0, 1
    while done < size:
        for step in around:
            near = queue[done] + step
            value = pixels[near]
            if not value >= low or seen[near] == mark:
                continue
            if value > top or (ties_lose and value == top and near < start):
                return 0
            seen[near] = mark
            queue[size] = near
            size += 1
        done += 1
    return size


@compiled(
    "Tuple((int64[::1], int64[::1], float64[:, ::1]))"
    "(float64[::1], int64[::1], int64[::1], float64, int64, int64, int64)"
)
def _grade(pixels, around, starts, threshold, lowest, highest, whole):
    """Levels (n,) of the maxima at `starts` (0: none), first pixels (n,) and centroids (n, 2) of their regions."""
    width = around[-1] - 1
    seen, queue = np.zeros(len(pixels), np.int32), np.empty(len(pixels), np.int64)
    levels, firsts = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    centres = np.zeros((len(starts), 2))
    mark = 0
    for i, start in enumerate(starts):
        for level in range(lowest, highest + 1):
            mark += 1
            low = pixels[start] - level * threshold
            size = _flood(pixels, around, start, low, level == lowest, seen, np.int32(mark), queue)
            if size == 0 or size == whole:
                break
            levels[i] = level
            if level == lowest:
                firsts[i], rows, columns = start, -size, -size  # less the frame
                for place in queue[:size]:
                    firsts[i] = min(firsts[i], place)
                    rows += place // width
                    columns += place % width
                centres[i, 0], centres[i, 1] = rows / size, columns / size
    return levels, firsts, centres
