"""Picks against labels by every rule that may be behind Table 4, and which of them comes nearest to its pattern."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drpnet.config import PRESETS
from drpnet.evaluation.evaluate import score_micrographs
from drpnet.measures.matching import f_measure, outside_border
from drpnet.model import load_model
from drpnet.scoring import Picked, pick_all
from experiments.table4.arithmetic import found_per_true_pick
from experiments.table4.sources import BORDER_IN_ANGSTROMS, Centres, Found, Source

RULES = ("common", "many_to_one", "cryosegnet", "repic")
"""One-to-one is the primary one; the other one-to-one rules differ from it by less than a percent."""
SHARES = (0.5, 0.2, 1.0)
"""Matching radii in particle diameters; the first is the primary one."""
AVERAGES = ("pooled", "mean")
"""Counts added up over the micrographs (primary), or precision and recall averaged over them."""
DEFAULT, ALIKE = "DRPnet, default threshold", "DRPnet, picks per label as in the paper"


def cut(picked: Sequence[Picked], source: Source, threshold: float) -> Centres:
    """Centres of the candidates at or above a figure of merit, by micrograph."""
    return {
        micrograph.stem: found.centres[found.figure_of_merit >= threshold]
        for (found, _), micrograph in zip(picked, source.micrographs, strict=True)
    }


def threshold_for(picked: Sequence[Picked], count: int) -> float:
    """The figure of merit that keeps so many candidates, the best of all micrographs together."""
    merits = np.sort(np.concatenate([found.figure_of_merit for found, _ in picked]))[::-1]
    return float(merits[min(count, len(merits)) - 1]) if len(merits) else PRESETS["balanced"]


def drpnet_picks(source: Source, picks_per_label: float, weights: str = "cascade") -> list[tuple[Found, float]]:
    """DRPnet's picks at the default threshold, and the best so many per label; each with its threshold."""
    picked = pick_all(load_model(weights), source.micrographs, source.particle_diameter, "Picking")
    labels = sum(map(len, source.labels.values()))
    alike = threshold_for(picked, round(picks_per_label * labels))
    default = PRESETS["balanced"]
    return [
        (Found(DEFAULT, cut(picked, source, default)), default),
        (Found(ALIKE, cut(picked, source, alike)), alike),
    ]


def measure(found: Found, labels: Centres, source: Source) -> dict[str, Any]:
    """Scores of picks on the micrographs that both sides have: one row a rule, radius, band and average."""
    names = [name for name in found.centres if name in labels]
    pixels = source.particle_diameter / source.pixel_size
    shapes, scores = source.shapes, []
    for band in (0.0, BORDER_IN_ANGSTROMS / source.pixel_size):
        sides = []
        for name in names:
            both = (found.centres[name], labels[name])
            sides.append([side[outside_border(side, shapes[name], band)] if band else side for side in both])
        for rule in RULES:
            for share in SHARES:
                fields = {
                    name: (picks, None, truth, share * pixels) for name, (picks, truth) in zip(names, sides, strict=True)
                }
                scores += [
                    {"rule": rule, "radius_diameters": share, "border_px": round(band), **row}
                    for row in summaries(score_micrographs(fields, rule))
                ]
    return {
        "picker": found.name,
        "micrographs": names,
        "picks": sum(len(found.centres[name]) for name in names),
        "labels": sum(len(labels[name]) for name in names),
        "scores": scores,
    }


def summaries(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Pooled scores and means over micrographs of a result of `score_micrographs`, in the order of `AVERAGES`.

    F of the means is that of mean precision and mean recall, as the paper's F is that of its printed two.
    """
    rows = result["per_micrograph"]
    means = {key: float(np.mean([row[key] for row in rows])) for key in ("precision", "recall")}
    both = []
    for average, (precision, recall) in zip(
        AVERAGES, ((result["precision"], result["recall"]), (means["precision"], means["recall"])), strict=True
    ):
        ratio = found_per_true_pick(recall, result["truth"], precision, result["picks"])
        both.append(
            {
                "average": average,
                "precision": round(precision, 4),
                "recall": round(recall, 4),
                "f_measure": round(f_measure(precision, recall), 4),
                "found_per_true_pick": None if ratio is None else round(ratio, 4),
            }
        )
    return both


def primary(row: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The score of a row by the primary rule, radius and average on whole micrographs, but for `other`."""
    wanted = {"rule": RULES[0], "radius_diameters": SHARES[0], "average": AVERAGES[0], "border": False, **other}
    border = wanted.pop("border")
    for score in row["scores"]:
        if bool(score["border_px"]) == border and all(score[key] == value for key, value in wanted.items()):
            found: dict[str, Any] = score
            return found
    raise KeyError(wanted)


def nearest(rows: Sequence[dict[str, Any]], published: float) -> list[dict[str, Any]]:
    """Rules by how far `rows` are from the published number of labels found per true pick, nearest first.

    On whole micrographs; `off` is the mean distance of the rows. A rule by which some row has no true pick is left out.
    """
    table = []
    for rule in RULES:
        for share in SHARES:
            for average in AVERAGES:
                key = {"rule": rule, "radius_diameters": share, "average": average}
                measured = {row["picker"]: primary(row, **key)["found_per_true_pick"] for row in rows}
                if None in measured.values():
                    continue
                off = float(np.mean([abs(value - published) for value in measured.values()]))
                table.append({**key, "found_per_true_pick": measured, "off": round(off, 4)})
    return sorted(table, key=lambda row: row["off"])
