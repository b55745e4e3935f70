"""Topaz trained on a plan's labels: from its own weights, by its own rule for what has no label, in fewer steps than usual."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.evaluation.evaluate import write_json
from drpnet.io.atomic import whole_file, write_bytes
from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.micrographs import read_shape
from experiments.label_efficiency.plans import Plan, dealt
from experiments.label_efficiency.trainings import numbers
from experiments.real10017.data import ENTRIES, micrographs
from experiments.topaz.picking import LOWEST, enlarged, view
from experiments.topaz.programs import run, topaz_words
from experiments.topaz.scores import DEFAULT, as_picked

UPDATES, EPOCHS = 50, 4
"""Of an epoch, and how many: on a CPU they take as long as our tuning. Topaz's default is ten epochs of 1,000 updates."""


def topaz_trained(plan: Plan, topaz: str, real: Path, out: Path) -> dict[str, Any]:
    """Train and pick unless that is done; the scores as those of `trainings.tuned`."""
    every = micrographs(real, plan.entry)
    train, test = dealt(every, plan)
    diameter, pixel_size = ENTRIES[plan.entry].diameter, every[0].read()[1]
    how = view(pixel_size, diameter)
    small, folder = out / plan.entry / f"topaz_s{how.factor}", out / plan.name / "topaz"
    if not (small / "done").is_file():
        paths = [one.path for one in every]
        run([*topaz_words(topaz), "preprocess", "-d", -1, "-s", how.factor, "-o", small, *paths])
        write_bytes(small / "done", b"")
    folder.mkdir(parents=True, exist_ok=True)
    images, targets = ["image_name\tpath"], ["image_name\tx_coord\ty_coord"]
    for one in train:
        images.append(f"{one.stem}\t{small / one.path.name}")
        scale = np.divide(read_shape(small / one.path.name), read_shape(one.path))
        targets += [f"{one.stem}\t{x:.0f}\t{y:.0f}" for y, x in one.centres * scale]
    for name, lines in (("images", images), ("targets", targets)):
        write_bytes(folder / f"{name}.txt", ("\n".join(lines) + "\n").encode())
    picks, start = folder / "picks.txt", time.monotonic()
    if not picks.is_file():
        # how many particles a micrograph has is told, as a user would guess it: from the complete labels
        expected = np.mean([len(whole.centres) for whole in every])
        run([
            *topaz_words(topaz), "train", "-d", -1, "--num-workers", 0, "-n", round(expected), "-r", 3,
            "--train-images", folder / "images.txt", "--train-targets", folder / "targets.txt",
            "--epoch-size", UPDATES, "--num-epochs", EPOCHS, "--save-prefix", folder / "model", "-o", folder / "training.txt",
        ])  # fmt: skip
        model = folder / f"model_epoch{EPOCHS}.sav"
        with whole_file(picks) as temporary:
            extract = ["extract", "-d", -1, "-m", model, "-r", how.radius, "-t", LOWEST, "-o", temporary]
            run([*topaz_words(topaz, gradients=False), *extract, *(small / one.path.name for one in test)])
        write_json({"seconds": time.monotonic() - start}, folder / "seconds.json")
    found, none = read_coordinate_set(picks), Coordinates(np.empty((0, 2)), np.empty(0))
    own = {
        one.stem: enlarged(found.get(one.stem, none), read_shape(small / one.path.name), read_shape(one.path))
        for one in test
    }
    scores = numbers(as_picked(own, test, diameter / pixel_size / 2), test, ENTRIES[plan.entry].border, DEFAULT)
    seconds = json.loads((folder / "seconds.json").read_text())["seconds"]
    return {**asdict(plan), "used": sum(len(one.centres) for one in train), "way": "topaz", "seconds": seconds, **scores}
