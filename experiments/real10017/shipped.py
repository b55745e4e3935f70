"""Shipped weights without further training on four entries, at wrong diameters and on empty pictures."""

from pathlib import Path
from typing import Any

import numpy as np

from drpnet.cascade import Picker
from drpnet.config import PRESETS
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_micrograph
from drpnet.io.picks import Candidates
from drpnet.log_picker import log_candidates
from drpnet.measures.matching import outside_border
from drpnet.model import load_model
from drpnet.scoring import Picked, pick_all
from experiments.real10017.data import ENTRIES, counts, four_ways, micrographs, scored

EMPTY_DIAMETERS = (120, 180, 300)
EMPTY_PIXEL_SIZE = 4.0


def shipped(real: Path, weights: str) -> dict[str, Any]:
    """Scores of the shipped weights at the default threshold and at their best one."""
    model = load_model(weights)
    rows = {}
    for name, entry in ENTRIES.items():
        chosen = micrographs(real, name)
        for factor in (1.0, 0.7, 1.3):
            picked = pick_all(model, chosen, entry.diameter * factor, f"{name}, diameter x {factor:g}")
            # a wrong diameter must not move the matching radius
            picked = [(found, radius / factor) for found, radius in picked]
            ways = four_ways(picked, chosen, entry.border, PRESETS["balanced"])
            default, best = ways["default"], scored(picked, chosen, entry.border, 0.0)
            rows[f"{name} x{factor:g}"] = {
                "diameter": entry.diameter * factor,
                **{key: default[key] for key in ("precision", "recall", "f_measure", "picks", "truth")},
                "best_f_measure": best["best_f_measure"],
                "best_threshold": best["best_threshold"],
                "average_precision": best["average_precision"],
                "unrestricted_f_measure": scored(picked, chosen, 0, PRESETS["balanced"])["f_measure"],
                "recall_at_equal_count": recall_at_equal_count(picked, real, name),
                "tight_f_measure": ways["tight_default"]["f_measure"],
                "tight_best_f_measure": ways["tight_best"]["f_measure"],
                "counts": {way: counts(scores) for way, scores in ways.items()},
            }
        rows[f"{name} LoG"] = _log_row(real, name)
    return {"weights": weights, "entries": rows, "empty": empty(model, real / "particle_free")}


def recall_at_equal_count(picked: list[Picked], real: Path, name: str) -> float:
    """Recall of as many picks, the best of all micrographs together, as there are labels."""
    chosen, border = micrographs(real, name), ENTRIES[name].border
    merits = []
    truth = 0
    for (found, _), micrograph in zip(picked, chosen, strict=True):
        shape = micrograph.read()[0].shape
        merits.append(found.figure_of_merit[outside_border(found.centres, shape, border)])
        truth += int(outside_border(micrograph.centres, shape, border).sum())
    pooled = np.sort(np.concatenate(merits))[::-1]
    threshold = pooled[min(truth, len(pooled)) - 1]
    return float(scored(picked, chosen, border, threshold)["recall"])


def _log_row(real: Path, name: str) -> dict[str, Any]:
    """The Laplacian-of-Gaussian picker at its best threshold on these very labels."""
    entry, chosen = ENTRIES[name], micrographs(real, name)
    picked = []
    for micrograph in chosen:
        image, pixel_size = micrograph.read()
        centres, scores = log_candidates(image, pixel_size, entry.diameter)
        picked.append((Candidates(centres, scores, scores, scores), entry.diameter / pixel_size / 2))
    best = scored(picked, chosen, entry.border, float("-inf"))
    ways = four_ways(picked, chosen, entry.border, best["best_threshold"])
    of_best = {way: counts(scores) for way, scores in ways.items() if way.endswith("best")}
    return {"best_f_measure": best["best_f_measure"], "best_threshold": best["best_threshold"], "counts": of_best}


def empty(model: Any, folder: Path) -> list[dict[str, Any]]:
    """Picks at the default threshold on pictures that hold no particles."""
    picker, rows = Picker(model), []
    for item in find_micrographs(str(folder / "micrographs")).entries:
        image, _ = read_micrograph(item.path)
        counts = []
        for diameter in EMPTY_DIAMETERS:
            found = picker.pick(image, EMPTY_PIXEL_SIZE, diameter)
            counts.append(int((found.figure_of_merit >= PRESETS["balanced"]).sum()))
        names = [str(diameter) for diameter in EMPTY_DIAMETERS]
        rows.append({"micrograph": item.stem, "picks": dict(zip(names, counts, strict=True))})
    return rows
