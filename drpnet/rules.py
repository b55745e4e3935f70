"""The rules by which published pickers were scored, under one signature.

Sources: the released code of Topaz, DeepPicker, CryoSegNet and REPIC. The rule of the DRPnet paper is not
stated; its numbers fit no one-to-one matching, so `many_to_one` is here beside the primary rule `common`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from drpnet.matching import Matching, f_measure, match_one_to_one, neighbour_pairs, precision_recall_f


@dataclass(frozen=True)
class Counts:
    """What a rule counts on a micrograph, in particles or, for the rules that compare areas, in pixels."""

    true_picks: int
    picks: int
    found: int
    truth: int

    def __add__(self, other: "Counts") -> "Counts":
        """Pool two micrographs."""
        return Counts(
            self.true_picks + other.true_picks,
            self.picks + other.picks,
            self.found + other.found,
            self.truth + other.truth,
        )

    def precision_recall_f(self) -> tuple[float, float, float]:
        """Precision, recall and F; an empty side gives 0, two empty sides 1."""
        precision, _, _ = precision_recall_f(self.true_picks, self.picks, self.truth)
        _, recall, _ = precision_recall_f(self.found, self.picks, self.truth)
        return precision, recall, f_measure(precision, recall)


@dataclass(frozen=True)
class Rule:
    """A way to count picks (n, 2) against truth (k, 2) within a radius in px, and what it is in words."""

    words: str
    count: Callable[[np.ndarray, np.ndarray, float], Counts]
    by_score: bool = False
    """Whether `matching.true_in_score_order` counts by this rule, so that there can be curves."""


def match_topaz(picks: np.ndarray, truth: np.ndarray, radius: float) -> Matching:
    """Topaz's rule: the assignment of least total min(d^2 - r^2, 0); a pair counts when d < r, strictly.

    One good pair may win over two poor ones, so it can hold fewer pairs than `match_one_to_one`.
    """
    pairs = neighbour_pairs(picks, truth, radius)
    if not len(pairs.pick_index):
        return pairs
    cost = np.zeros((len(picks), len(truth)))
    cost[pairs.pick_index, pairs.truth_index] = pairs.distance**2 - radius**2
    row, column = linear_sum_assignment(cost)
    counts = cost[row, column] < 0
    row, column = row[counts], column[counts]
    distance = np.hypot(*(np.asarray(picks, float)[row] - np.asarray(truth, float)[column]).T)
    return Matching(row, column, distance)


def match_in_truth_order(picks: np.ndarray, truth: np.ndarray, radius: float) -> Matching:
    """DeepPicker's rule: each labelled particle in turn takes its nearest free pick closer than `radius`."""
    pairs = neighbour_pairs(picks, truth, radius)
    owner: dict[int, tuple[int, float]] = {}
    done: set[int] = set()
    for edge in np.lexsort((pairs.distance, pairs.truth_index)):
        pick, particle = int(pairs.pick_index[edge]), int(pairs.truth_index[edge])
        if pairs.distance[edge] < radius and particle not in done and pick not in owner:
            owner[pick] = (particle, float(pairs.distance[edge]))
            done.add(particle)
    index = sorted(owner)
    return Matching(
        np.array(index, int),
        np.array([owner[i][0] for i in index], int),
        np.array([owner[i][1] for i in index], float),
    )


def count_many_to_one(picks: np.ndarray, truth: np.ndarray, radius: float) -> Counts:
    """Picks with any particle within `radius`, and particles with any pick within it; duplicates are free."""
    pairs = neighbour_pairs(picks, truth, radius)
    return Counts(len(np.unique(pairs.pick_index)), len(picks), len(np.unique(pairs.truth_index)), len(truth))


def count_shared_pixels(picks: np.ndarray, truth: np.ndarray, radius: float, *, disc: bool) -> Counts:
    """Pixels under any pick and under any labelled particle, and those under both.

    They are drawn as discs of `radius` px or squares 2 `radius` wide and not cut at the micrograph's edges.
    """
    neighbour_pairs(picks, truth, radius)
    both = np.concatenate([np.reshape(picks, (-1, 2)), np.reshape(truth, (-1, 2))])
    if not len(both):
        return Counts(0, 0, 0, 0)
    reach = int(np.ceil(radius)) + 1
    corner = np.floor(both.min(axis=0)).astype(int) - reach
    shape = np.ceil(both.max(axis=0)).astype(int) + reach + 1 - corner
    step = np.arange(-reach, reach + 1)
    masks = []
    for centres in (np.reshape(picks, (-1, 2)), np.reshape(truth, (-1, 2))):
        mask = np.zeros(shape, bool)
        for y, x in centres - corner:
            row, column = round(float(y)), round(float(x))
            dy, dx = step + row - y, step + column - x
            if disc:
                stamp = dy[:, None] ** 2 + dx[None] ** 2 <= radius**2
            else:
                stamp = ((dy >= -radius) & (dy < radius))[:, None] & ((dx >= -radius) & (dx < radius))[None]
            mask[row - reach : row + reach + 1, column - reach : column + reach + 1] |= stamp
        masks.append(mask)
    common = int((masks[0] & masks[1]).sum())
    return Counts(common, int(masks[0].sum()), common, int(masks[1].sum()))


def _paired(match: Callable[[np.ndarray, np.ndarray, float], Matching]) -> Callable[..., Counts]:
    def count(picks: np.ndarray, truth: np.ndarray, radius: float) -> Counts:
        pairs = len(match(picks, truth, radius).pick_index)
        return Counts(pairs, len(picks), pairs, len(truth))

    return count


def _count_discs(picks: np.ndarray, truth: np.ndarray, radius: float) -> Counts:
    return count_shared_pixels(picks, truth, radius, disc=True)


def _count_squares(picks: np.ndarray, truth: np.ndarray, radius: float) -> Counts:
    return count_shared_pixels(picks, truth, radius, disc=False)


RULES = {
    "common": Rule("one to one, most pairs within {radius}", _paired(match_one_to_one), by_score=True),
    "topaz": Rule("one to one, least squared distance, closer than {radius}", _paired(match_topaz)),
    "deeppicker": Rule(
        "each label takes its nearest free pick closer than {radius}", _paired(match_in_truth_order)
    ),
    "many_to_one": Rule(
        "any label within {radius} of a pick, any pick within it of a label", count_many_to_one
    ),
    "cryosegnet": Rule("pixels shared by discs of radius {radius}", _count_discs),
    "repic": Rule("pixels shared by square boxes of half width {radius}", _count_squares),
}
"""Matching rules by name; `common` is the primary one."""
