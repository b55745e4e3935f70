"""The ablation table: every file changes what it says, and the statistics are what a reader thinks they are."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import stats

from drpnet.config import PRESETS
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import Candidates
from drpnet.labelled import LabelledMicrograph, LabelledSet
from drpnet.model import Model
from drpnet.preprocess import preprocess
from drpnet.schema import compose_config, train_settings
from experiments.ablations import run as ablations_run
from experiments.ablations.__main__ import table, with_baselines
from experiments.ablations.rows import BENCHES, BY_NAME, ROWS, Task
from experiments.ablations.run import compose, score
from experiments.ablations.statistics import by_micrograph, interval, summary


def composed(name, *words):
    stage = "classifier" if name in BY_NAME and BY_NAME[name].trains == "classifier" else "fcrn"
    return compose_config("train", [f"experiment=trpv1_{stage}", "dataset=simulated_ablation", "budget=small", *words])


@pytest.fixture(scope="module")
def files(repository):
    return sorted(path.stem for path in (repository / "conf" / "ablation").glob("*.yaml"))


def test_every_file_is_a_row_and_every_row_a_file(files):
    assert files == sorted({row.ablation for row in ROWS if row.ablation})
    assert len(BY_NAME) == len(ROWS)
    for row in ROWS:
        assert row.against in BY_NAME and row.group and row.says


def test_every_file_changes_something_and_nothing_of_the_budget(files):
    for name in files:
        plain, changed = (OmegaConf.to_container(composed(name, *words)) for words in ((), (f"ablation={name}",)))
        assert plain != changed, name
        for key in ("max_epochs",):
            assert plain["trainer"][key] == changed["trainer"][key]
        for key in ("batch_size", "patches_per_epoch"):
            assert plain["datamodule"][key] == changed["datamodule"][key] != 0, name
        train_settings(composed(name, f"ablation={name}"))


def test_every_optimizer_can_be_built(files):
    """Settings of one optimizer must not be handed to another."""
    words = [f"ablation={name}" for name in files]
    for word in [*words, "model=classifier_released", "model=unet", "optimizer@module.optimizer=sgd"]:
        optimizer = composed(word.removeprefix("ablation="), word).module.optimizer
        instantiate(optimizer)([torch.nn.Parameter(torch.zeros(2))])


def test_the_first_line_of_a_file_is_its_command(files, repository):
    for name in files:
        lines = (repository / "conf" / "ablation" / f"{name}.yaml").read_text().splitlines()
        assert lines[0] == "# @package _global_" and f"ablation={name}" in lines[1] and len(lines[2]) > 10


@pytest.mark.parametrize("bench", BENCHES.values(), ids=lambda bench: bench.name)
def test_benches_split_by_micrograph(bench):
    facts = train_settings(compose_config("train", ["model=fcrn", f"dataset={bench.dataset}"])).dataset
    assert facts.test and facts.validation and not set(facts.test) & set(facts.validation)
    assert {"fcrn", "cascade"} <= {row.name for row in bench.rows()}


def test_a_rows_training_is_composed_with_its_change_seed_and_folder(tmp_path):
    task = Task(BY_NAME["target_gaussian"], 3, BENCHES["simulated"], "small", tmp_path)
    config = compose(task)
    assert config.target._target_.endswith("GaussianTarget") and config.seed == 3
    assert str(task.folder) in config.callbacks.checkpoint.dirpath
    elsewhere = compose(Task(BY_NAME["elsewhere"], 0, BENCHES["simulated"], "small", tmp_path))
    assert elsewhere.dataset.name == "simulated_bgal"


def scores(values, names="abc", offset=0.0):
    """One seed's scores; pooled F is the mean, which it need not be in general."""
    return {
        seed: {
            "f_measure": float(np.mean(row)) + offset, "average_precision": 0.5, "best_f_measure": 0.6,
            "micrographs": dict(zip(names, row, strict=True)),
        }
        for seed, row in enumerate(values)
    }  # fmt: skip


def test_the_interval_is_students():
    values = np.array([0.7, 0.72, 0.69, 0.74, 0.71])
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    found = interval(values)
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((values.mean(), low, high))
    assert np.isnan(interval(np.array([0.5]))["low"])


def test_seed_and_micrograph_variance_are_apart():
    seeds, micrographs = np.array([0.0, 0.1, 0.2]), np.array([0.5, 0.6, 0.9])
    only_seeds = summary(scores(seeds[:, None] + 0 * micrographs), None)
    only_micrographs = summary(scores(0 * seeds[:, None] + micrographs), None)
    assert only_seeds["spread_seeds"] == pytest.approx(0.1) and only_seeds["spread_micrographs"] == pytest.approx(0)
    assert only_micrographs["spread_seeds"] == pytest.approx(0)
    assert only_micrographs["spread_micrographs"] == pytest.approx(micrographs.std(ddof=1))


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.3, 0.9, (5, 3))
    row = summary(scores(base + 0.02), scores(base))
    assert row["difference"]["mean"] == pytest.approx(0.02)
    assert row["difference"]["high"] - row["difference"]["low"] == pytest.approx(0, abs=1e-12)
    assert row["difference"]["over_micrographs"]["low"] == pytest.approx(0.02)
    shuffled = {seed: dict(one, micrographs=dict(reversed(one["micrographs"].items()))) for seed, one in scores(base).items()}
    np.testing.assert_array_equal(by_micrograph(shuffled), by_micrograph(scores(base)))


