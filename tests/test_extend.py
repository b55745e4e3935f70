import os
import subprocess
import sys

import pytest

from drpnet.errors import InputError
from drpnet.io.picks import read_candidates_star
from drpnet.model import load_model

PYTHON = """
import numpy as np
from torch import nn


class TinyNetwork(nn.Module):
    halo = 6

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 9, padding=4), nn.ReLU(), nn.Conv2d(width, 1, 5, padding=2)
        )

    def forward(self, x):
        return self.layers(x)


class GaussianTarget:
    def __init__(self, sigma_diameters):
        self.sigma_diameters = sigma_diameters

    def __call__(self, shape, centres, diameter_px):
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        target, sigma = np.zeros(shape, np.float32), self.sigma_diameters * diameter_px
        for y, x in centres:
            bump = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
            np.maximum(target, bump, out=target, casting="same_kind")
        return target


class RootLoss(nn.Module):
    def forward(self, output, target):
        return ((output - target) ** 2 + 1e-6).sqrt().mean()
"""

YAML = """# @package _global_
defaults:
  - override /dataset: null
  - override /target: null
name: mine
network:
  _target_: my_parts.TinyNetwork
  width: 4
target:
  _target_: my_parts.GaussianTarget
  sigma_diameters: 0.2
module:
  loss:
    _target_: my_parts.RootLoss
dataset:
  name: my_data
  root: ${data_root}/my_data
  micrographs: movies/*.mrc
  coordinates: movies/labels.star
  particle_diameter: 173
"""


def run(repository, home, script, *arguments):
    environment = {**os.environ, "DRPNET_DATA": "data", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    environment["PYTHONPATH"] = os.pathsep.join([str(home), str(repository)])
    command = [sys.executable, str(repository / script), *map(str, arguments)]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder: one .py, one YAML, and micrographs laid out in a way of its own."""
    from drpnet.simulation.dataset import simulate_dataset
    from drpnet.simulation.parameters import SimulationParameters

    home = tmp_path_factory.mktemp("home")
    (home / "my_parts.py").write_text(PYTHON)
    (home / "my_conf" / "experiment").mkdir(parents=True)
    (home / "my_conf" / "experiment" / "mine.yaml").write_text(YAML)
    parameters = SimulationParameters(
        micrographs=3, height=200, width=210, pixel_size=8.0, particles_per_micrograph=8, min_distance=1.0,
        snr_range=[0.5, 0.5], carbon_probability=0.0, contamination_probability=0.0,
    )  # fmt: skip
    made = simulate_dataset(parameters, home / "simulated")
    (home / "data" / "my_data").mkdir(parents=True)
    movies = (made / "micrographs").rename(home / "data" / "my_data" / "movies")
    (made / "particles.star").rename(movies / "labels.star")
    return home


@pytest.fixture(scope="module")
def weights(repository, home):
    result = run(
        repository, home, "train.py", "--config-dir", "my_conf", "experiment=mine", "trainer.max_epochs=2",
        "datamodule.patches_per_epoch=200", "+trainer.enable_progress_bar=false", "~callbacks.progress",
        "module.optimizer.lr=3e-3", "hydra.run.dir=run",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return home / "run" / "weights.safetensors"


def test_parts_from_outside_train(home, weights):
    config = (home / "run" / "config.yaml").read_text()
    assert "my_parts.GaussianTarget" in config and "my_parts.RootLoss" in config
    assert '"simulated": false' in (home / "run" / "metrics.json").read_text()


def test_they_pick(repository, home, weights):
    result = run(
        repository, home, "pick.py", "micrographs=data/my_data/movies", "out=picks", "particle_diameter=173",
        f"weights={weights}", "threshold=all", "+network.fcrn._target_=my_parts.TinyNetwork", "+network.fcrn.width=4",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(list((home / "picks").rglob("*_autopick.star"))) == 3
    candidates = sorted((home / "picks").rglob("*candidates*.star"))
    assert len(candidates) == 3 and all(len(read_candidates_star(path).centres) for path in candidates)


def test_a_weights_file_never_imports_a_network_by_itself(weights):
    with pytest.raises(
        InputError, match="my_parts.TinyNetwork, which is not part of drpnet; name it: .*network.fcrn._target_"
    ):
        load_model(weights)


def test_the_page_shows_these_very_files(repository):
    page = (repository / "docs" / "extend.md").read_text(encoding="utf-8")
    assert PYTHON.strip() in page
    assert YAML.strip() in page
