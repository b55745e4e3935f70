"""What a network's output pixel depends on, and how far picks lie beside true centres."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from drpnet.measures.matching import match_one_to_one


def sees(network: nn.Module, size: int = 256) -> list[int]:
    """How many px an output pixel sees up, left, down and right of itself: where a change of the input ever reaches it.

    By gradients at images of noise, which say what is connected; what max-pooling passes over in one is passed in others.
    With coarser pixels inside it depends on the place: the widest counts.
    """
    generator, reach = torch.Generator().manual_seed(0), np.zeros(4, int)
    for offset in range(8):
        middle, touched = size // 2 + offset, torch.zeros(size, size, dtype=torch.bool)
        for _ in range(12):
            image = torch.randn(1, 1, size, size, generator=generator, requires_grad=True)
            (gradient,) = torch.autograd.grad(network.eval()(image)[0, 0, middle, middle], image)
            touched |= gradient[0, 0] != 0
        rows, columns = (torch.nonzero(touched.any(dim=axis)).flatten() for axis in (1, 0))
        ends = (middle - rows[0], middle - columns[0], rows[-1] - middle, columns[-1] - middle)
        reach = np.maximum(reach, [int(end) for end in ends])
    return [int(value) for value in reach]


def offsets_of(picks: np.ndarray, truth: np.ndarray, diameter: float) -> tuple[np.ndarray, int]:
    """Pick minus true centre (m, 2) in px for picks (n, 2) of particles (k, 2), one to one within half a diameter; and k."""
    pairs = match_one_to_one(picks, truth, diameter / 2)
    return picks[pairs.pick_index] - truth[pairs.truth_index], len(truth)


def summary(offsets: Sequence[tuple[np.ndarray, int]]) -> dict[str, Any]:
    """Mean (y, x) with its standard error and the median distance, over all micrographs, in px."""
    every = np.concatenate([own for own, _ in offsets])
    return {
        "matches": len(every), "particles": sum(count for _, count in offsets),
        "mean_shift": every.mean(axis=0).tolist(), "standard_error": (every.std(axis=0, ddof=1) / len(every) ** 0.5).tolist(),
        "median_px": float(np.median(np.hypot(*every.T))),
    }  # fmt: skip
