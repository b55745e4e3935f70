"""Picks against truth: who found whom under the published rules, and what precision, recall and F follow.

Centres are `(n, 2)` arrays in (y, x) pixels; every distance is in the same pixels. The rule moves F more than
the picker does, so no number leaves `drpnet.evaluation.evaluate` without its rule. Empty sides: with picks or truth
missing precision, recall and F are 0; nothing to find and nothing picked is right, so all three are 1
(as the Dice coefficient of two empty masks is usually defined).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from drpnet.errors import InputError


@dataclass(frozen=True)
class Matching:
    """Pairs: pick_index (m,) and truth_index (m,) into the two sets, distance (m,) in px; by rising pick."""

    pick_index: np.ndarray
    truth_index: np.ndarray
    distance: np.ndarray

    def at(self, index: np.ndarray) -> "Matching":
        """The pairs at the positions or the boolean mask `index`."""
        return Matching(self.pick_index[index], self.truth_index[index], self.distance[index])


@dataclass(frozen=True)
class ScoredCurve:
    """Precision, recall and F (t,) of the picks that score at least thresholds (t,), which fall."""

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f_measure: np.ndarray


FARTHEST = 1e9
"""Pixels; what is farther off is no position, and its square no number."""


def checked_centres(centres: np.ndarray, what: str) -> np.ndarray:
    """Centres (n, 2) as floats; InputError for another shape and for what is no position."""
    array = np.asarray(centres, float)
    array = array.reshape(-1, 2) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"{what} have shape {array.shape}; give centres as (n, 2) in (y, x)")
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(f"{what} number {bad + 1} has no finite position (NaN or infinite); remove that row")
    if (np.abs(array) > FARTHEST).any():
        bad = int(np.flatnonzero((np.abs(array) > FARTHEST).any(axis=1))[0])
        y, x = array[bad]
        raise InputError(f"{what} number {bad + 1} is at x {x:g}, y {y:g}, which is no pixel; remove that row")
    return array


def check_radius(radius: float) -> float:
    """The radius in px if a match can happen within it; InputError unless it is above 0 and finite."""
    if not 0 < radius <= FARTHEST:
        raise InputError(
            f"the matching radius is {radius}; give pixels above 0, usually half the particle diameter"
        )
    return float(radius)


def neighbour_pairs(picks: np.ndarray, truth: np.ndarray, radius: float) -> Matching:
    """Every (pick, truth) pair of centres (n, 2) and (k, 2) at most `radius` px apart.

    Raises InputError for positions that are not finite and for a radius that is not above 0.
    """
    picks, truth, radius = (
        checked_centres(picks, "picks"),
        checked_centres(truth, "labelled particles"),
        check_radius(radius),
    )
    if not len(picks) or not len(truth):
        return Matching(np.empty(0, int), np.empty(0, int), np.empty(0))
    near = cKDTree(truth).query_ball_point(picks, radius * (1 + 1e-9), return_sorted=True)
    pick = np.repeat(np.arange(len(picks)), [len(row) for row in near])
    other = np.array([j for row in near for j in row], int)
    distance = np.hypot(*(picks[pick] - truth[other]).T)
    return Matching(pick, other, distance).at(distance <= radius)


def match_one_to_one(picks: np.ndarray, truth: np.ndarray, radius: float) -> Matching:
    """The most disjoint (pick, truth) pairs at most `radius` px apart; of those sets the shortest in total.

    Picks (n, 2) and truth (k, 2) in (y, x). Solved exactly for each connected group of neighbours.
    """
    return most_pairs(neighbour_pairs(picks, truth, radius), len(picks), len(truth))


def most_pairs(pairs: Matching, n: int, k: int) -> Matching:
    """Of the allowed `pairs` of n picks and k particles the most disjoint ones, and of those sets the shortest in total."""

    def cost(distance: np.ndarray, most: int) -> np.ndarray:
        # one more pair is worth more than all distances together
        return distance - (distance.max() * (most + 1) + 1)

    return cheapest_pairs(pairs, n, k, cost)


def cheapest_pairs(
    pairs: Matching, n: int, k: int, cost: Callable[[np.ndarray, int], np.ndarray]
) -> Matching:
    """Disjoint ones of the allowed `pairs` with the least total cost; a pair left out costs 0.

    `cost` maps the distances (e,) of a connected group, and how many pairs it can hold at most, to costs (e,).
    """
    if not len(pairs.pick_index):
        return pairs
    graph = coo_array(
        (np.ones(len(pairs.distance)), (pairs.pick_index, n + pairs.truth_index)), shape=(n + k, n + k)
    )
    _, label = connected_components(graph, directed=False)
    group = label[pairs.pick_index]
    order = np.argsort(group, kind="stable")
    chosen = []
    for edges in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        alone = len(edges) == 1 and cost(pairs.distance[edges], 1)[0] < 0
        chosen.append(edges if alone else edges[_assign(pairs, edges, cost)])
    keep = np.concatenate(chosen)
    return pairs.at(keep[np.argsort(pairs.pick_index[keep])])


def _assign(pairs: Matching, edges: np.ndarray, cost: Callable[[np.ndarray, int], np.ndarray]) -> np.ndarray:
    """Positions in `edges` (e,) of the best assignment of one connected group."""
    rows, row = np.unique(pairs.pick_index[edges], return_inverse=True)
    columns, column = np.unique(pairs.truth_index[edges], return_inverse=True)
    table = np.zeros((len(rows), len(columns)))
    table[row, column] = cost(pairs.distance[edges], min(table.shape))
    edge_at = np.full(table.shape, -1)
    edge_at[row, column] = np.arange(len(edges))
    assigned = linear_sum_assignment(table)
    return edge_at[assigned][table[assigned] < 0]


def true_in_score_order(
    picks: np.ndarray, truth: np.ndarray, radius: float, scores: np.ndarray
) -> np.ndarray:
    """Boolean (n,): picks that enlarge the one-to-one matching when added from the best score (n,) down.

    A pick that counts goes on counting when weaker ones join (augmenting paths), so the number of true picks
    above any threshold is what `match_one_to_one` finds among them: a curve needs no second matching.
    """
    return enlarging(neighbour_pairs(picks, truth, radius), scores)


def enlarging(pairs: Matching, scores: np.ndarray) -> np.ndarray:
    """The same (n,) for any allowed `pairs` of n picks with these scores (n,)."""
    return covering_order(pairs, scores, int(pairs.truth_index.max(initial=-1)) + 1)[0]


def covering_order(pairs: Matching, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Who is true and who is found at every threshold, from the allowed `pairs` of n picks and k particles.

    Returns boolean (n,) as `true_in_score_order`, and (k,) int: the pick with which a particle is first found, -1 for
    none. A particle once found stays so, hence the particles whose pick reaches a threshold are found there.
    """
    neighbours: list[list[int]] = [[] for _ in range(len(scores))]
    for pick, particle in zip(pairs.pick_index.tolist(), pairs.truth_index.tolist(), strict=True):
        neighbours[pick].append(particle)
    owner: dict[int, int] = {}
    holds: dict[int, int] = {}
    is_true = np.zeros(len(neighbours), bool)
    found_with = np.full(k, -1)
    for start in np.argsort(-np.asarray(scores, float), kind="stable").tolist():
        particle = _augment(start, neighbours, owner, holds)
        if particle is not None:
            is_true[start] = True
            found_with[particle] = start
    return is_true, found_with


