"""Micrographs judged by a rule, and the numbers of a set of them with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from drpnet.errors import InputError
from drpnet.measures.intervals import interval, resampled
from drpnet.measures.judging import Judgement, Rule
from drpnet.measures.matching import average_precision, best_threshold, precision_recall_curve
from drpnet.measures.scores import averaged, weighted_average_precision

NUMBERS = ("precision", "recall", "f_measure", "f_beta")
"""The columns that `scores.averaged` gives."""
CURVE_POINTS = 200
"""Of a precision-recall curve that a result holds."""
Ranked = tuple[np.ndarray, np.ndarray]
"""Scores (n,) of picks and which of them are true (n,)."""


class Field(NamedTuple):
    """One micrograph: picks (n, 2), scores (n,) or None, labelled particles (k, 2), the rule's reach in px.

    `truth_rows` (k,) are the places of the labels in what was read, None for all of them in order.
    """

    picks: np.ndarray
    scores: np.ndarray | None
    truth: np.ndarray
    radius_px: float
    truth_rows: np.ndarray | None = None


@dataclass(frozen=True)
class Scored:
    """A field and what the rule says of it; `ranked` where there are scores and the rule follows them."""

    field: Field
    judgement: Judgement
    ranked: Ranked | None

    @property
    def counts(self) -> np.ndarray:
        """True picks, picks, found labels, labels (4,), or pixels of each for rules that compare areas."""
        counts = self.judgement.counts
        return np.array([counts.true_picks, counts.picks, counts.found, counts.truth], float)

    @property
    def offsets(self) -> np.ndarray | None:
        """Pick minus label (m, 2) in (y, x) px of the matched pairs; None where the rule makes no pairs."""
        matching = self.judgement.matching
        if matching is None:
            return None
        return self.field.picks[matching.pick_index] - self.field.truth[matching.truth_index]

    @property
    def duplicates(self) -> int | None:
        """Picks beyond the first at a label: those with a label within the tolerance that got another pick."""
        judgement = self.judgement
        if judgement.near is None or judgement.found is None:
            return None
        right = judgement.found if judgement.matching is None else judgement.is_true
        assert right is not None
        return max(0, int(judgement.near.sum()) - int(right.sum()))


def judge(field: Field, rule: Rule) -> Scored:
    """One micrograph by one rule."""
    judgement = rule.judge(field.picks, field.truth, field.radius_px, field.scores)
    if field.scores is None:
        return Scored(field, judgement, None)
    scores = np.asarray(field.scores, float)
    is_true = rule.ranked(field.picks, field.truth, field.radius_px, scores)
    return Scored(field, judgement, None if is_true is None else (scores, is_true))


def judge_all(fields: Mapping[str, Field], rule: Rule) -> dict[str, Scored]:
    """Every micrograph by one rule; an InputError names the micrograph."""
    scored = {}
    for name, field in fields.items():
        try:
            scored[name] = judge(field, rule)
            summary([scored[name]])
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    return scored


def pooled(scored: Sequence[Scored]) -> Ranked | None:
    """The ranked picks of all micrographs; None where one with picks has no scores, or none has."""
    with_picks = [one for one in scored if len(one.field.picks)] or list(scored)
    ranked = [one.ranked for one in with_picks if one.ranked is not None]
    if not ranked or len(ranked) < len(with_picks):
        return None
    return np.concatenate([scores for scores, _ in ranked]), np.concatenate([hit for _, hit in ranked])


def summary(scored: Sequence[Scored], average: str = "micro") -> dict[str, Any]:
    """Precision, recall, F, average precision, picks, truth, best threshold and its F of some micrographs."""
    counts = np.array([one.counts for one in scored]).reshape(-1, 4)
    counts = counts if len(counts) else np.zeros((1, 4))
    precision, recall, f, _ = averaged(counts, np.ones((1, len(counts))), average)[0].tolist()
    ranked = pooled(scored)
    n_truth = sum(len(one.field.truth) for one in scored)
    area, threshold, best = None, None, None
    if ranked is not None:
        area = average_precision(*ranked, n_truth)
        threshold, best = best_threshold(*ranked, n_truth)
    return {
        "precision": precision,
        "recall": recall,
        "f_measure": f,
        "average_precision": area,
        "picks": sum(len(one.field.picks) for one in scored),
        "truth": n_truth,
        "best_threshold": threshold,
        "best_f_measure": best,
    }


def drawn_numbers(scored: Sequence[Scored], average: str, beta: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """`NUMBERS` and, with scores, average_precision for each row of weights (b, m) of the m micrographs: (b,) each."""
    drawn = averaged(np.array([one.counts for one in scored]).reshape(-1, 4), weights, average, beta)
    numbers = dict(zip(NUMBERS, drawn.T, strict=True))
    ranked = pooled(scored)
    if ranked is not None:
        owner = np.repeat(np.arange(len(scored)), [len(one.field.picks) for one in scored])
        truth = np.array([len(one.field.truth) for one in scored])
        numbers["average_precision"] = weighted_average_precision(*ranked, owner, truth, weights)
    return numbers


def intervals(
    scored: Sequence[Scored], average: str, beta: float, resamples: int, seed: int
) -> dict[str, list[float] | None]:
    """95 % bootstrap intervals of the numbers of `drawn_numbers`; None each for fewer than two micrographs."""
    if len(scored) < 2 or not resamples:
        return dict.fromkeys((*NUMBERS, "average_precision"))
    drawn = drawn_numbers(scored, average, beta, resampled(len(scored), resamples, seed))
    return {key: interval(drawn[key]) if key in drawn else None for key in (*NUMBERS, "average_precision")}


def thinned_curve(scored: Sequence[Scored]) -> dict[str, list[float]] | None:
    """The pooled precision-recall curve, thinned to `CURVE_POINTS` over the ranks; its ends stay. None without scores."""
    ranked = pooled(scored)
    if ranked is None:
        return None
    curve = precision_recall_curve(*ranked, sum(len(one.field.truth) for one in scored))
    most = len(curve.thresholds)
    kept = np.unique(np.linspace(0, most - 1, CURVE_POINTS).round().astype(int)) if most else np.empty(0, int)
    return {key: getattr(curve, key)[kept].tolist() for key in ("thresholds", "precision", "recall", "f_measure")}
