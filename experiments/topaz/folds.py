"""Topaz trained on the folds of real10017's cross-validation: the same micrographs, labels and rule for the threshold."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.real10017.crossvalidate import FOLDS, pooled
from experiments.real10017.data import ENTRIES, micrographs, scored
from experiments.topaz.picking import downsample, extract, view
from experiments.topaz.scores import as_picked
from experiments.topaz.training import trained

NAME = "empiar10017"
UPDATES = 100
"""Of an epoch. All of them take about as long as a fold of ours."""


def folds(topaz: str, real: Path, out: Path) -> dict[str, Any]:
    """Every fold's threshold, which is the best one on its training micrographs, and scores; and all folds together."""
    every, entry = micrographs(real, NAME), ENTRIES[NAME]
    pixel_size = every[0].read()[1]
    how = view(pixel_size, entry.diameter)
    small = downsample(topaz, [one.path for one in every], how.factor, out / NAME)
    rows = []
    for number, names in enumerate(FOLDS):
        parts = [[one for one in every if (one.stem in names) is tested] for tested in (False, True)]
        folder, train, test = out / NAME / f"fold{number}", parts[0], parts[1]
        expected = sum(len(one.centres) for one in train) / len(train)
        model = trained(topaz, train, small, expected, UPDATES, folder)
        found = extract(topaz, model, [one.path for one in every], small, how.radius, folder / "picks.txt")
        seen, picked = (as_picked(found, part, entry.diameter / pixel_size / 2) for part in parts)
        threshold = scored(seen, train, entry.border, -np.inf)["best_threshold"]
        rows.append({
            "test": list(names), "threshold": threshold, "scores": scored(picked, test, entry.border, threshold),
            "unrestricted": scored(picked, test, 0, threshold), "tight": scored(picked, test, entry.border, threshold, 0.2),
        })  # fmt: skip
    return {"view": vars(how), "folds": rows, "pooled": pooled(rows)}
