import csv
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf

from drpnet.checkpoints import start_from
from drpnet.errors import InputError
from drpnet.model import load_model
from drpnet.networks import FCRN, PatchClassifier

EASY = [
    "dataset.simulation.micrographs=4",
    "dataset.simulation.height=288",
    "dataset.simulation.width=256",
    "dataset.simulation.pixel_size=8",
    "dataset.simulation.particles_per_micrograph=20",
    "dataset.simulation.min_distance=1",
    "dataset.simulation.snr_range=[0.5,0.5]",
    "dataset.simulation.carbon_probability=0",
    "dataset.simulation.contamination_probability=0",
]
SMALL = [
    "network.width=8",
    "datamodule.patches_per_epoch=400",
    "+trainer.enable_progress_bar=false",
    "~callbacks.progress",
]


@pytest.fixture(scope="session")
def run(repository, run_script):
    """Runs train.py with a data root and arguments."""

    def run(data, *arguments, cwd=None):
        return run_script(repository / "train.py", *arguments, cwd=cwd or repository, DRPNET_DATA=str(data))

    return run


def said(result):
    """Everything a run printed, as one line."""
    return " ".join((result.stdout + result.stderr).split())


@pytest.fixture(scope="module")
def fcrn_run(run, tmp_path_factory):
    """Two epochs of the FCRN on the stand-in, in the run folder that Hydra names."""
    home = tmp_path_factory.mktemp("train")
    arguments = ["experiment=trpv1_fcrn", *EASY, *SMALL, "trainer.max_epochs=2", "module.optimizer.lr=3e-3"]
    result = run(home / "data", *arguments, cwd=home)
    assert result.returncode == 0, result.stderr
    (folder,) = home.glob("outputs/*/*")
    return home, folder, result, arguments


def test_without_data_it_says_simulated_loudly(fcrn_run):
    home, folder, result, _ = fcrn_run
    assert "SIMULATED STAND-IN" in said(result)
    assert "drpnet download empiar10005" in said(result)
    assert folder.parent.name == "trpv1_fcrn_simulated"
    assert (home / "data" / "empiar10005_simulated" / "particles.star").is_file()
    assert not (home / "data" / "empiar10005").exists()


