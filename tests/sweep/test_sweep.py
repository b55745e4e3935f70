"""drpnet sweep with real processes: a stand-in trains, so that a test takes seconds."""

import csv
import os
import random
import signal
import time

import pytest
import yaml


def rows(study):
    """results.csv by the number of the training."""
    with (study / "results.csv").open(newline="") as file:
        return {int(row["training"]): row for row in csv.DictReader(file)}


def wait_for(condition, seconds=60):
    """Until it is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


GRID = {
    "sampler": "grid",
    "parameters": {"x": {"key": "x", "low": 0, "high": 4, "points": 5}, "n": {"key": "n", "choices": [1, 2]}},
}


def test_two_workers_do_a_grid_once_and_the_best_is_copied(command):
    said = command("workers=2", **GRID)
    begun = command.begun()
    assert len(begun) == 10 and len({folder for folder, *_ in begun}) == 10
    found = rows(command.study)
    assert sorted((row["x"], row["n"]) for row in found.values()) == sorted(
        (str(float(x)), str(n)) for x in range(5) for n in (1, 2)
    )
    assert "10 trainings: 10 complete" in said
    assert (command.study / "best" / "weights.safetensors").read_text() == "3.0"
    assert yaml.safe_load((command.study / "best" / "config.yaml").read_text())["x"] == "3.0"
    assert "x=3.0" in (command.study / "best" / "command.txt").read_text()
    assert not list(command.study.glob("trials/*/worker.json"))
    # the same again has nothing to do, and another sweep is refused
    assert "10 trainings: 10 complete" in command("workers=2", **GRID)
    assert len(command.begun()) == 10
    said = command("trials=3", status=2, sampler="random")
    assert "holds another sweep (other parameters, sampler was grid, now random); name a new study" in said


@pytest.mark.long
def test_more_trials_go_on_and_nothing_is_drawn_twice(command):
    command("trials=3")
    command("trials=7", "workers=2")
    found = rows(command.study)
    assert sorted(found) == list(range(7)) == sorted(int(folder) for folder, *_ in command.begun())
    assert len({row["x"] for row in found.values()}) == 7


def test_a_failing_training_is_counted_and_stops_nobody(command):
    choices = {"x": {"key": "x", "choices": [1, "bad", "nan", 2]}}
    said = command(sampler="grid", parameters=choices)
    found = rows(command.study)
    assert [row["state"] for row in found.values()] == ["complete", "failed", "failed", "complete"]
    assert found[1]["problem"] == "x is bad; use another"
    assert "4 trainings: 2 complete, 2 failed" in said and "failed 1: x is bad; use another" in said
    assert (command.study / "best" / "weights.safetensors").read_text() == "2"


def test_all_failed_is_exit_status_1(command):
    said = command("trials=2", "fail=true", status=1)
    assert "2 trainings: 2 failed" in said and "no training is complete" in said


def test_a_killed_training_is_counted(command):
    process = command.start("trials=1", f"block={command.home / 'go'}")
    wait_for(command.begun)
    os.kill(int(command.begun()[0][2]), signal.SIGKILL)
    assert process.wait(60) == 1
    assert rows(command.study)[0]["problem"].startswith("killed by SIGKILL")


def is_gone(process):
    """Whether a process has ended."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def workers_of(command):
    """Numbers of the processes that have a mark in a training's folder."""
    return [yaml.safe_load(path.read_text())["pid"] for path in command.study.glob("trials/*/worker.json")]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at Linux' processes")
def test_a_killed_worker_is_replaced_and_its_training_done_again(command):
    process = command.start("trials=2", f"block={command.home / 'go'}")
    wait_for(lambda: command.begun() and workers_of(command))
    (_, x, training, _), (worker,) = command.begun()[0], workers_of(command)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: is_gone(training))  # a training does not outlive its worker
    (command.home / "go").touch()
    assert process.wait(60) == 0
    found = rows(command.study)
    assert [row["state"] for row in found.values()] == ["killed", "complete", "complete"]
    assert found[1]["x"] == found[0]["x"] and found[1]["again"] == "0"
    assert [one[1] for one in command.begun()][:2] == [x, x]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at Linux' processes")
def test_a_killed_sweep_goes_on_with_the_same_command(command):
    process = command.start("trials=3", "workers=2", f"block={command.home / 'go'}")
    wait_for(lambda: len(command.begun()) == 2 and len(workers_of(command)) == 2)
    process.kill()
    process.wait(60)
    wait_for(lambda: all(is_gone(one[2]) for one in command.begun()))
    (command.home / "go").touch()
    said = command("trials=3", "workers=2", f"block={command.home / 'go'}")
    assert "5 trainings: 3 complete, 2 killed" in said
    states = [row["state"] for row in rows(command.study).values()]
    assert states == ["killed", "killed", "complete", "complete", "complete"]
    found = rows(command.study)
    assert {found[2]["x"], found[3]["x"]} == {found[0]["x"], found[1]["x"]}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at Linux' processes")
