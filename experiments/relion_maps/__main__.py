"""python -m experiments.relion_maps [--minutes M]: Table 3 measured on simulated micrographs, in parts that go on."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.star import write_star
from drpnet.io.volumes import read_volume
from drpnet.measures.matching import match_one_to_one
from experiments.relion_baseline.programs import require_relion, steps_done
from experiments.relion_baseline.templates import choose_templates, read_classes
from experiments.relion_maps import protocol
from experiments.relion_maps.averages import draw_averages
from experiments.relion_maps.classes import good_classes, keep
from experiments.relion_maps.project import (
    DIAMETER,
    EVEN,
    GEOMETRY,
    PICKED,
    PICKS_SUFFIX,
    PIXEL_SIZE,
    SYMMETRY,
    TRAINING,
    best,
    even_copies,
    lay_out,
    picks_of_drpnet,
    picks_of_relion,
    write_picks,
)  # fmt: skip
from experiments.relion_maps.steps import OutOfTime, Runner

HERE = Path(__file__).resolve().parent
PICKERS = ("drpnet", "relion")
MASK_LEVEL = 0.15
"""Share of the reference's highest density from which the mask holds protein."""


def main() -> None:
    """Go on with the pipeline; when it is through, write result.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("outputs/relion_maps"), help="RELION's project folder")
    parser.add_argument("--micrographs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--weights", default="cascade", help="DRPnet's model")
    parser.add_argument("--minutes", type=float, help="stop then; the same command goes on")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    given = parser.parse_args()
    until = float("inf") if given.minutes is None else time.monotonic() + 60 * given.minutes
    try:
        version = require_relion()
        lay_out(given.out, given.micrographs, given.seed)
        runner = Runner(given.out, until)
        counts = pick(runner, given.weights)
        for picker in PICKERS:
            counts[picker] |= refine(runner, picker)
    except OutOfTime as step:
        sys.exit(f"stopped in {step}; the same command goes on")
    except InputError as error:
        sys.exit(f"error: {error}")
    facts = {"relion": version, "micrographs": given.micrographs, "seed": given.seed, "simulated": True}
    write_json({**facts, "pickers": counts, "steps": steps_done(given.out)}, given.result)
    last = f"class2d/run_it{protocol.ITERATIONS:03d}_model.star"
    draw_averages({picker: given.out / picker / last for picker in PICKERS}, given.result.with_name("averages.png"))
    print(f"wrote {given.result} and averages.png beside it; the maps side by side: see the README's second command")


def pick(runner: Runner, weights: str) -> dict[str, dict[str, Any]]:
    """Both pickers' best picks, as many as DRPnet has at its default threshold, written for extraction, with their scores."""
    folder = runner.folder
    make_templates(runner)
    even_copies(folder)
    runner.run(
        "autopick", protocol.autopick(f"{EVEN}.star", "templates.star", "autopick", DIAMETER, PIXEL_SIZE),
        "autopick/summary.star",
    )  # fmt: skip
    drpnet, relion = picks_of_drpnet(folder, weights), picks_of_relion(folder, "autopick")
    count = sum(int((one.merit >= 0.4).sum()) for one in drpnet.values())
    truth = read_coordinate_set(folder / PICKED / "particles.star")
    counts = {}
    for picker, picks in (("drpnet", drpnet), ("relion", relion)):
        chosen = best(picks, count)
        for stem, centres in chosen.items():
            write_picks(folder, f"{picker}/picks", PICKED, stem, centres)
        radius = DIAMETER / PIXEL_SIZE / 2
        true = sum(len(match_one_to_one(own, truth[stem].centres, radius).pick_index) for stem, own in chosen.items())
        picked, particles = sum(map(len, chosen.values())), sum(len(one.centres) for one in truth.values())
        counts[picker] = {
            "picked": picked, "true": true, "particles": particles, "precision": true / picked, "recall": true / particles,
        }  # fmt: skip
    return counts


def make_templates(runner: Runner) -> None:
    """From 1,000 true particles of the training micrographs to templates.star (paper, section 4.1)."""
    folder = runner.folder
    command = protocol.extract(f"{TRAINING}.star", "labels", PICKS_SUFFIX, "templates", GEOMETRY)
    runner.run("templates_extract", command, "templates/particles.star")
    root = "templates/classes/run"
    averages = f"{root}_it{protocol.ITERATIONS:03d}_classes.mrcs"
    command = protocol.classify_2d("templates/particles.star", root, GEOMETRY)
    runner.run("templates_classify", command, averages, root)
    chosen = choose_templates(read_classes(folder / averages.replace("classes.mrcs", "model.star")))
    write_star(folder / "templates.star", {"": {"rlnReferenceImage": [average.image for average in chosen]}})


def refine(runner: Runner, picker: str) -> dict[str, Any]:
    """Extract, classify in 2D and 3D, refine with and without symmetry, postprocess; how many particles stayed."""
    folder, last = runner.folder, f"_it{protocol.ITERATIONS:03d}"
    command = protocol.extract(f"{PICKED}.star", f"{picker}/picks", PICKS_SUFFIX, picker, GEOMETRY)
    runner.run(f"{picker}_extract", command, f"{picker}/particles.star")
    kept = {}
    particles = f"{picker}/particles.star"
    for name, make in (
        ("2d", lambda source, root: protocol.classify_2d(source, root, GEOMETRY)),
        ("3d", lambda source, root: protocol.classify_3d(source, root, SYMMETRY, GEOMETRY)),
    ):
        root = f"{picker}/class{name}/run"
        runner.run(f"{picker}_class{name}", make(particles, root), f"{root}{last}_model.star", root)
        good = good_classes(folder / f"{root}{last}_model.star")
        particles = f"{picker}/after_{name}.star"
        kept[f"after_{name}"] = keep(folder / f"{root}{last}_data.star", good, folder / particles)
        kept[f"classes_{name}"] = len(good)
    make_mask(runner)
    for symmetry in (SYMMETRY, "C1"):
        root = f"{picker}/refine_{symmetry}/run"
        command = protocol.refine_3d(particles, root, symmetry, GEOMETRY)
        runner.run(f"{picker}_refine_{symmetry}", command, f"{root}_half1_class001_unfil.mrc", root)
        out = f"{picker}/postprocess_{symmetry}"
        command = protocol.postprocess(root, out, PIXEL_SIZE)
        runner.run(f"{picker}_postprocess_{symmetry}", command, f"{out}/postprocess.star")
    return kept


def make_mask(runner: Runner) -> None:
    """One mask for every map, from the reference."""
    density, _ = read_volume(runner.folder / protocol.REFERENCE)
    level = MASK_LEVEL * float(np.max(density))
    runner.run("mask", protocol.create_mask(level, PIXEL_SIZE), protocol.MASK)


if __name__ == "__main__":
    main()
