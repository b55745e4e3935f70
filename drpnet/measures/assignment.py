"""Ways to choose disjoint pairs among those that a rule allows: first come, or least cost.

Each takes the allowed pairs of n picks and k particles; `cost` (e,) says how bad each of the e pairs is.
`matching.most_pairs` is the remaining way, the largest matching.
"""

import numpy as np

from drpnet.measures.matching import Matching, cheapest_pairs


def least_squares(pairs: Matching, n: int, k: int, radius: float) -> Matching:
    """Topaz's way: the assignment of least total min(d^2 - r^2, 0), the Hungarian method on a truncated cost.

    One good pair may win over two poor ones, so it can hold fewer pairs than `most_pairs`.
    """
    return cheapest_pairs(pairs, n, k, lambda distance, _: distance**2 - radius**2)


def by_score(pairs: Matching, cost: np.ndarray, scores: np.ndarray) -> Matching:
    """COCO's way: each pick from the best score (n,) down takes its cheapest free particle."""
    rank = np.empty(len(scores), int)
    rank[np.argsort(-np.asarray(scores, float), kind="stable")] = np.arange(len(scores))
    return _in_turn(pairs, np.lexsort((cost, rank[pairs.pick_index])))


def by_truth(pairs: Matching, cost: np.ndarray) -> Matching:
    """DeepPicker's way: each labelled particle in the order of the file takes its cheapest free pick."""
    return _in_turn(pairs, np.lexsort((cost, pairs.truth_index)))


def by_distance(pairs: Matching, cost: np.ndarray) -> Matching:
    """The cheapest pair of all first, then the cheapest of what is still free."""
    return _in_turn(pairs, np.argsort(cost, kind="stable"))


def _in_turn(pairs: Matching, order: np.ndarray) -> Matching:
    """The pairs that, taken in `order` (e,), find both sides free; by rising pick."""
    picks, particles, kept = set(), set(), []
    for edge in order.tolist():
        pick, particle = int(pairs.pick_index[edge]), int(pairs.truth_index[edge])
        if pick not in picks and particle not in particles:
            picks.add(pick)
            particles.add(particle)
            kept.append(edge)
    index = np.array(kept, int)
    return pairs.at(index[np.argsort(pairs.pick_index[index])])
