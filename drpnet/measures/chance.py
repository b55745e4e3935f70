"""What blind picking would score: as many random picks in the same frames, and the picks turned upside down.

On a crowded micrograph chance is far from zero, and picks in a wrong frame look like a weak picker rather than like
nothing; F means little without both beside it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from drpnet.measures.judging import Rule
from drpnet.measures.scorecard import Field, judge_all, summary


def chance(
    fields: Mapping[str, Field], shapes: Mapping[str, tuple[int, int]], rule: Rule, draws: int, seed: int, border: float = 0
) -> dict[str, Any]:
    """F of `draws` random sets and of the y-flipped picks, and F corrected for chance.

    shapes are (h, w) of every micrograph. Random picks are as many as the picks of each micrograph, uniform where picks
    may lie (`border` px from the edges). `corrected` is (F - F_random) / (1 - F_random), with the mean of the draws: 0
    for blind picking, 1 for perfect, and None where random picks are perfect.
    """
    rng = np.random.default_rng(seed)
    f = summary(list(judge_all(fields, rule).values()), rule.average)["f_measure"]
    random = []
    for _ in range(draws):
        moved = {name: field._replace(picks=_random(field, shapes[name], border, rng)) for name, field in fields.items()}
        random.append(summary(list(judge_all(moved, rule).values()), rule.average)["f_measure"])
    flipped = {name: field._replace(picks=flip(field.picks, shapes[name])) for name, field in fields.items()}
    mean = float(np.mean(random))
    return {
        "random_f_measure": mean,
        "random_draws": random,
        "flipped_f_measure": summary(list(judge_all(flipped, rule).values()), rule.average)["f_measure"],
        "corrected_f_measure": corrected(f, mean),
    }


def corrected(f: float, by_chance: float) -> float | None:
    """(F - F_chance) / (1 - F_chance), as Cohen's kappa corrects agreement; None where chance is perfect."""
    return (f - by_chance) / (1 - by_chance) if by_chance < 1 else None


def flip(centres: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Centres (n, 2) in the frame turned upside down: y becomes h - 1 - y."""
    y, x = np.reshape(centres, (-1, 2)).T
    return np.stack([shape[0] - 1 - y, x], axis=1)


def _random(field: Field, shape: tuple[int, int], border: float, rng: np.random.Generator) -> np.ndarray:
    last = np.asarray(shape, float) - 1
    return border + rng.random((len(field.picks), 2)) * (last - 2 * border)
