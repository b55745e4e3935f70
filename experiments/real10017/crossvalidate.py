"""Cross-validation over the seven EMPIAR-10017 micrographs that carry peers' picks."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.picks import Candidates
from drpnet.model import load_model
from drpnet.scoring import pick_all
from experiments.real10017.data import ENTRIES, micrographs, scored

FOLDS = (
    ("Falcon_2012_06_12-14_33_35_0", "Falcon_2012_06_12-15_17_31_0"),
    ("Falcon_2012_06_12-15_30_21_0", "Falcon_2012_06_12-15_36_26_0"),
    ("Falcon_2012_06_12-15_43_48_0", "Falcon_2012_06_12-15_53_09_0"),
    ("Falcon_2012_06_12-16_44_07_0",),
)
STAGES = ("fcrn", "classifier", "unet")
LEFT_OUT = Path(__file__).with_name("left_out.safetensors")
"""A U-Net trained on simulations without beta-galactosidase and on no real micrograph; the stage `unet` goes on from it."""
LONGER = ("trainer.max_epochs=8", "datamodule.patches_per_epoch=1000", "dataset.incomplete=true")
"""Of the tuning: nine micrographs are more than a few, and their edges have no labels."""
VALIDATION = ("Falcon_2012_06_12-16_55_40_0",)
"""One of the three micrographs without peers' picks; the other two are always for training."""


def crossvalidate(real: Path, out: Path, stages: Sequence[str] = STAGES) -> dict[str, Any]:
    """Train every fold (finished ones are kept), fix the threshold on its training micrographs, pool the test folds."""
    entry = ENTRIES["empiar10017"]
    by_stem = {micrograph.stem: micrograph for micrograph in micrographs(real, "empiar10017")}
    folds: list[dict[str, Any]] = []
    for number, names in enumerate(FOLDS):
        weights_of = {stage: _train(stage, names, real, out / f"fold{number}" / stage) for stage in stages}
        train = [micrograph for stem, micrograph in by_stem.items() if stem not in names]
        test = [by_stem[name] for name in names]
        row: dict[str, Any] = {"test": list(names)}
        for stage, weights in weights_of.items():
            model = load_model(weights)
            seen = pick_all(model, train, entry.diameter, "Training folds")
            threshold = scored(seen, train, entry.border, 0.0)["best_threshold"]
            picked = pick_all(model, test, entry.diameter, "Test fold")
            row[stage] = {"threshold": threshold, "scores": scored(picked, test, entry.border, threshold)}
            row[stage]["unrestricted"] = scored(picked, test, 0, threshold)
            row[stage]["tight"] = scored(picked, test, entry.border, threshold, 0.2)
        folds.append(row)
    together = {stage: pooled([fold[stage] for fold in folds]) for stage in stages}
    return {"folds": folds, "pooled": together, "peers": peers(real)}


def _train(stage: str, test: tuple[str, ...], real: Path, folder: Path) -> Path:
    """Run train.py as a user would; a fold that is finished is not trained again."""
    weights = folder / "weights.safetensors"
    if not weights.is_file():
        experiment = "finetune" if stage == "unet" else f"real10017_{stage}"
        command = [
            sys.executable, "train.py", f"experiment={experiment}", "dataset=real10017", f"dataset.root={real / 'empiar10017'}",
            f"dataset.test=[{','.join(test)}]", f"dataset.validation=[{','.join(VALIDATION)}]",
            f"hydra.run.dir={folder}",
        ]  # fmt: skip
        if stage == "classifier":
            command.append(f"fcrn_weights={folder.parent / 'fcrn' / 'weights.safetensors'}")
        if stage == "unet":
            command += [f"initial_weights={LEFT_OUT}", *LONGER]
        subprocess.run(command, check=True)
    return weights


def pooled(folds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of all test folds, each at its own fixed threshold, added up."""
    found = {}
    for kind in ("scores", "unrestricted", "tight"):
        results = [fold[kind] for fold in folds]
        picks, truth = sum(r["picks"] for r in results), sum(r["truth"] for r in results)
        true = sum(round(r["precision"] * r["picks"]) for r in results)
        found[kind] = {
            "precision": true / max(1, picks), "recall": true / truth, "f_measure": 2 * true / (picks + truth),
            "picks": picks, "truth": truth,
        }  # fmt: skip
    return found


def peers(real: Path) -> dict[str, Any]:
    """The peers' published picks on the same seven micrographs, as they ship them."""
    entry = ENTRIES["empiar10017"]
    names = [name for fold in FOLDS for name in fold]
    chosen = [micrograph for micrograph in micrographs(real, "empiar10017") if micrograph.stem in names]
    rows = {}
    for folder in sorted((real / "empiar10017" / "peers").iterdir()):
        found = read_coordinate_set(folder)
        picked = [(_as_candidates(found[m.stem]), entry.diameter / m.read()[1] / 2) for m in chosen]
        rows[folder.name] = {
            "scores": scored(picked, chosen, entry.border, float("-inf")),
            "unrestricted": scored(picked, chosen, 0, float("-inf")),
            "tight": scored(picked, chosen, entry.border, float("-inf"), 0.2),
        }
    return rows


def _as_candidates(coordinates: Coordinates) -> Candidates:
    """A peer's picks with their one score."""
    assert coordinates.scores is not None
    return Candidates(coordinates.centres, coordinates.scores, coordinates.scores, coordinates.scores)
