"""Topaz trained on a plan's labels, and judged on the same micrographs as ours."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drpnet.evaluation.evaluate import write_json
from experiments.label_efficiency.plans import Plan, dealt
from experiments.label_efficiency.trainings import numbers
from experiments.real10017.data import ENTRIES, micrographs
from experiments.topaz.picking import downsample, extract, view
from experiments.topaz.scores import DEFAULT, as_picked
from experiments.topaz.training import trained

UPDATES = 50
"""Of an epoch. All of them take about as long as our tuning."""


def topaz_trained(plan: Plan, topaz: str, real: Path, out: Path) -> dict[str, Any]:
    """Train and pick unless that is done; the scores as those of `trainings.tuned`."""
    every = micrographs(real, plan.entry)
    train, test = dealt(every, plan)
    diameter, pixel_size = ENTRIES[plan.entry].diameter, every[0].read()[1]
    how = view(pixel_size, diameter)
    small = downsample(topaz, [one.path for one in every], how.factor, out / plan.entry)
    folder, start = out / plan.name / "topaz", time.monotonic()
    # how many particles a micrograph has is told, as a user would guess it: from the complete labels
    expected = sum(len(one.centres) for one in every) / len(every)
    model = trained(topaz, train, small, expected, UPDATES, folder)
    if not (folder / "seconds.json").is_file():
        write_json({"seconds": time.monotonic() - start}, folder / "seconds.json")
    found = extract(topaz, model, [one.path for one in test], small, how.radius, folder / "picks.txt")
    scores = numbers(as_picked(found, test, diameter / pixel_size / 2), test, ENTRIES[plan.entry].border, DEFAULT)
    seconds = json.loads((folder / "seconds.json").read_text())["seconds"]
    return {**asdict(plan), "used": sum(len(one.centres) for one in train), "way": "topaz", "seconds": seconds, **scores}