@pytest.mark.parametrize(("times", "trials"), [(3, 8), pytest.param(50, 100, marks=pytest.mark.long)])
def test_killed_at_any_moment_no_training_is_lost_or_counted_twice(command, times, trials):
    began = time.monotonic()
    command("trials=1", "workers=2")
    length, moment = time.monotonic() - began, random.Random(times)
    for _ in range(times):
        process = command.start(f"trials={trials}", "workers=2")
        time.sleep(moment.uniform(0.1, 1.5) * length)
        process.kill()
        process.communicate(timeout=60)
        wait_for(lambda: all(is_gone(one[2]) for one in command.begun()))  # no training outlives the sweep
    command(f"trials={trials}", "workers=2")
    found = rows(command.study)
    assert sorted(found) == list(range(len(found)))
    complete = [row for row in found.values() if row["state"] == "complete"]
    given_up = [row for row in found.values() if row["state"] == "failed"]
    assert len(complete) + len(given_up) == trials
    assert len({row["x"] for row in complete}) == len(complete)
    assert all(row["problem"].endswith("not tried again") for row in given_up)
    best = max(complete, key=lambda row: float(row["validation.best_f_measure"]))
    assert (command.study / "best" / "weights.safetensors").read_text() == best["x"]


def test_a_training_that_always_kills_its_worker_is_given_up(command):
    process = command.start("trials=1", f"block={command.home / 'go'}")
    for number in range(3):
        wait_for(lambda number=number: len(command.begun()) > number and len(workers_of(command)) > 0)
        wait_for(lambda number=number: command.study.joinpath(f"trials/{number:04d}/worker.json").exists())
        path = command.study / f"trials/{number:04d}/worker.json"
        os.kill(yaml.safe_load(path.read_text())["pid"], signal.SIGKILL)
    assert process.wait(90) == 1
    found = rows(command.study)
    assert [row["state"] for row in found.values()] == ["killed", "killed", "failed"]
    assert "3 times; not tried again" in found[2]["problem"]


def test_bad_trainings_end_early(command):
    choices = {"x": {"key": "x", "choices": [2.9, 3.1, 3, 0, 6]}}
    settings = {"sampler": "grid", "parameters": choices, "pruner": "median", "startup_trials": 2, "warmup_epochs": 1}
    said = command("steps=200", "wait=0.01", **settings)
    states = [row["state"] for row in rows(command.study).values()]
    assert states == ["complete", "complete", "complete", "pruned", "pruned"], said
    assert not (command.study / "trials" / "0003" / "metrics.json").exists()


def test_a_metric_that_nobody_writes_stops_the_sweep(command):
    said = command("trials=20", status=2, metric="validation.best_g")
    assert "has no number 'validation.best_g', it has seed, validation.best_f_measure; correct sweep.metric" in said
    assert len(command.begun()) == 1
    assert "correct sweep.metric" in said and "Traceback" not in said


def test_a_curve_that_nobody_writes_stops_the_sweep(command):
    said = command("trials=20", status=2, curve="val_g", pruner="median")
    assert "has no values of 'val_g', it has train_loss, val_f; correct sweep.curve" in said
    assert len(command.begun()) == 1


def test_jobs_through_submitit(command):
    pytest.importorskip("submitit")
    said = command("workers=2", "cluster=local", **GRID)
    assert "10 trainings: 10 complete" in said
    assert len({folder for folder, *_ in command.begun()}) == 10
    assert list((command.study / "jobs").glob("*_log.out"))


@pytest.mark.long
def test_wandb_gets_a_row_a_training_offline(command):
    command.environment["WANDB_MODE"] = "offline"
    command("trials=2", "wandb=true")
    assert len(list((command.study / "wandb").glob("offline-run-*"))) == 2


def test_a_real_training(command):
    program = {"program": None, "parameters": {"lr": {"key": "module.optimizer.lr", "low": 1e-3, "high": 1e-2}}}
    easy = {"micrographs": 3, "height": 256, "width": 256, "pixel_size": 8, "particles_per_micrograph": 20, "min_distance": 1}
    words = [f"dataset.simulation.{key}={value}" for key, value in easy.items()]
    words += ["dataset.simulation.snr_range=[0.5,0.5]", "dataset.simulation.carbon_probability=0", "trainer.max_epochs=2"]
    words += ["dataset.simulation.contamination_probability=0", "network.width=4", "datamodule.patches_per_epoch=32"]
    command.environment["DRPNET_DATA"] = str(command.home / "data")
    said = command("trials=1", "experiment=trpv1_fcrn", *words, pruner="median", **program)
    assert "1 trainings: 1 complete" in said
    best = command.study / "best"
    assert {path.name for path in best.iterdir()} == {"weights.safetensors", "config.yaml", "metrics.json", "command.txt"}
    assert "drpnet train experiment=trpv1_fcrn" in (best / "command.txt").read_text()