def test_the_table_names_every_row():
    rows = [
        {"name": row.name, "group": row.group, "says": row.says, "against": row.against,
         **summary(scores(np.full((2, 3), 0.5)), None if row.group == "baseline" else scores(np.full((2, 3), 0.4)))}
        for row in ROWS
    ]  # fmt: skip
    text = table({"rows": rows})
    assert all(row.says in text for row in ROWS) and "**+0.100**" in text
    assert with_baselines(["full_size"]) == {"full_size", "half_size", "fcrn"}


def test_the_rows_of_the_half_size_pass_differ_by_it():
    """The rule makes the pass for a box of just 64 px here: one more and it bins instead."""
    image = np.random.default_rng(0).normal(size=(600, 600)).astype(np.float32)
    made = {}
    for name in ("half_size", "full_size"):
        settings = train_settings(composed(name, f"ablation={name}"))
        facts = settings.dataset
        made[name] = preprocess(image, facts.simulation.pixel_size, facts.particle_diameter, settings.preprocess)
    assert made["half_size"].half_size_pass and not made["full_size"].half_size_pass
    assert {frame.scale for frame in made.values()} == {(1, 1)}


class Told:
    """A picker that finds the truth, one pixel aside, and remembers what it was told."""

    def __init__(self, data):
        self.data, self.diameters = data, []

    def pick(self, image, pixel_size, diameter):
        self.diameters.append(diameter)
        centres = self.data.test[len(self.diameters) - 1].centres + 1.0
        merit = np.linspace(1, 0, len(centres))
        return Candidates(centres, merit, merit, np.full(len(centres), np.nan))


def test_a_row_is_scored_at_the_default_threshold_with_its_own_diameter(tmp_path, monkeypatch):
    """The diameter changes what the picker is told, not within what radius a pick is true."""
    micrographs = []
    for name in "ab":
        write_micrograph(tmp_path / f"{name}.mrc", np.random.default_rng(0).normal(size=(90, 90)).astype(np.float32), 2.0)
        centres = np.stack(np.mgrid[10:90:30, 10:90:30], -1).reshape(-1, 2).astype(float)
        micrographs.append(LabelledMicrograph(tmp_path / f"{name}.mrc", centres))
    data = LabelledSet("grid", 20.0, (), (), tuple(micrographs), simulated=True)
    told = Told(data)
    monkeypatch.setattr(ablations_run, "Picker", lambda model: told)
    found = score(Model(None), data, "diameter_130", 0.0, 20.0)
    assert told.diameters == [26.0, 26.0]
    kept = (np.linspace(1, 0, 9) >= PRESETS["balanced"]).sum()
    assert found["recall"] == pytest.approx(kept / 9) and found["precision"] == 1 and found["best_f_measure"] == 1
    assert set(found["micrographs"]) == {"a", "b"}
    told.diameters.clear()
    inner = score(Model(None), data, "fcrn", 15.0, 20.0)
    assert told.diameters == [20.0, 20.0] and inner["truth"] == 2 * 4  # rows and columns at 10 are in the band


ENDLESS = """
import os
import sys
import time
from pathlib import Path

from experiments.ablations import __main__ as ablations
from experiments.ablations.rows import BENCHES, BY_NAME, Task


def run(task):
    (task.out / f"{task.seed}.new").write_text(str(os.getpid()))
    (task.out / f"{task.seed}.new").rename(task.out / f"{task.seed}.worker")
    time.sleep(3600)


if __name__ == "__main__":
    ablations.run = run
    tasks = [Task(BY_NAME["fcrn"], seed, BENCHES["simulated"], "small", Path(sys.argv[1])) for seed in range(2)]
    ablations.run_all(tasks, 2, {})
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the workers in /proc")
def test_the_workers_of_killed_ablations_end(start_script, repository, tmp_path):
    """They trained on, row after row, and then waited for ever."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    program = start_script(
        tmp_path / "endless.py", tmp_path, cwd=tmp_path, outputs=[tmp_path / "out", tmp_path / "err"],
        PYTHONPATH=str(repository),
    )  # fmt: skip
    end = time.monotonic() + 900
    while len(found := list(tmp_path.glob("*.worker"))) < 2 and program.is_alive() and time.monotonic() < end:
        time.sleep(0.1)
    workers = {int(path.read_text()) for path in found}
    program.kill()
    program.join()
    assert len(workers) == 2, (tmp_path / "err").read_text()[-2000:]
    try:
        end = time.monotonic() + 120
        while any(map(lives, workers)) and time.monotonic() < end:
            time.sleep(0.1)
        assert not any(map(lives, workers))
    finally:
        for worker in filter(lives, workers):
            os.kill(worker, signal.SIGKILL)


def lives(process: int) -> bool:
    """Whether it runs; one that has ended and that nobody asked about has no open files."""
    return Path(f"/proc/{process}/fd/0").exists()
