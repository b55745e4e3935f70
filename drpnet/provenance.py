"""Where a trained model comes from: data, command, commit, versions, metrics."""

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from drpnet import __version__
from drpnet.labelled import LabelledSet

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "numpy", "scipy", "torchmetrics")


def git_commit() -> str | None:
    """The commit of the checkout that this package runs from, `+` appended when files differ; None outside a checkout."""
    folder = Path(__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None  # an installed package may lie inside somebody else's repository
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], cwd=folder, capture_output=True, text=True, check=True
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python, drpnet and the packages that decide results."""
    return {"python": platform.python_version(), "drpnet": __version__, **{name: version(name) for name in PACKAGES}}


def provenance(data: LabelledSet, seed: int, epochs: int, seconds: float, metrics: dict[str, Any]) -> dict[str, Any]:
    """What the weights file and metrics.json say of a training."""
    return {
        "dataset": data.name,
        "simulated": data.simulated,
        "particle_diameter": data.particle_diameter,
        "train_micrographs": len(data.train),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": git_commit(),
        "seed": seed,
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "scores": {
            part: {key: value for key, value in result.items() if key != "per_micrograph"}
            for part, result in metrics.items()
        },
    }
