"""The real micrographs of this experiment, their labels and how they are scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.evaluation.evaluate import score_micrographs
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.find import find_micrographs
from drpnet.labelled import LabelledMicrograph
from drpnet.measures.matching import outside_border
from drpnet.scoring import Picked


@dataclass(frozen=True)
class Entry:
    """An entry: its particle diameter in Angstrom and the border band in px in which nobody labelled."""

    diameter: float
    border: float


ENTRIES = {
    "empiar10017": Entry(191, 120),
    "empiar10028": Entry(300, 32),
    "empiar10059": Entry(160, 32),
    "empiar10146": Entry(127, 0),
}


def micrographs(real: Path, entry: str) -> list[LabelledMicrograph]:
    """Every labelled micrograph of an entry."""
    labels = read_coordinate_set(real / entry / "truth")
    found = find_micrographs(str(real / entry / "micrographs")).entries
    return [LabelledMicrograph(item.path, labels[item.stem].centres, None) for item in found if item.stem in labels]


def scored(
    picked: list[Picked], of: list[LabelledMicrograph], border: float, threshold: float, shares: float = 0.5
) -> dict[str, Any]:
    """One-to-one scores of picks at or above a figure of merit, within `shares` diameters, without the border band."""
    fields = {}
    for (found, radius), micrograph in zip(picked, of, strict=True):
        shape = micrograph.read()[0].shape
        kept = found.figure_of_merit >= threshold
        if border:
            kept &= outside_border(found.centres, shape, border)
        truth = micrograph.centres
        inside = outside_border(truth, shape, border) if border else np.ones(len(truth), bool)
        fields[micrograph.stem] = (found.centres[kept], found.figure_of_merit[kept], truth[inside], 2 * shares * radius)
    return score_micrographs(fields)


def four_ways(
    picked: list[Picked], of: list[LabelledMicrograph], border: float, threshold: float
) -> dict[str, dict[str, Any]]:
    """The scores at the default threshold and at the best one, each within half a diameter and (`tight`) within 0.2 of one."""
    found = {}
    for name, shares in (("", 0.5), ("tight_", 0.2)):
        every = scored(picked, of, border, float("-inf"), shares)
        found[f"{name}default"] = scored(picked, of, border, threshold, shares)
        found[f"{name}best"] = scored(picked, of, border, every["best_threshold"], shares)
    return found


def counts(scores: dict[str, Any]) -> dict[str, list[int]]:
    """True picks, picks and labels by micrograph, of scores whose pairs are one to one."""
    rows = scores["per_micrograph"]
    return {row["micrograph"]: [round(row["precision"] * row["picks"]), row["picks"], row["truth"]] for row in rows}
