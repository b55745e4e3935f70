"""A tiny untrained network and a few micrographs of noise; `drpnet pick` with them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from drpnet.calibration import FigureOfMerit
from drpnet.cli import app
from drpnet.config import DetectionConfig
from drpnet.io.micrographs import write_micrograph
from drpnet.model import Calibration, Model, save_model
from drpnet.networks import FCRN

PIXEL_SIZE, DIAMETER = 5.0, 100


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """An untrained network whose calibration makes its candidates' figures of merit spread over 0..1."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    architectures = {"fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"width": 4}}}
    model = Model(
        FCRN(width=4), detection=DetectionConfig(threshold=0.002), calibration=Calibration(FigureOfMerit(0.0, (10.0, 10.0))),
        architectures=architectures,
    )  # fmt: skip
    save_model(model, path)
    return path


@pytest.fixture
def mics(tmp_path) -> Path:
    """Three micrographs in two folders, two of them with the same name."""
    rng = np.random.default_rng(1)
    for name in ("a/one.mrc", "a/two.v2.mrc", "b/one.mrc"):
        write_micrograph(tmp_path / "mics" / name, rng.normal(100, 10, (120, 150)).astype(np.float32), PIXEL_SIZE)
    return tmp_path / "mics"


@pytest.fixture(scope="session")
def pick() -> Callable[..., int]:
    """The exit status of `drpnet pick` with the tiny network."""
    return _pick


def _pick(weights: Path, source: object, out: Path, *options: object) -> int:
    arguments = [
        "pick",
        source,
        "--out",
        out,
        "--diameter",
        DIAMETER,
        "--weights",
        weights,
        "--device",
        "cpu",
        *options,
    ]  # of an option that is given twice the last counts
    with pytest.raises(SystemExit) as stop:
        app([str(argument) for argument in arguments])
    return int(stop.value.code or 0)
