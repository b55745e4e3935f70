import os

import pytest
import torch
from safetensors import safe_open

from drpnet.errors import InputError
from drpnet.io.picks import read_candidates_star
from drpnet.model import load_model
from drpnet.schema import compose_config

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


CLASSIFIER_YAML = """# @package _global_
defaults:
  - override /dataset: null
  - override /model: classifier
name: mine_classifier
fcrn_network:
  _target_: my_parts.TinyNetwork
  width: 4
dataset:
  name: my_data
  root: ${data_root}/my_data
  micrographs: movies/*.mrc
  coordinates: movies/labels.star
  particle_diameter: 173
"""

QUIET = ["+trainer.enable_progress_bar=false", "~callbacks.progress"]
NAMED = ["+network.fcrn._target_=my_parts.TinyNetwork", "+network.fcrn.width=4"]


@pytest.fixture(scope="module")
def run(repository, run_script, home):
    """Runs a script of the checkout in the user's folder."""
    path = os.pathsep.join([str(home), str(repository)])

    def run(script, *arguments):
        return run_script(repository / script, *arguments, cwd=home, DRPNET_DATA="data", PYTHONPATH=path)

    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's folder: one .py, one YAML, and micrographs laid out in a way of its own."""
    from drpnet.simulation.dataset import simulate_dataset
    from drpnet.simulation.parameters import SimulationParameters

    home = tmp_path_factory.mktemp("home")
    (home / "my_parts.py").write_text(PYTHON)
    (home / "my_conf" / "experiment").mkdir(parents=True)
    (home / "my_conf" / "experiment" / "mine.yaml").write_text(YAML)
    (home / "my_conf" / "experiment" / "mine_classifier.yaml").write_text(CLASSIFIER_YAML)
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
def weights(run, home):
    result = run(
        "train.py", "--config-dir", "my_conf", "experiment=mine", "trainer.max_epochs=2", "module.optimizer.lr=3e-3",
        "datamodule.patches_per_epoch=200", *QUIET, "hydra.run.dir=run",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return home / "run" / "weights.safetensors"


@pytest.fixture(scope="module")
def cascade(run, home, weights):
    """The classifier, trained on what the network from outside found."""
    result = run(
        "train.py", "--config-dir", "my_conf", "experiment=mine_classifier", f"fcrn_weights={weights}",
        "trainer.max_epochs=1", *QUIET, "hydra.run.dir=classifier_run",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return home / "classifier_run" / "weights.safetensors"


def test_parts_from_outside_train(home, weights):
    config = (home / "run" / "config.yaml").read_text()
    assert "my_parts.GaussianTarget" in config and "my_parts.RootLoss" in config
    assert '"simulated": false' in (home / "run" / "metrics.json").read_text()


@pytest.fixture(scope="module")
def picks(run, home, weights):
    """The picks of the network from outside alone."""
    places = ["micrographs=data/my_data/movies", "out=picks", "particle_diameter=173"]
    result = run("pick.py", *places, f"weights={weights}", "threshold=all", *NAMED)
    assert result.returncode == 0, result.stderr
    return home / "picks"


def test_they_pick(picks):
    assert len(list(picks.rglob("*_autopick.star"))) == 3
    candidates = sorted(picks.rglob("*candidates*.star"))
    assert len(candidates) == 3 and all(len(read_candidates_star(path).centres) for path in candidates)


def test_the_classifier_trains_on_it_and_both_pick(run, home, picks, weights, cascade):
    places = ["micrographs=data/my_data/movies", "out=cascade_picks", "particle_diameter=173"]
    result = run("pick.py", *places, f"weights={cascade}", "threshold=all", *NAMED)
    assert result.returncode == 0, result.stderr
    with safe_open(weights, "pt") as alone, safe_open(cascade, "pt") as both:
        names = {name for name in both.keys() if name.startswith("fcrn.")}  # noqa: SIM118
        assert names == set(alone.keys())
        assert all(torch.equal(alone.get_tensor(name), both.get_tensor(name)) for name in names)
    for path in sorted((home / "cascade_picks").rglob("*candidates*.star")):
        found = read_candidates_star(path)
        assert len(found.centres) and ((found.classifier_score >= 0) & (found.classifier_score <= 1)).all()
        # the same network found the same candidates, now with a second score
        before = read_candidates_star(picks / path.relative_to(home / "cascade_picks"))
        assert sorted(found.detection_score) == pytest.approx(sorted(before.detection_score), abs=1e-6)


def test_the_classifier_asks_for_the_network_by_name(run, weights):
    result = run(
        "train.py", "--config-dir", "my_conf", "experiment=mine_classifier", f"fcrn_weights={weights}",
        "fcrn_network=null", "hydra.run.dir=refused",
    )  # fmt: skip
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "my_parts.TinyNetwork, which is not part of drpnet" in line
    assert "train.py +fcrn_network._target_=my_parts.TinyNetwork" in line
    assert result.returncode == 2 and "Traceback" not in result.stderr


def test_the_network_can_be_named_on_the_command_line():
    overrides = ["experiment=trpv1_classifier", "+fcrn_network._target_=my_parts.TinyNetwork", "+fcrn_network.width=4"]
    assert compose_config("train", overrides).fcrn_network == {"_target_": "my_parts.TinyNetwork", "width": 4}


def test_a_weights_file_never_imports_a_network_by_itself(weights):
    with pytest.raises(
        InputError, match="my_parts.TinyNetwork, which is not part of drpnet; name it, .*network.fcrn._target_"
    ):
        load_model(weights)


def test_the_page_shows_these_very_files(repository):
    page = (repository / "docs" / "extend.md").read_text(encoding="utf-8")
    assert PYTHON.strip() in page
    assert YAML.strip() in page
    assert CLASSIFIER_YAML.strip() in page