def test_the_run_folder_is_complete(fcrn_run):
    _, folder, _, _ = fcrn_run
    for name in (
        "config.yaml",
        "metrics.json",
        "weights.safetensors",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (folder / name).stat().st_size > 0, name
    for name in ("curves.png", "distance_map.png", "picks.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG"), name
    config = OmegaConf.load(folder / "config.yaml")
    assert config.trainer.max_epochs == 2 and config.network.width == 8 and config.seed == 0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["simulated"] is True and "simulated" in metrics["dataset"]
    assert metrics["epochs"] == 2 and metrics["seed"] == 0
    assert metrics["versions"]["torch"] == torch.__version__
    assert "experiment=trpv1_fcrn" in metrics["command"] and "commit" in metrics
    for key in ("precision", "recall", "f_measure", "average_precision", "best_f_measure", "per_micrograph"):
        assert key in metrics["validation"]


def test_the_weights_load_with_what_they_were_trained_for(fcrn_run):
    _, folder, _, _ = fcrn_run
    model = load_model(folder / "weights.safetensors")
    assert isinstance(model.fcrn, FCRN) and model.fcrn.conv_1.out_channels == 8
    assert model.classifier is None
    assert model.preprocess.outlier_deviations == 6  # conf/preprocess/default.yaml
    assert model.provenance["fcrn"]["simulated"] is True
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    torch.testing.assert_close(model.fcrn.conv_1.weight, best["network.conv_1.weight"])


def test_it_learns_easy_micrographs(fcrn_run):
    _, folder, _, _ = fcrn_run
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["validation"]["best_f_measure"] > 0.85


def test_the_classifier_trains_on_the_detectors_own_detections(run, fcrn_run, tmp_path):
    home, folder, _, _ = fcrn_run
    result = run(
        home / "data", "experiment=trpv1_classifier", *EASY, f"fcrn_weights={folder}/weights.safetensors",
        "trainer.max_epochs=1", "+trainer.enable_progress_bar=false", "~callbacks.progress", f"hydra.run.dir={tmp_path}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    model = load_model(tmp_path / "weights.safetensors")
    assert isinstance(model.classifier, PatchClassifier)
    assert set(model.provenance) == {"fcrn", "classifier"}
    before = load_model(folder / "weights.safetensors")
    torch.testing.assert_close(model.fcrn.state_dict(), before.fcrn.state_dict())
    assert json.loads((tmp_path / "metrics.json").read_text())["simulated"] is True
    assert (tmp_path / "curves.png").is_file()


def test_a_run_can_be_resumed(run, fcrn_run, tmp_path):
    home, folder, _, arguments = fcrn_run
    data, last = home / "data", folder / "checkpoints" / "last.ckpt"
    arguments = [a for a in arguments if not a.startswith("trainer.max_epochs")]
    result = run(data, *arguments, "trainer.max_epochs=3", f"resume={last}", f"hydra.run.dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    with (tmp_path / "curves" / "metrics.csv").open() as file:
        assert {row["epoch"] for row in csv.DictReader(file)} == {"2"}
    assert json.loads((tmp_path / "metrics.json").read_text())["epochs"] == 3
    first = torch.load(last, weights_only=True)
    second = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert second["global_step"] == 1.5 * first["global_step"]


def test_training_starts_from_a_model(run, fcrn_run, tmp_path):
    home, folder, _, arguments = fcrn_run
    known = load_model(folder / "weights.safetensors").fcrn.state_dict()
    arguments = [a for a in arguments if not a.startswith(("trainer.max_epochs", "module.optimizer"))]
    words = [*arguments, "trainer.max_epochs=1", "datamodule.patches_per_epoch=16", f"hydra.run.dir={tmp_path}"]
    words.append(f"initial_weights={folder}/weights.safetensors")
    result = run(home / "data", *words, "module.optimizer.lr=0")
    assert result.returncode == 0, result.stderr
    torch.testing.assert_close(load_model(tmp_path / "weights.safetensors").fcrn.state_dict(), known, rtol=0, atol=0)
    with pytest.raises(InputError, match="of another network .*FCRN"):
        start_from(f"{folder}/weights.safetensors", "fcrn", FCRN(width=4))
    with pytest.raises(InputError, match="holds no classifier"):
        start_from(f"{folder}/weights.safetensors", "classifier", PatchClassifier())


def test_the_shipped_network_is_tuned_on_a_few_micrographs(run, fcrn_run, tmp_path):
    home = fcrn_run[0]
    (labels,) = (home / "data").rglob("particles.star")
    words = [f"dataset.root={labels.parent}", "dataset.coordinates=particles.star", "dataset.particle_diameter=173"]
    words += ["trainer.max_epochs=1", "datamodule.patches_per_epoch=16", f"hydra.run.dir={tmp_path}"]
    result = run(home / "data", "experiment=finetune", *words)
    assert result.returncode == 0, result.stderr
    tuned, start = load_model(tmp_path / "weights.safetensors"), load_model("default")
    assert tuned.architectures["fcrn"] == start.architectures["fcrn"]
    moved = [(new - old).abs().max() for new, old in zip(tuned.fcrn.parameters(), start.fcrn.parameters(), strict=True)]
    assert 0 < max(moved) < 0.05  # it went on from there, and one epoch of 16 patches does not lead far
    assert tuned.provenance["fcrn"]["initial_weights"] == start.provenance["fcrn"]


CONSOLE = """import sys
from drpnet.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""
DDP = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["script", "module", "console"])
def test_two_devices_train_together_however_they_are_started(repository, fcrn_run, tmp_path, way):
    """Lightning starts the second process in the words of the first, which is no fork of the tests' server here."""
    home, folder, _, arguments = fcrn_run
    (tmp_path / "drpnet").write_text(CONSOLE)  # as pip writes it into bin/
    command = {
        "script": [repository / "train.py"],
        "module": ["-m", "drpnet.cli", "train"],
        "console": [tmp_path / "drpnet", "train"],
    }[way]
    environment = {**os.environ, "DRPNET_DATA": str(home / "data"), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(repository), environment.get("PYTHONPATH", "")])
    words = [sys.executable, *map(str, command), *arguments, *DDP, f"hydra.run.dir={tmp_path}/run"]
    result = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("SIMULATED STAND-IN") + result.stdout.count("SIMULATED STAND-IN") == 1
    assert {path.name for path in (tmp_path / "run").glob("*.log")} == {"train.log", "train_ddp_process_1.log"}
    alone = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    together = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert together["global_step"] == alone["global_step"] == 50  # two epochs of 400 patches, 16 in all
    for name, values in alone["state_dict"].items():  # Adam divides by gradients: differences of sums grow
        torch.testing.assert_close(together["state_dict"][name], values, rtol=0, atol=2e-3)
    metrics, before = (json.loads((run / "metrics.json").read_text()) for run in (tmp_path / "run", folder))
    assert metrics["epochs"] == 2
    assert metrics["validation"]["best_f_measure"] == pytest.approx(before["validation"]["best_f_measure"], abs=0.02)
    assert "experiment=trpv1_fcrn" in metrics["command"]
    assert load_model(tmp_path / "run" / "weights.safetensors").fcrn is not None


@pytest.mark.parametrize(
    ("argument", "named"),
    [("trainer.max_epochz=3", "max_epochz"), ("experiment=trpv1_fcrm", "choose from .*trpv1_fcrn")],
)
def test_the_console_says_a_mistake_in_one_line_too(run_script, tmp_path, argument, named):
    (tmp_path / "drpnet").write_text(CONSOLE)
    result = run_script(tmp_path / "drpnet", "train", argument, cwd=tmp_path)
    assert re.search(named, one_line(result))


def test_a_sweep_over_several_devices_is_refused(run, tmp_path):
    result = run(tmp_path / "data", "-m", "seed=0,1", *EASY, *DDP, f"hydra.sweep.dir={tmp_path}/run")
    assert re.search("--multirun and 2 devices: .*; give each training its own command", one_line(result))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["datamodule.batch_size=15"], "batch_size=15 is of all devices together and cannot be dealt to 2"),
        (["model=unet"], "trainer.sync_batchnorm=false"),
    ],
)
def test_what_two_devices_cannot_do_is_one_line(run, tmp_path, arguments, named):
    devices = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]
    words = ["experiment=trpv1_fcrn", *EASY, *devices, *arguments, f"hydra.run.dir={tmp_path}/run"]
    assert named in one_line(run(tmp_path / "data", *words))
    assert not (tmp_path / "data").exists()


