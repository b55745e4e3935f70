"""The words and the YAML of a sweep: what they come to, and what is wrong with them in one line."""

import re
from pathlib import Path

import pytest
import yaml

from drpnet.errors import InputError
from drpnet.schema import conf_folder
from drpnet.sweep.settings import sweep_run
from drpnet.sweep.space import Parameter, Sweep

LR = {"key": "module.optimizer.lr", "low": 1e-4, "high": 1e-1, "log": True}
FCRN = ["experiment=trpv1_fcrn"]


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_folder() / "sweep").glob("*.yaml")))
def test_every_shipped_sweep_fits(name):
    found = sweep_run([f"sweep={name}", "study=x", "trials=5"])
    assert found.trials == 5 and found.cluster == "none" and found.devices == 1
    assert found.sweep.training[0].startswith("experiment=")


def test_words_of_others_go_to_every_training():
    words = ["dataset=simulated_trpv1", "+trainer.accumulate_grad_batches=2", "~callbacks.progress", "seed=3"]
    found = sweep_run(["sweep=fcrn_lr", "study=a b", "trials=9", "workers=2", "sweep.parameters.lr.high=0.5", *words])
    assert found.sweep.training[-4:] == words and found.study == Path("a b") and found.workers == 2
    assert found.sweep.parameters["lr"] == Parameter("module.optimizer.lr", low=1e-4, high=0.5, log=True)
    chosen = {"lr": 0.001, "batch_size": 8, "schedule": "cosine"}
    last = ["module.optimizer.lr=0.001", "datamodule.batch_size=8", "module.schedule=cosine"]
    assert found.sweep.words(chosen)[-3:] == last


def test_a_grid_has_its_own_number_and_slurm_its_parameters():
    found = sweep_run(["sweep=target", "study=x", "cluster=slurm", "cluster.slurm_partition=gpu", "cluster.mem_gb=32"])
    assert found.trials == 12 == len(found.sweep.grid())
    assert sorted({point["lr"] for point in found.sweep.grid()}) == pytest.approx([3e-4, 9.486833e-4, 3e-3])
    assert found.submission["slurm_partition"] == "gpu" and found.submission["mem_gb"] == 32
    assert "slurm_account" not in found.submission and found.cluster == "slurm"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["study=x", "trials=3"], r"which sweep\? give sweep=NAME, one of .*fcrn_lr"),
        (["sweep=fcrn_lr", "trials=3"], "study is missing"),
        (["sweep=fcrn_lr", "study=x"], "trials is missing"),
        (["sweep=fcrn_lr", "study=x", "trials=0"], "trials is 0"),
        (["sweep=fcrn_lr", "study=x", "trials=3", "workers=0"], "workers is 0"),
        (["sweep=fcrn_lr", "study=x", "trails=3"], "no setting trails; did you mean trials"),
        (["sweep=fcrn_lr", "study=x", "trials=3", "--fast"], "'--fast' is no setting; write KEY=VALUE"),
        (["sweep=fcrn_lrr", "study=x"], "no sweep/fcrn_lrr; choose from .*fcrn_lr"),
        (["sweep=none.yaml", "study=x"], "sweep=none.yaml is no file"),
        (["sweep=fcrn_lr", "study=x", "trials=3", "cluster=pbs"], "no cluster/pbs; choose from local, none, slurm"),
        (["sweep=fcrn_lr", "study=x", "trials=3", "trainer.max_epochz=3"], "max_epochz"),
        (["sweep=fcrn_lr", "study=x", "trials=3", "logger=none"], "logger=csv writes"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line(words, named):
    with pytest.raises(InputError, match=named) as caught:
        sweep_run(words)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({}, "sweep.parameters is None; write NAME: {key"),
        ({"parameters": {"lr": 3}}, "parameter lr is 3; write {key"),
        ({"parameters": {"lr": {**LR, "hihg": 3}}}, "parameter lr has no setting hihg; did you mean high"),
        ({"parameters": {"lr": LR}, "samplr": "tpe"}, "the sweep has no setting samplr; did you mean sampler"),
        ({"parameters": {"lr": LR}, "sampler": "annealing"}, "sweep.sampler is 'annealing'; use tpe, random, grid"),
        ({"parameters": {"lr": {**LR, "high": 1e-9}}}, "low must be below high"),
        ({"parameters": {"lr": {**LR, "low": 0}}}, "logarithmic from 0.0; low must be above 0"),
        ({"parameters": {"lr": {**LR, "low": "much"}}}, "low: Value 'much'"),
        ({"parameters": {"lr": {"key": "module.optimizer.lr"}}}, "neither choices nor low and high"),
        ({"parameters": {"lr": {**LR, "choices": [1]}}}, "has choices and a range"),
        ({"parameters": {"lr": {"key": "x", "choices": [[1]]}}}, r"cannot choose \[1\]; write it as a text"),
        ({"parameters": {"lr": {"key": "x", "choices": [1, 1]}}}, "has a choice twice"),
        ({"parameters": {"lr": {"key": "x", "low": 1.5, "high": 3, "whole": True}}}, "make both whole"),
        ({"parameters": {"lr": LR}, "sampler": "grid"}, "a grid needs points of the range of module.optimizer.lr"),
        ({"parameters": {"a": LR, "b": LR}}, "two parameters set module.optimizer.lr"),
        ({"parameters": {"lr": {**LR, "key": "module.optimizer.lrr"}}}, "no setting module.optimizer.lrr"),
        ({"parameters": {"t": {"key": "target", "choices": ["cone", "cune"]}}}, "no target/cune; choose from"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, content, named):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=named) as caught:
        sweep_run([f"sweep={path}", "study=x", "trials=3", *FCRN])
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_yaml_is_one_line(tmp_path):
    (tmp_path / "mine.yaml").write_text("parameters: [x\nseed: 3\n")
    with pytest.raises(InputError, match="is no valid YAML"):
        sweep_run([f"sweep={tmp_path}/mine.yaml", "study=x", "trials=3"])


def test_a_grid_has_both_ends_and_whole_numbers_once():
    whole = Parameter("x", low=1, high=4, whole=True, points=9)
    assert whole.grid() == [1, 2, 3, 4]
    assert Parameter("x", low=1e-3, high=1e-1, log=True, points=3).grid() == [1e-3, 1e-2, 1e-1]
    sweep = Sweep({"x": whole, "y": Parameter("y", choices=[None, True, "[7,5]"])}, sampler="grid")
    points = [tuple(point.items()) for point in sweep.grid()]
    assert len(points) == len(set(points)) == 12
    assert sweep.words({"x": 1, "y": None}) == ["x=1", "y=null"] and sweep.words({"x": 2, "y": True})[1] == "y=true"


def test_without_the_extra_the_console_names_it(monkeypatch, capsys):
    import sys

    from drpnet.cli import app

    monkeypatch.setitem(sys.modules, "optuna", None)
    for name in [name for name in sys.modules if name.startswith("drpnet.sweep.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit) as stop:
        app(["sweep", "sweep=fcrn_lr", "study=x", "trials=1"])
    assert stop.value.code == 2
    assert re.search(r"sweeps need optuna, which is not installed: pip install 'drpnet\[sweep\]'", capsys.readouterr().err)