def _augment(start: int, neighbours: list[list[int]], owner: dict[int, int], holds: dict[int, int]) -> int | None:
    """Give pick `start` a particle, moving other picks on the way; the particle newly found, None when there is none."""
    came_from: dict[int, int] = {}
    queue = deque([start])
    while queue:
        pick = queue.popleft()
        for particle in neighbours[pick]:
            if particle in came_from:
                continue
            came_from[particle] = pick
            if particle in owner:
                queue.append(owner[particle])
                continue
            free = particle
            while True:
                taker = came_from[free]
                left = holds.get(taker)
                owner[free], holds[taker] = taker, free
                if left is None:
                    return particle
                free = left
    return None


def outside_border(centres: np.ndarray, shape: tuple[int, int], border: float) -> np.ndarray:
    """Boolean (n,): centres (n, 2) in (y, x) at least `border` px from every edge pixel of an (h, w) image.

    A centre beyond the image is False also for border 0. InputError for a negative border.
    """
    if not border >= 0:
        raise InputError(f"the border is {border} px; give 0 (whole micrograph) or more")
    centres = checked_centres(centres, "centres")
    last = np.asarray(shape) - 1
    return np.asarray(((centres >= border) & (centres <= last - border)).all(axis=1))


def inside_edge(centres: np.ndarray, shape: tuple[int, ...], width: float) -> np.ndarray:
    """As `outside_border`, but without an edge, 0 px, all count: candidates can lie half a pixel beyond the image."""
    return outside_border(centres, (shape[0], shape[1]), width) if width > 0 else np.ones(len(centres), bool)


def precision_recall_f(tp: float, n_picks: float, n_truth: float) -> tuple[float, float, float]:
    """Precision, recall and F = 2PR / (P + R) of `tp` pairs; 0 for an empty side, 1 when both are."""
    if not n_picks and not n_truth:
        return 1.0, 1.0, 1.0
    precision = tp / n_picks if n_picks else 0.0
    recall = tp / n_truth if n_truth else 0.0
    return precision, recall, f_measure(precision, recall)


def f_measure(precision: float, recall: float) -> float:
    """Harmonic mean of precision and recall, 0 when both are."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def precision_recall_curve(scores: np.ndarray, is_true: np.ndarray, n_truth: int) -> ScoredCurve:
    """Precision, recall and F at every distinct score; scores (n,) and is_true (n,) of all picks.

    Picks with equal scores enter together. Raises InputError for scores that are NaN.
    """
    scores, is_true = np.asarray(scores, float), np.asarray(is_true, bool)
    if np.isnan(scores).any():
        raise InputError(
            f"{int(np.isnan(scores).sum())} picks have no score (NaN); give every pick a figure of merit"
        )
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.empty(0, int)
    tp = np.cumsum(is_true[order])[last]
    precision = tp / (last + 1)
    recall = tp / n_truth if n_truth else np.zeros(len(last))
    f = 2 * tp / (last + 1 + n_truth)
    return ScoredCurve(ranked[last], precision, recall, f)


def average_precision(scores: np.ndarray, is_true: np.ndarray, n_truth: int) -> float | None:
    """Sum of precision times the step in recall over falling scores, not interpolated; None without truth.

    Particles that no pick finds at any score count as recall never reached.
    """
    if not n_truth:
        return None
    curve = precision_recall_curve(scores, is_true, n_truth)
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def best_threshold(scores: np.ndarray, is_true: np.ndarray, n_truth: int) -> tuple[float | None, float]:
    """The score at and above which picks have the greatest F, and that F; without picks None and their F."""
    curve = precision_recall_curve(scores, is_true, n_truth)
    if not len(curve.thresholds):
        return None, precision_recall_f(0, 0, n_truth)[2]
    best = int(np.argmax(curve.f_measure))
    return float(curve.thresholds[best]), float(curve.f_measure[best])
