"""python -m experiments.release_weights RUN/weights.safetensors [--average FILE]: the shipped weights and their card.

Fits the figure of merit on a simulated data set of its own, and writes `default.safetensors` and the card into drpnet/weights.
"""

import argparse
import re
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

from drpnet.datasets import open_dataset
from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes
from drpnet.model import DEFAULT, Model, load_model, save_model
from drpnet.provenance import git_commit
from drpnet.schema import compose_config, train_settings
from drpnet.scoring import calibrate, pick_all, score

HERE = Path(__file__).resolve().parent
SCORES = ("f_measure", "best_f_measure", "average_precision")
WEIGHTS = HERE.parents[1] / "drpnet" / "weights"


def main() -> None:
    """Copy the model without the paths of the machine that trained it, calibrated, and write the card from its provenance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--average", type=Path, help="the model that the training started from: ship the mean of both")
    parser.add_argument("--calibration", default="simulated_calibration", help="data set in conf/dataset")
    given = parser.parse_args()
    data = open_dataset(train_settings(compose_config("train", [f"dataset={given.calibration}"])).dataset)
    micrographs = [*data.train, *data.validation]
    model = load_model(given.weights)
    if given.average is not None:
        model = averaged(model, load_model(given.average))
    model = calibrate(model, micrographs, data.particle_diameter)
    picked = pick_all(model, micrographs, data.particle_diameter, "Scoring")
    found = score(picked, micrographs)
    calibration = {
        "command": f"experiments.release_weights --calibration {given.calibration}", "commit": git_commit(), "epochs": "",
        "scores": {"validation": {key: found[key] for key in SCORES}},
    }  # fmt: skip
    parts = {**model.provenance, "calibration": calibration}
    record = {part: {**facts, "command": without_paths(facts["command"])} for part, facts in parts.items()}
    model = replace(model, provenance=record)
    save_model(model, WEIGHTS / f"{DEFAULT}.safetensors")
    write_bytes(WEIGHTS / "README.md", card(model).encode())
    print(f"wrote {DEFAULT}.safetensors and README.md")


def averaged(model: Model, start: Model) -> Model:
    """A tuned first network, half way between itself and what it started from (Wortsman et al. 2022, robust fine-tuning).

    Raises InputError for networks of other layers.
    """
    assert model.fcrn is not None and start.fcrn is not None
    tuned, before = model.fcrn.state_dict(), start.fcrn.state_dict()
    if {name: value.shape for name, value in tuned.items()} != {name: value.shape for name, value in before.items()}:
        raise InputError("--average names a model of another first network; give the one that the training started from")
    middle = {name: (value + before[name]) / 2 if value.is_floating_point() else value for name, value in tuned.items()}
    model.fcrn.load_state_dict(middle)
    facts = {**model.provenance["fcrn"], "averaged_with": start.provenance["fcrn"]}
    return replace(model, provenance={**model.provenance, "fcrn": facts})


def without_paths(command: str) -> str:
    """A command with absolute paths cut down to their last two parts, and without where its run folder was."""
    command = re.sub(r"hydra\.run\.dir=\S+\s*", "", command)
    return re.sub(r"/\S*?/([^/\s]+/[^/\s]+)(?=\s|$)", r"\1", command).strip()


def card(model: Model) -> str:
    """The model card in Markdown."""
    rows = [_row(part, facts) for part, facts in model.provenance.items()]
    networks = [network for network in (model.fcrn, model.classifier) if network is not None]
    count = sum(parameter.numel() for network in networks for parameter in network.parameters())
    return Template((HERE / "card.md").read_text()).substitute(
        rows="\n".join(rows),
        parameters=f"{count:,}",
        particle_px=f"{model.preprocess.particle_diameter_px:g}",
    )


def _row(part: str, facts: dict[str, Any]) -> str:
    scores = facts["scores"]["validation"]
    numbers = " | ".join(f"{scores[key]:.3f}" for key in SCORES)
    return f"| {part} | `{facts['command']}` | `{facts['commit']}` | {facts['epochs']} | {numbers} |"


if __name__ == "__main__":
    main()
