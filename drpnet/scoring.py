"""Picking labelled micrographs in memory: scores, and the calibration of the figure of merit."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.progress import track

from drpnet.calibration import fit_figure_of_merit
from drpnet.cascade import Picker
from drpnet.config import PRESETS
from drpnet.evaluation.evaluate import score_micrographs
from drpnet.io.picks import Candidates
from drpnet.labelled import LabelledMicrograph
from drpnet.measures.matching import inside_edge, match_one_to_one
from drpnet.model import Calibration, Model

log = logging.getLogger(__name__)
Picked = tuple[Candidates, float]
"""The candidates of a micrograph and the matching radius, half a particle diameter, in its pixels."""


def pick_all(model: Model, micrographs: Sequence[LabelledMicrograph], diameter: float, text: str) -> list[Picked]:
    """All candidates of every micrograph, with a progress bar called `text`."""
    picker, picked = Picker(model), []
    for micrograph in track(micrographs, text, transient=True):
        image, pixel_size = micrograph.read()
        picked.append((picker.pick(image, pixel_size, diameter), diameter / pixel_size / 2))
    return picked


def score(picked: Sequence[Picked], micrographs: Sequence[LabelledMicrograph]) -> dict[str, Any]:
    """One-to-one scores within half a diameter at the balanced figure of merit.

    Average precision and the best threshold look at all candidates.
    """

    def scored(threshold: float) -> dict[str, Any]:
        fields = {}
        for (found, radius), micrograph in zip(picked, micrographs, strict=True):
            kept = found.figure_of_merit >= threshold
            fields[micrograph.stem] = (found.centres[kept], found.figure_of_merit[kept], micrograph.centres, radius)
        return score_micrographs(fields)

    every, balanced = scored(0.0), scored(PRESETS["balanced"])
    over_all = ("average_precision", "best_threshold", "best_f_measure")
    balanced |= {key: every[key] for key in over_all} | {"threshold": PRESETS["balanced"]}
    for row, all_row in zip(balanced["per_micrograph"], every["per_micrograph"], strict=True):
        row |= {key: all_row[key] for key in over_all}
    return balanced


def calibrate(model: Model, micrographs: Sequence[LabelledMicrograph], diameter: float) -> Model:
    """The model with its figure of merit fitted on labelled micrographs, with and without the classifier.

    A candidate at a doubtful place counts as true as far as it is probable, and one at an unlabelled edge not at all.
    """
    picker, seen, is_true = Picker(model), [], []
    for micrograph in track(micrographs, "Calibrating the figure of merit", transient=True):
        image, pixel_size = micrograph.read()
        centres, scores = picker.scored(image, pixel_size, diameter)
        radius, hit = diameter / pixel_size / 2, np.zeros(len(centres))
        doubted = match_one_to_one(centres, micrograph.doubtful, radius)
        hit[doubted.pick_index] = micrograph.doubt[doubted.truth_index]
        found = match_one_to_one(centres, micrograph.centres, radius).pick_index
        hit[found] = 1
        known = inside_edge(centres, image.shape, micrograph.edge)
        known[found] = True
        seen.append(scores.of(known))
        is_true.append(hit[known])
    labels = np.concatenate(is_true)
    if not 0 < labels.sum() < len(labels):
        log.warning("the figure of merit stays uncalibrated: %d of %d candidates are true", labels.sum(), len(labels))
        return model
    before, second = model.calibration, model.classifier is not None
    detector = fit_figure_of_merit(before.detector, seen, labels, classifier=False)
    cascade = fit_figure_of_merit(before.cascade, seen, labels, classifier=True) if second else detector
    return replace(model, calibration=Calibration(detector, cascade))
