"""Counts that precision and recall follow from, and the areas that some rules count instead of particles."""

from dataclasses import dataclass

import numpy as np

from drpnet.measures.matching import check_radius, checked_centres, f_measure, precision_recall_f


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


def count_shared_pixels(picks: np.ndarray, truth: np.ndarray, radius: float, *, disc: bool) -> Counts:
    """Pixels under any pick and under any labelled particle, and those under both.

    They are drawn as discs of `radius` px or squares 2 `radius` wide and not cut at the micrograph's edges.
    """
    check_radius(radius)
    picks, truth = checked_centres(picks, "picks"), checked_centres(truth, "labelled particles")
    both = np.concatenate([picks, truth])
    if not len(both):
        return Counts(0, 0, 0, 0)
    reach = int(np.ceil(radius)) + 1
    corner = np.floor(both.min(axis=0)).astype(int) - reach
    shape = np.ceil(both.max(axis=0)).astype(int) + reach + 1 - corner
    step = np.arange(-reach, reach + 1)
    masks = []
    for centres in (picks, truth):
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
