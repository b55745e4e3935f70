"""The shipped network tuned by a plan's labels, as a user would do it, and judged on micrographs it has not seen."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drpnet.config import PRESETS
from drpnet.evaluation.evaluate import write_json
from drpnet.labelled import LabelledMicrograph
from drpnet.model import load_model
from drpnet.scoring import Picked, pick_all
from experiments.label_efficiency.plans import Plan, dealt, lay_out
from experiments.real10017.data import ENTRIES, micrographs, scored
from experiments.topaz.programs import run

WAYS = ("incomplete", "background")
"""What becomes of particles without a label: `dataset.incomplete=true`, or they count as background."""


def ways_of(plan: Plan) -> tuple[str, ...]:
    """The ways that a plan is trained: whole micrographs have no unlabelled particles, and that counting those as background
    ruins a network is shown with one seed."""
    if plan.labels is None:
        return ("background",)
    return WAYS if plan.seed == 0 else ("incomplete",)


def tuned(plan: Plan, way: str, real: Path, out: Path) -> dict[str, Any]:
    """Train as the plan says, unless that is done; its scores and seconds."""
    train, test = dealt(micrographs(real, plan.entry), plan)
    folder = out / plan.name
    lay_out(train, folder / "data")
    done, start = folder / way / "seconds.json", time.monotonic()
    if not done.is_file():
        run([
            sys.executable, "train.py", "experiment=finetune", f"dataset.root={folder / 'data'}",
            f"dataset.particle_diameter={ENTRIES[plan.entry].diameter:g}", f"seed={plan.seed}",
            f"dataset.incomplete={str(way == 'incomplete').lower()}", f"hydra.run.dir={folder / way}",
        ])  # fmt: skip
        write_json({"seconds": time.monotonic() - start}, done)
    labels = sum(len(one.centres) for one in train)
    seconds = json.loads(done.read_text())["seconds"]
    scores = judged(load_model(folder / way / "weights.safetensors"), test, plan.entry)
    return {**asdict(plan), "used": labels, "way": way, "seconds": seconds, **scores}


def untrained(plan: Plan, real: Path) -> dict[str, Any]:
    """The scores of the shipped network on a plan's test micrographs."""
    _, test = dealt(micrographs(real, plan.entry), plan)
    return {"entry": plan.entry, "seed": plan.seed, "micrographs": 0, "labels": 0, "used": 0, "way": "shipped"} | judged(
        load_model("default"), test, plan.entry
    )


def judged(model: Any, test: Sequence[LabelledMicrograph], entry: str) -> dict[str, float]:
    """F at the default threshold and at the best one, within half a diameter and within 0.2 of one."""
    facts, of = ENTRIES[entry], list(test)
    return numbers(pick_all(model, of, facts.diameter, entry), of, facts.border, PRESETS["balanced"])


def numbers(picked: list[Picked], of: list[LabelledMicrograph], border: float, threshold: float) -> dict[str, float]:
    """The same of any picks."""
    wide, tight = (scored(picked, of, border, threshold, share) for share in (0.5, 0.2))
    every = scored(picked, of, border, float("-inf"))
    return {
        "precision": wide["precision"], "recall": wide["recall"], "f_measure": wide["f_measure"],
        "tight_f_measure": tight["f_measure"], "best_f_measure": every["best_f_measure"],
    }  # fmt: skip
