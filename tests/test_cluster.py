"""Jobs through submitit: on this machine, and what SLURM's sbatch would get."""

import operator

import pytest

from drpnet.cluster import pins, submit
from drpnet.errors import InputError
from drpnet.schema import cluster_parameters

pytest.importorskip("submitit")


def test_slurm_gets_one_array_with_the_parameters(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    for name, text in {"sbatch": "echo Submitted batch job 4711", "srun": "true", "sacct": "true"}.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    changes = {"slurm_partition": "gpu", "timeout_min": 90, "mem_gb": 8}
    parameters = cluster_parameters("slurm", changes)
    jobs = submit("slurm", parameters, tmp_path / "jobs", operator.add, [(1, 2), (3, 4), (5, 6)])
    assert [job.name for job in jobs] == ["4711_0", "4711_1", "4711_2"]
    scripts = [path.read_text() for path in (tmp_path / "jobs").glob("*.sh")]
    lines = next(text for text in scripts if "#SBATCH" in text).splitlines()
    for option in ("--array=0-2%3", "--partition=gpu", "--time=90", "--mem=8GB", "--gpus-per-node=1", "--cpus-per-task=4"):
        assert f"#SBATCH {option}" in lines, lines


def test_a_local_job_runs_and_says_how_it_failed(tmp_path):
    jobs = submit("local", cluster_parameters("local", {}), tmp_path, operator.truediv, [(6, 3), (1, 0)])
    assert jobs[0].failure() is None and jobs[0].job.result() == 2
    assert "ZeroDivisionError" in (jobs[1].failure() or "") and not any(job.is_running() for job in jobs)


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("pbs", {}, "the cluster is 'pbs'; use local, slurm"),
        ("local", {"memory": 3}, "submitit refuses the cluster's parameters"),
        ("local", {"timeout_min": "long"}, "submitit refuses the cluster's parameters"),
    ],
)
def test_a_wrong_parameter_is_one_line(tmp_path, kind, parameters, named):
    with pytest.raises(InputError, match=named) as caught:
        submit(kind, parameters, tmp_path, operator.add, [(1, 2)])
    assert len(str(caught.value).splitlines()) == 1


def test_gpus_are_dealt_out_in_turn(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    assert [one["CUDA_VISIBLE_DEVICES"] for one in pins(4)] == ["4", "5", "7", "4"]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in pins(2, 2)] == ["4,5", "7,4"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert pins(2) == [{}, {}]
