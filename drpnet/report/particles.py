"""Which particles a page shows one by one, and the mean image of groups that a threshold makes."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from drpnet.report.images import TILE
from drpnet.report.thresholds import Thresholds

SAMPLE, BEST, COLUMNS = 480, 24, 24
"""Candidates of a page's galleries, how many of them are simply the best, and how many stand in a row of the sheet."""
MISSED = 240
MEAN = TILE // 2
"""Pixels of a mean image."""


def sample_ranks(count: int, most: int, best: int = BEST) -> np.ndarray:
    """At most `most` of `count` ranks: the best ones, and the rest at even distances down to the last."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.r_[np.arange(best), np.linspace(best, count - 1, most - best).round().astype(int)])


def sampled(scores: Sequence[np.ndarray], most: int = SAMPLE) -> list[np.ndarray]:
    """Of micrographs with scores (n,) each, which of their candidates (m,) the galleries show; NaN: as they come."""
    pooled = np.concatenate([np.empty(0), *scores])
    owner = np.repeat(np.arange(len(scores)), [len(one) for one in scores])
    place = np.concatenate([np.empty(0, int), *(np.arange(len(one)) for one in scores)])
    order = np.argsort(-pooled, kind="stable")[sample_ranks(len(pooled), most)]
    return [np.sort(place[order[owner[order] == micrograph]]) for micrograph in range(len(scores))]


class Means:
    """Sums of particle pictures by group and by the threshold that each particle still reaches.

    The page adds up those that reach its threshold: mean images follow the slider without the particles.
    """

    def __init__(self, thresholds: Thresholds | None) -> None:
        self.thresholds = thresholds
        self.sums: dict[tuple[str, int], np.ndarray] = {}
        self.counts: dict[tuple[str, int], int] = {}

    def add(self, groups: np.ndarray, scores: np.ndarray, tiles: np.ndarray) -> None:
        """Pictures (n, TILE, TILE) of particles with scores (n,) that belong to groups (n,); -inf is below every threshold."""
        small = tiles.reshape(-1, MEAN, 2, MEAN, 2).mean(axis=(2, 4))
        steps = np.zeros(len(scores), int) if self.thresholds is None else self.thresholds.bin_of(scores)
        steps = np.where(np.isneginf(scores), -1, steps)
        for group, step in set(zip(groups.tolist(), steps.tolist(), strict=True)):
            own = (groups == group) & (steps == step)
            key = (group, step)
            self.sums[key] = self.sums.get(key, 0) + small[own].sum(axis=0, dtype=float)
            self.counts[key] = self.counts.get(key, 0) + int(own.sum())

    def packed(self) -> dict[str, Any]:
        """For the page: by group the steps, counts, and mean images as little-endian int16 in thousandths."""
        packed = {}
        for group in sorted({group for group, _ in self.sums}):
            steps = sorted(step for other, step in self.sums if other == group)
            means = np.stack([self.sums[group, step] / self.counts[group, step] for step in steps])
            words = np.clip(np.round(means * 1000), -32767, 32767).astype("<i2")
            packed[group] = {
                "steps": steps,
                "counts": [self.counts[group, step] for step in steps],
                "images": base64.b64encode(words.tobytes()).decode("ascii"),
            }
        return packed
