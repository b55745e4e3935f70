"""Topaz's picks scored as experiments/real10017 scores DRPnet's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.config import DetectionConfig
from drpnet.io.coordinates import Coordinates
from drpnet.io.find import find_micrographs
from drpnet.io.picks import Candidates
from drpnet.labelled import LabelledMicrograph
from drpnet.peaks import suppress_neighbours
from drpnet.scoring import Picked
from experiments.real10017.crossvalidate import FOLDS
from experiments.real10017.data import ENTRIES, counts, four_ways, micrographs, scored
from experiments.real10017.shipped import EMPTY_DIAMETERS, EMPTY_PIXEL_SIZE, recall_at_equal_count
from experiments.topaz.picking import PIXEL_SIZE, pick, view
from experiments.topaz.programs import DETECTORS

DEFAULT = 0.0
"""Topaz's score is a log-odds: above 0 the detector holds a particle for likelier than not."""
FINER, FINER_PIXEL_SIZE = ("empiar10059", "empiar10146"), 4.5
SEVEN = "empiar10017, seven micrographs"
"""Those for which picks of Topaz were published, and which real10017's cross-validation tests."""


def entry(topaz: str, real: Path, out: Path, name: str) -> dict[str, Any]:
    """The rows of an entry by detector, and of EMPIAR-10017 those of its seven micrographs."""
    chosen, picked, facts = picks_of(topaz, real, out, name)
    row = {"view": facts, **scores_of(picked, chosen, name)}
    for detector in DETECTORS:
        row[detector]["recall_at_equal_count"] = recall_at_equal_count(picked[detector], real, name)
    if name != "empiar10017":
        return {name: row}
    stems = {stem for fold in FOLDS for stem in fold}
    kept = [i for i, micrograph in enumerate(chosen) if micrograph.stem in stems]
    some = {detector: [found[i] for i in kept] for detector, found in picked.items()}
    return {name: row, SEVEN: scores_of(some, [chosen[i] for i in kept], name)}


def finer(topaz: str, real: Path, out: Path) -> dict[str, Any]:
    """The same with pixels half as large, for the entries on which it finds least."""
    rows = {}
    for name in FINER:
        chosen, picked, facts = picks_of(topaz, real, out, name, FINER_PIXEL_SIZE)
        rows[name] = {"view": facts, **scores_of(picked, chosen, name)}
    return rows


def picks_of(
    topaz: str, real: Path, out: Path, name: str, target: float = PIXEL_SIZE
) -> tuple[list[LabelledMicrograph], dict[str, list[Picked]], dict[str, Any]]:
    """The micrographs of an entry, Topaz's picks by detector at about `target` Angstrom a pixel, and how it saw them."""
    chosen, diameter = micrographs(real, name), ENTRIES[name].diameter
    pixel_size = chosen[0].read()[1]
    how = view(pixel_size, diameter, target)
    found = pick(topaz, [micrograph.path for micrograph in chosen], how, out / name)
    picked = {detector: as_picked(found[detector], chosen, diameter / pixel_size / 2) for detector in DETECTORS}
    return chosen, picked, {"pixel_size": pixel_size, "diameter": diameter, **vars(how)}


def scores_of(picked: Mapping[str, list[Picked]], of: list[LabelledMicrograph], name: str) -> dict[str, Any]:
    """The numbers of each detector."""
    return {detector: numbers(found, of, ENTRIES[name].border) for detector, found in picked.items()}


def as_picked(found: Mapping[str, Coordinates], of: list[LabelledMicrograph], radius: float) -> list[Picked]:
    """Picks by stem as the scores want them, with the one score as the figure of merit, and the matching radius in px."""
    picked = []
    for micrograph in of:
        coordinates = found[micrograph.stem]
        assert coordinates.scores is not None
        picked.append((Candidates(coordinates.centres, *3 * [coordinates.scores]), radius))
    return picked


def numbers(picked: list[Picked], of: list[LabelledMicrograph], border: float) -> dict[str, Any]:
    """At the default threshold and at the best one: within half a diameter, within 0.2 of one, and with the border band.

    `thinned`: without the picks that are closer to a better one than DRPnet lets its own be.
    """
    every = scored(picked, of, border, -np.inf)
    ways = four_ways(picked, of, border, DEFAULT)
    fewer = [thinned(*one) for one in picked]
    return {
        **{key: ways["default"][key] for key in ("precision", "recall", "f_measure", "picks", "truth")},
        **{key: every[key] for key in ("best_f_measure", "best_threshold", "average_precision")},
        "unrestricted_f_measure": scored(picked, of, 0, DEFAULT)["f_measure"],
        "tight_f_measure": ways["tight_default"]["f_measure"],
        "tight_best_f_measure": ways["tight_best"]["f_measure"],
        "counts": {way: counts(scores) for way, scores in ways.items()},
        "thinned_f_measure": scored(fewer, of, border, DEFAULT)["f_measure"],
        "thinned_best_f_measure": scored(fewer, of, border, -np.inf)["best_f_measure"],
    }


def thinned(found: Candidates, radius: float) -> Picked:
    """Picks, strongest first, without those within DRPnet's minimum distance of a stronger one; `radius` in px."""
    order = np.argsort(-found.figure_of_merit, kind="stable")
    kept = order[suppress_neighbours(found.centres[order], DetectionConfig().minimum_distance_diameters * 2 * radius)]
    scores = found.figure_of_merit[kept]
    return Candidates(found.centres[kept], scores, scores, scores), radius


def empty(topaz: str, folder: Path, out: Path) -> list[dict[str, Any]]:
    """Picks at the default threshold on pictures that hold no particles, by detector and diameter in Angstrom."""
    paths = [item.path for item in find_micrographs(str(folder / "micrographs")).entries]
    found = {d: pick(topaz, paths, view(EMPTY_PIXEL_SIZE, d), out / folder.name) for d in EMPTY_DIAMETERS}
    rows = []
    for path in paths:
        row: dict[str, Any] = {"micrograph": path.stem}
        for detector in DETECTORS:
            counts = {str(d): count(by_detector[detector][path.stem]) for d, by_detector in found.items()}
            row[detector] = counts
        rows.append(row)
    return rows


def count(coordinates: Coordinates) -> int:
    """How many picks reach the default threshold."""
    assert coordinates.scores is not None
    return int((coordinates.scores >= DEFAULT).sum())
