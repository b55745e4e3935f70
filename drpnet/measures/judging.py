"""A matching rule put together from parts, and what it says of picks and labels.

A rule says which pairs of a pick and a labelled particle are allowed (`metric` and `tolerance`), which of them
count (`assignment`), how micrographs are put together (`average`) and what becomes of the `edge`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drpnet.errors import InputError
from drpnet.measures.assignment import by_distance, by_score, by_truth, least_squares
from drpnet.measures.matching import Matching, check_radius, enlarging, most_pairs, neighbour_pairs
from drpnet.measures.pixels import Counts, count_shared_pixels

METRICS = {
    "centre": "distance of the centres",
    "iou": "intersection over union of equal square boxes",
    "pixel_disc": "pixels under the discs of all picks and of all labels",
    "pixel_box": "pixels under the square boxes of all picks and of all labels",
}
ASSIGNMENTS = {
    "most": "one to one, most pairs",
    "least_squares": "one to one, least squared distance,",
    "score": "each pick, best score first, takes its nearest free label",
    "truth": "each label takes its nearest free pick",
    "distance": "one to one, nearest pair first,",
    "many_to_one": "any label near a pick, any pick near a label",
}
AVERAGES = {
    "micro": "counts pooled over micrographs",
    "macro": "mean of the micrographs",
    "max": "the greatest of each number among the micrographs",
}
EDGES = {
    "drop": "picks and labels in the border are dropped before they are matched",
    "ignore": "labels in the border are matched, but neither they nor their picks count",
}


@dataclass(frozen=True)
class Judgement:
    """What a rule says of n picks and k labels: counts, and for rules that look at single particles who is right.

    `is_true` (n,) and `found` (k,) are boolean, `matching` the disjoint pairs; None for rules that compare areas,
    `matching` also for many to one. `near` (n,): picks that have any label within the tolerance.
    """

    counts: Counts
    matching: Matching | None = None
    is_true: np.ndarray | None = None
    found: np.ndarray | None = None
    near: np.ndarray | None = None


@dataclass(frozen=True)
class Rule:
    """One way to score. Sizes are given at use: `reach` in px is the tolerance of centres, or half the box or disc.

    `tolerance` is the greatest distance in particle diameters (`centre`; `strict`: nearer than that) or the least
    intersection over union (`iou`); areas have none. `source` says where the rule was read. Raises InputError for a
    part that does not exist, or that the metric cannot have.
    """

    metric: str = "centre"
    tolerance: float = 0.5
    strict: bool = False
    assignment: str = "most"
    average: str = "micro"
    edge: str = "drop"
    source: str = ""

    def __post_init__(self) -> None:
        for part, allowed in (
            ("metric", METRICS), ("assignment", ASSIGNMENTS), ("average", AVERAGES), ("edge", EDGES),
        ):  # fmt: skip
            if getattr(self, part) not in allowed:
                raise InputError(f"a rule has no {part} {getattr(self, part)!r}; use one of {', '.join(allowed)}")
        most = 1.0 if self.metric == "iou" else np.inf
        if not 0 < self.tolerance <= most or not np.isfinite(self.tolerance):
            what = "intersection over union above 0, at most 1" if self.metric == "iou" else "diameters above 0"
            raise InputError(f"the rule's tolerance is {self.tolerance:g}; give {what}")
        if self.assignment == "least_squares" and self.metric != "centre":
            raise InputError("assignment least_squares is for metric centre alone; use another, for example most")

    @property
    def compares_areas(self) -> bool:
        """Whether it counts pixels instead of particles."""
        return self.metric.startswith("pixel")

    @property
    def words(self) -> str:
        """How it matches in words, with {radius} where the reach belongs."""
        if self.compares_areas:
            shape = "discs of radius" if self.metric == "pixel_disc" else "square boxes of half width"
            words = f"pixels shared by {shape} {{radius}}"
        elif self.metric == "iou":
            words = f"{ASSIGNMENTS[self.assignment].rstrip(',')}; square boxes of half width {{radius}}, IoU "
            words += f"{'above' if self.strict else 'at least'} {self.tolerance:g}"
        elif self.assignment == "many_to_one":
            words = "any label within {radius} of a pick, any pick within it of a label"
        else:
            words = f"{ASSIGNMENTS[self.assignment]} {'closer than' if self.strict else 'within'} {{radius}}"
        return words

    def reach(self, diameter: float, box: float | None = None) -> float:
        """Its size in px for particles of `diameter` px: the tolerance of centres, or half the disc or box."""
        if self.metric == "centre":
            return self.tolerance * diameter
        return (diameter if box is None or self.metric == "pixel_disc" else box) / 2

    def count(self, picks: np.ndarray, truth: np.ndarray, reach: float, scores: np.ndarray | None = None) -> Counts:
        """The counts of picks (n, 2) against truth (k, 2)."""
        return self.judge(picks, truth, reach, scores).counts

    def judge(
        self, picks: np.ndarray, truth: np.ndarray, reach: float, scores: np.ndarray | None = None
    ) -> Judgement:
        """Picks (n, 2) against truth (k, 2), both in (y, x) px; InputError for a reach not above 0.

        Without scores (n,) the assignment by score takes the picks in their order.
        """
        if self.compares_areas:
            return Judgement(count_shared_pixels(picks, truth, reach, disc=self.metric == "pixel_disc"))
        pairs, cost = self._allowed(picks, truth, reach)
        n, k = len(picks), len(truth)
        near, within = _mask(pairs.pick_index, n), _mask(pairs.truth_index, k)
        if self.assignment == "many_to_one":
            return Judgement(Counts(int(near.sum()), n, int(within.sum()), k), None, near, within, near)
        matching = self._assigned(pairs, cost, n, k, reach, scores)
        found, is_true = _mask(matching.truth_index, k), _mask(matching.pick_index, n)
        total = len(matching.pick_index)
        return Judgement(Counts(total, n, total, k), matching, is_true, found, near)

    def ranked(
        self, picks: np.ndarray, truth: np.ndarray, reach: float, scores: np.ndarray
    ) -> np.ndarray | None:
        """Boolean (n,): which picks are true, for curves over falling scores (n,); None for areas and many to one.

        For the largest matching it is exact at every threshold. The other assignments are made once with all picks, as
        Topaz and DeepPicker do.
        """
        if self.compares_areas or self.assignment == "many_to_one":
            return None
        if self.assignment == "most":
            return enlarging(self._allowed(picks, truth, reach)[0], np.asarray(scores, float))
        return self.judge(picks, truth, reach, scores).is_true

    def _allowed(self, picks: np.ndarray, truth: np.ndarray, reach: float) -> tuple[Matching, np.ndarray]:
        """The pairs within the tolerance, and what each costs."""
        if self.metric == "centre":
            pairs = neighbour_pairs(picks, truth, reach)
            pairs = pairs.at(pairs.distance < reach) if self.strict else pairs
            return pairs, pairs.distance
        # boxes that touch at a corner are a diagonal apart
        pairs = neighbour_pairs(picks, truth, 2 * np.sqrt(2) * check_radius(reach))
        gap = np.abs(np.reshape(picks, (-1, 2))[pairs.pick_index] - np.reshape(truth, (-1, 2))[pairs.truth_index])
        overlap = box_iou(gap, 2 * reach)
        good = overlap > self.tolerance if self.strict else overlap >= self.tolerance * (1 - 1e-12)
        return pairs.at(good), 1 - overlap[good]

    def _assigned(
        self, pairs: Matching, cost: np.ndarray, n: int, k: int, reach: float, scores: np.ndarray | None
    ) -> Matching:
        ways: dict[str, Callable[[], Matching]] = {
            "most": lambda: most_pairs(pairs, n, k),
            "least_squares": lambda: least_squares(pairs, n, k, reach),
            "score": lambda: by_score(pairs, cost, np.zeros(n) if scores is None else scores),
            "truth": lambda: by_truth(pairs, cost),
            "distance": lambda: by_distance(pairs, cost),
        }
        return ways[self.assignment]()


def box_iou(gap: np.ndarray, width: float) -> np.ndarray:
    """Intersection over union (m,) of two square boxes `width` px wide whose centres are `gap` (m, 2) px apart."""
    shared = np.clip(width - np.abs(gap), 0, None).prod(axis=1)
    return shared / (2 * width**2 - shared)


def _mask(index: np.ndarray, length: int) -> np.ndarray:
    mask = np.zeros(length, bool)
    mask[index] = True
    return mask