def one_line(result):
    """The one line of an error: nothing else on stderr but what was logged before."""
    assert "Traceback" not in result.stderr, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 2 and len(errors) == 1, result.stderr
    return errors[0]


def test_without_data_and_without_leave_to_simulate_it_stops(run, tmp_path):
    result = run(tmp_path / "data", "experiment=trpv1_fcrn", "dataset.if_missing=error", f"hydra.run.dir={tmp_path}")
    assert re.search("empiar10005 is not at .*drpnet download empiar10005", one_line(result))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("leave", ["simulate", "error"])
def test_an_incomplete_data_set_is_always_an_error(run, tmp_path, leave):
    root = tmp_path / "data" / "empiar10005"
    root.mkdir(parents=True)
    (root / "README").write_text("half a download")
    arguments = ["experiment=trpv1_fcrn", f"dataset.if_missing={leave}", f"hydra.run.dir={tmp_path}/run"]
    message = one_line(run(tmp_path / "data", *arguments))
    assert str(root) in message and "incomplete data set" in message
    assert not list(tmp_path.glob("data/*simulated*"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trainer.max_epochz=3"], "max_epochz"),
        (["experiment=trpv1_fcrm"], "trpv1_fcrm"),
        (["model=classifier", *EASY], "fcrn_weights"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(run, tmp_path, arguments, named):
    result = run(tmp_path / "data", *arguments, f"hydra.run.dir={tmp_path}/run")
    assert named in one_line(result)


@pytest.mark.parametrize(
    ("yaml", "named"),
    [
        ("preprocess:\n  particle_diametr_px: 30\n", "particle_diametr_px"),
        ("trainer:\n  max_epochz: 3\n", "max_epochz"),
        ("trainer:\n  strategy: ddpp\n", "ddpp"),
        ("logger:\n  save_dirr: x\n", "save_dirr"),
        ("module:\n  optimizer:\n    learning_rate: 1\n", "learning_rate"),
        ("datamodule:\n  patch_sizze: 32\n", "patch_sizze"),
    ],
)
def test_a_typo_in_an_experiment_file_is_one_line_before_anything_is_simulated(run, tmp_path, yaml, named):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{yaml}")
    arguments = ["--config-dir", tmp_path, "experiment=mine", *EASY, f"hydra.run.dir={tmp_path}/run"]
    assert named in one_line(run(tmp_path / "data", *arguments))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("group", ["experiment", "dataset"])
def test_a_broken_yaml_file_is_one_line_with_its_place(run, tmp_path, group):
    (tmp_path / group).mkdir()
    (tmp_path / group / "mine.yaml").write_text("# @package _global_\nname: [x\nseed: 3\n")
    result = run(tmp_path / "data", "--config-dir", tmp_path, f"{group}=mine", f"hydra.run.dir={tmp_path}/run")
    assert f"{tmp_path}/{group}/mine.yaml, line 3, column 5 is no valid YAML" in one_line(result)


@pytest.mark.parametrize("content", [b"hello", b"other width"])
def test_a_checkpoint_that_does_not_fit_is_one_line(run, fcrn_run, tmp_path, content):
    home, folder, _, arguments = fcrn_run
    checkpoint = tmp_path / "wrong.ckpt"
    if content == b"hello":
        checkpoint.write_bytes(content)
    else:
        shutil.copy(folder / "checkpoints" / "last.ckpt", checkpoint)
        arguments = [*arguments, "network.width=6"]
    result = run(home / "data", *arguments, f"resume={checkpoint}", f"hydra.run.dir={tmp_path}/run")
    assert "wrong.ckpt" in one_line(result)
