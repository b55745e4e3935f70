"""Train one row with one seed, pick the test micrographs, and score them; what is done is not done again."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drpnet.adapt import adapt_classifier
from drpnet.cascade import Picker
from drpnet.config import PRESETS
from drpnet.datasets import open_dataset
from drpnet.evaluation.evaluate import score_micrographs, write_json
from drpnet.labelled import LabelledMicrograph, LabelledSet
from drpnet.measures.matching import outside_border
from drpnet.model import CASCADE, Model, load_model
from drpnet.provenance import git_commit
from drpnet.schema import compose_config, train_settings
from drpnet.train import train
from experiments.ablations.rows import BY_NAME, FCRN, Bench, Row, Task

SCORES = "scores.json"
DIAMETERS = {"diameter_70": 0.7, "diameter_85": 0.85, "diameter_115": 1.15, "diameter_130": 1.3}
ADAPT_BATCH = ("datamodule.batch_size=16", "datamodule.patches_per_epoch=1600", "trainer.max_epochs=2")
QUIET = (
    "logger=none", "callbacks.progress._target_=pytorch_lightning.Callback", "+trainer.enable_progress_bar=false",
    "trainer.accelerator=cpu",
)  # fmt: skip


def run(task: Task) -> dict[str, Any]:
    """The scores of a row with a seed: pooled, and F of every test micrograph by name."""
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    path = task.folder / SCORES
    if not path.is_file():
        model, diameter = prepared(task)
        data = sized(int(task.row.name.removeprefix("size_"))) if task.row.group == "particle size" else labelled(task.bench)
        scores = score(model, data, task.row.name, task.bench.border_px, diameter or data.particle_diameter)
        write_json(scores, path)
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def labelled(bench: Bench) -> LabelledSet:
    """The bench's micrographs, simulated where that is asked for."""
    return open_dataset(train_settings(compose_config("train", ["model=fcrn", f"dataset={bench.dataset}"])).dataset)


def sized(diameter: int) -> LabelledSet:
    """Simulated micrographs of particles of another size (Angstrom) that cover as much of the frame."""
    words = [
        "dataset.root=${data_root}/simulated_sizes/" + str(diameter), f"dataset.particle_diameter={diameter}",
        f"dataset.simulation.particle_diameter={diameter}",
        f"dataset.simulation.particles_per_micrograph={round(120 * (173 / diameter) ** 2)}",
    ]  # fmt: skip
    return open_dataset(train_settings(compose_config("train", ["model=fcrn", "dataset=simulated_sizes", *words])).dataset)


def prepared(task: Task) -> tuple[Model, float | None]:
    """The model that picks for this row, and the diameter (Angstrom) it was trained with where that is not the bench's."""
    row = task.row
    if row.trains:
        config, weights = trained(task)
        own = config.dataset.particle_diameter if row.name in ("half_size", "full_size") else None
        return without_classifier(load_model(weights), row), own
    if row.name.startswith("shipped"):
        return without_classifier(load_model(CASCADE), row), None
    model = load_model(trained(replace(task, row=BY_NAME[FCRN]))[1])
    if row.ablation:
        model = replace(model, detection=train_settings(compose(task)).detection)
    if row.name == "adapted":
        data = labelled(task.bench)
        config = compose_config("train", ["model=classifier", f"seed={task.seed}", *ADAPT_BATCH, *QUIET])
        model = adapt_classifier(model, [one.read() for one in data.test], data.particle_diameter, config, "cpu")
    if row.name == "bright":
        model = replace(model, preprocess=replace(model.preprocess, negative_stain=True))
    return model, None


def without_classifier(model: Model, row: Row) -> Model:
    """The model, or its first network alone where that is what the row is about."""
    return model if row.trains == "classifier" or row.name == "shipped_cascade" else replace(model, classifier=None)


def compose(task: Task):
    """The configuration of the training of a row; what picks only has that of the first network with its change."""
    row = task.row
    dataset = task.bench.elsewhere if row.dataset == "elsewhere" else task.bench.dataset
    stage = "classifier" if row.trains == "classifier" else "fcrn"
    words = [f"experiment=trpv1_{stage}", f"dataset={dataset}", f"budget={task.budget}", f"seed={task.seed}"]
    words += [f"ablation={row.ablation}"] if row.ablation else []
    words += [f"callbacks.checkpoint.dirpath={task.folder.resolve()}/checkpoints", *QUIET]
    if stage == "classifier":
        words.append(f"fcrn_weights={trained(replace(task, row=BY_NAME[FCRN]))[1].resolve()}")
    return compose_config("train", words)


def trained(task: Task) -> tuple[Any, Path]:
    """Configuration and weights of a row's training, which is run unless it was."""
    config, weights = compose(task), task.folder / "weights.safetensors"
    if not weights.is_file():
        train(config, task.folder)
    return config, weights


def score(model: Model, data: LabelledSet, name: str, border_px: float, diameter: float) -> dict[str, Any]:
    """One-to-one within half the data set's diameter at the default threshold, on the test micrographs."""
    picker, diameter = Picker(model), diameter * DIAMETERS.get(name, 1.0)
    every: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for micrograph in data.test:
        image, pixel_size = micrograph.read()
        found = picker.pick(-image if name.startswith("bright") else image, pixel_size, diameter)
        radius = data.particle_diameter / pixel_size / 2
        inside = outside_border(found.centres, image.shape, border_px)
        truth = inner(micrograph, image.shape, border_px)
        for fields, chosen in ((every, inside), (kept, inside & (found.figure_of_merit >= PRESETS["balanced"]))):
            fields[micrograph.stem] = (found.centres[chosen], found.figure_of_merit[chosen], truth, radius)
    pooled, best = score_micrographs(kept), score_micrographs(every)
    return {
        "commit": git_commit(),
        **{key: pooled[key] for key in ("precision", "recall", "f_measure", "picks", "truth")},
        **{key: best[key] for key in ("average_precision", "best_f_measure")},
        "micrographs": {row["micrograph"]: row["f_measure"] for row in pooled["per_micrograph"]},
    }


def inner(micrograph: LabelledMicrograph, shape: tuple[int, ...], border_px: float) -> np.ndarray:
    """The labelled centres (n, 2) outside the border band."""
    return micrograph.centres[outside_border(micrograph.centres, (shape[0], shape[1]), border_px)]


