"""Choose the threshold on the training micrographs, score the others as real10017 scores DRPnet."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from drpnet.errors import InputError
from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.picks import Candidates
from drpnet.labelled import LabelledMicrograph
from drpnet.model import load_model
from drpnet.scoring import Picked, pick_all
from experiments.real10017.data import ENTRIES, scored
from experiments.relion_baseline.project import DIAMETER, ENTRY, PIXEL_SIZE

RULES = {"scores": (ENTRIES[ENTRY].border, 0.5), "unrestricted": (0.0, 0.5), "tight": (ENTRIES[ENTRY].border, 0.2)}
"""Border band in px and matching radius in diameters, under the names that real10017 gives them."""
KEPT = ("precision", "recall", "f_measure", "picks", "truth")
S = TypeVar("S")


def score(picks: Path, of: Sequence[LabelledMicrograph], kinds: Sequence[str] = tuple(RULES)) -> dict[str, dict[str, Any]]:
    """Pooled one-to-one scores of a folder of picks under each of `kinds`; a micrograph without a file is an InputError."""
    found = read_coordinate_set(picks)
    missing = [micrograph.stem for micrograph in of if micrograph.stem not in found]
    if missing:
        raise InputError(f"{picks} has no picks of {missing[0]}; remove the folder and run again")
    return score_picked([as_picked(found[micrograph.stem]) for micrograph in of], of, kinds=kinds)


def score_picked(
    picked: list[Picked],
    of: Sequence[LabelledMicrograph],
    threshold: float = float("-inf"),
    kinds: Sequence[str] = tuple(RULES),
) -> dict[str, dict[str, Any]]:
    """The same for picks in memory at or above a figure of merit."""
    result = {}
    for kind in kinds:
        border, shares = RULES[kind]
        every = scored(picked, list(of), border, threshold, shares)
        result[kind] = {key: every[key] for key in KEPT}
        result[kind]["per_micrograph"] = {row["micrograph"]: row["f_measure"] for row in every["per_micrograph"]}
    return result


def drpnet(weights: str, training: Sequence[LabelledMicrograph], of: Sequence[LabelledMicrograph]) -> dict[str, Any]:
    """DRPnet's row on the same terms: trained elsewhere, its threshold chosen on the same micrographs as RELION's."""
    model = load_model(weights)
    seen = pick_all(model, training, DIAMETER, "Training micrographs")
    threshold = scored(seen, list(training), RULES["scores"][0], 0.0)["best_threshold"]
    picked = pick_all(model, of, DIAMETER, "Scored micrographs")
    return {"setting": {"threshold": threshold}, **score_picked(picked, of, threshold)}


def as_picked(coordinates: Coordinates) -> Picked:
    """RELION's picks with its figure of merit, and the matching radius, half a diameter, in px."""
    scores = coordinates.scores
    if scores is None:  # an empty file, or one of other columns
        scores = np.zeros(len(coordinates.centres))
    return Candidates(coordinates.centres, scores, scores, scores), DIAMETER / PIXEL_SIZE / 2


def choose(settings: Sequence[S], f_measure: Callable[[S], float]) -> tuple[S, list[tuple[S, float]]]:
    """The setting of the greatest F, the first of equal ones, and the F of all; InputError without settings."""
    if not settings:
        raise InputError("there are no settings to choose from; give at least one")
    tried = [(setting, f_measure(setting)) for setting in settings]
    return max(tried, key=lambda pair: pair[1])[0], tried
