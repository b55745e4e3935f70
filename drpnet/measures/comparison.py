"""Several pickers on the same micrographs: their numbers side by side, and their differences on the same draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.measures.intervals import interval, resampled
from drpnet.measures.judging import Rule
from drpnet.measures.scorecard import NUMBERS, Scored, drawn_numbers, intervals, summary, thinned_curve
from drpnet.measures.scores import localisation


def compare(
    pickers: Mapping[str, Mapping[str, Scored]], rule: Rule, beta: float, resamples: int, seed: int
) -> dict[str, Any]:
    """Numbers of two or more pickers, each scored by micrograph, on the micrographs that all of them have.

    `differences` are the numbers of each further picker minus those of the first, with 95 % intervals of a bootstrap
    that draws the same micrographs for both. InputError when no micrograph is common to all.
    """
    first, *others = pickers
    names = [name for name in pickers[first] if all(name in scored for scored in pickers.values())]
    if not names:
        raise InputError(f"no labelled micrograph has picks of all of {', '.join(pickers)}; compare fewer of them")
    shared = {picker: [scored[name] for name in names] for picker, scored in pickers.items()}
    drawn = resampled(len(names), resamples, seed) if len(names) > 1 else np.empty((0, len(names)))
    once = np.ones((1, len(names)))
    values = {picker: drawn_numbers(scored, rule.average, beta, once) for picker, scored in shared.items()}
    draws = {picker: drawn_numbers(scored, rule.average, beta, drawn) for picker, scored in shared.items()}
    differences = []
    for other in others:
        row: dict[str, Any] = {"picker": other, "minus": first}
        for key in (*NUMBERS, "average_precision"):
            both = key in values[other] and key in values[first]
            row[key] = float((values[other][key] - values[first][key])[0]) if both else None
            row[f"{key}_interval"] = interval(draws[other][key] - draws[first][key]) if both else None
        differences.append(row)
    rows = []
    for picker, scored in shared.items():
        row = {"picker": picker, **summary(scored, rule.average), "f_beta": float(values[picker]["f_beta"][0])}
        row["curve"] = thinned_curve(scored)
        row["intervals"] = intervals(scored, rule.average, beta, resamples, seed)
        rows.append(row | {"localisation": pooled_localisation(scored), "duplicates": count_duplicates(scored)})
    return {"micrographs": names, "rows": rows, "differences": differences}


def pooled_localisation(
    scored: list[Scored], diameter_px: float | None = None, pixel_size: float | None = None
) -> dict[str, Any] | None:
    """`scores.localisation` of the matched pairs of all micrographs; None where the rule makes no pairs."""
    offsets = [one.offsets for one in scored]
    known = [own for own in offsets if own is not None]
    if not known or len(known) < len(offsets):
        return None
    return localisation(np.concatenate(known), diameter_px, pixel_size)


def count_duplicates(scored: list[Scored]) -> dict[str, Any] | None:
    """How many picks lie at a label that another pick has, and their share of the picks; None for areas."""
    counts = [one.duplicates for one in scored]
    if any(count is None for count in counts):
        return None
    total = sum(count or 0 for count in counts)
    picks = sum(len(one.field.picks) for one in scored)
    return {"picks": total, "rate": total / picks if picks else 0.0}
