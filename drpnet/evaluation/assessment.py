"""What stands beside precision and recall: intervals, curves, localisation, ceiling, breakdowns, and notes to the reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.evaluation.pairing import Pairing
from drpnet.io.conditions import Conditions
from drpnet.measures.breakdown import by_crowding, by_edge, by_tilt, by_value
from drpnet.measures.comparison import count_duplicates, pooled_localisation
from drpnet.measures.judging import Rule
from drpnet.measures.matching import precision_recall_curve
from drpnet.measures.scorecard import Scored, intervals, pooled, summary, thinned_curve
from drpnet.measures.scores import averaged, calibration, f_beta, score_histogram


def numbers(
    scored: Sequence[Scored],
    rule: Rule,
    beta: float = 1.0,
    *,
    resamples: int = 0,
    seed: int = 0,
    diameter_px: float | None = None,
    pixel_size: float | None = None,
) -> dict[str, Any]:
    """The numbers of all micrographs beside precision and recall; lengths in px, `pixel_size` in Angstrom/px."""
    ranked = pooled(scored)
    counts = np.array([one.counts for one in scored])
    per = np.array([len(one.field.picks) for one in scored])
    truth = sum(len(one.field.truth) for one in scored)
    return {
        "average": rule.average,
        "beta": beta,
        "f_beta": float(averaged(counts, np.ones((1, len(scored))), rule.average, beta)[0, 3]),
        "best_f_beta": None if ranked is None else _best(*ranked, truth, beta),
        "intervals": intervals(scored, rule.average, beta, resamples, seed),
        "resamples": resamples,
        "seed": seed,
        "curve": thinned_curve(scored),
        "calibration": None if ranked is None else calibration(*ranked),
        "score_histogram": None if ranked is None else score_histogram(*ranked),
        "pixel_size": pixel_size,
        "localisation": pooled_localisation(list(scored), diameter_px, pixel_size),
        "duplicates": count_duplicates(list(scored)),
        "picks_per_micrograph": {
            "mean": float(per.mean()), "sd": float(per.std()), "min": int(per.min()), "max": int(per.max()),
        },
    }  # fmt: skip


def _best(scores: np.ndarray, is_true: np.ndarray, truth: int, beta: float) -> dict[str, float] | None:
    """The threshold with the greatest pooled F-beta, and that."""
    curve = precision_recall_curve(scores, is_true, truth)
    if not len(curve.thresholds):
        return None
    values = f_beta(curve.precision, curve.recall, beta)
    best = int(np.argmax(values))
    return {"threshold": float(curve.thresholds[best]), "f_beta": float(values[best])}


def breakdown(
    scored: Mapping[str, Scored], paired: Pairing, conditions: Conditions, diameter_px: float | None
) -> dict[str, list[dict[str, Any]]]:
    """Rows by edge, crowding, defocus, tilt and snr, as far as each is known of all micrographs (defocus, snr: of some)."""
    rows: dict[str, list[dict[str, Any]]] = {}
    if diameter_px is not None:
        rows["crowding"] = by_crowding(scored, diameter_px)
        if len(paired.shapes) == len(scored):
            rows["edge"] = by_edge(scored, paired.shapes, diameter_px)
    tilts = {name: conditions.tilts[stem] for name in scored if (stem := Path(name).name) in conditions.tilts}
    listed = {name: one for name, one in scored.items() if name in tilts and _covers(tilts[name], one)}
    if listed:
        rows["tilt"] = by_tilt(listed, tilts)
    for key, values in (("defocus", conditions.defocus), ("snr", conditions.snr)):
        rows[key] = by_value(scored, {n: values[Path(n).name] for n in scored if Path(n).name in values})
    return {key: own for key, own in rows.items() if own}


def _covers(tilts: np.ndarray, one: Scored) -> bool:
    rows = one.field.truth_rows
    return len(tilts) == len(one.field.truth) if rows is None else not len(rows) or int(rows.max()) < len(tilts)


def ceiling(other: Mapping[str, Scored], scored: Mapping[str, Scored], average: str) -> dict[str, Any]:
    """Precision, recall and F of other labels, and F of the picks on the same micrographs."""
    keys = ("precision", "recall", "f_measure")
    numbers = summary(list(other.values()), average)
    both = [scored[name] for name in other if name in scored]
    mine = summary(both, average)["f_measure"] if len(both) == len(other) else None
    return {"micrographs": list(other), **{key: numbers[key] for key in keys}, "f_measure_of_picks": mine}


def notes(scored: Sequence[Scored], paired: Pairing) -> list[str]:
    """What a reader must know of sides that are empty, scores that rank nothing, and names that did not meet."""
    said = []
    if not any(len(one.field.truth) for one in scored):
        said.append("the labels hold no particle: every pick is false, and there is no recall to speak of")
    if not any(len(one.field.picks) for one in scored):
        said.append("there is not one pick on these micrographs")
    with_picks = [one for one in scored if len(one.field.picks)]
    without = sum(one.field.scores is None for one in with_picks)
    if without:
        said.append(
            f"{without} of {len(with_picks)} picked micrographs have no scores: no average precision, curve or threshold"
        )
    elif len(with_picks) and len(np.unique(np.concatenate([np.asarray(one.field.scores) for one in with_picks]))) == 1:
        said.append("all scores are equal: they rank nothing, the curve is one point")
    if paired.ambiguous:
        names = ", ".join(paired.ambiguous[:3])
        said.append(f"left out, because several folders have the name and nothing tells them apart: {names}")
    return said
