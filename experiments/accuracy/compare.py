"""F with its interval, and its difference from the first picker's on the same draws of micrographs."""

from typing import Any

import numpy as np

from drpnet.measures.intervals import interval, resampled
from drpnet.measures.scores import averaged
from experiments.accuracy.sources import Counts, Pickers

RESAMPLES = 10_000


def compared(pickers: Pickers, way: str) -> list[dict[str, Any]]:
    """A row for every picker that was scored that way; the first such picker is the one that differences are from.

    Micrographs are drawn with replacement, for all pickers the same. Intervals hold 95 % of the draws.
    """
    scored = {name: ways[way] for name, ways in pickers.items() if way in ways}
    first = next(iter(scored.values()))
    draws = resampled(len(first), RESAMPLES, seed=0)
    base = f_measures(first, draws)
    rows = []
    for name, counts in scored.items():
        own = f_measures({stem: counts[stem] for stem in first}, draws)
        rows.append({
            "picker": name, "f_measure": own[0], "interval": interval(own[1:]), "micrographs": len(first),
            "difference": own[0] - base[0], "difference_interval": interval(own[1:] - base[1:]),
        })  # fmt: skip
    return rows


def f_measures(counts: Counts, draws: np.ndarray) -> np.ndarray:
    """F of all micrographs (m), then of every draw (b, m): (1 + b,)."""
    table = np.array([[true, picks, true, truth] for true, picks, truth in counts.values()], float)
    f: np.ndarray = averaged(table, np.concatenate([np.ones((1, len(table))), draws]), "micro")[:, 2]
    return f
