"""drpnet pick --submit: shares as jobs of submitit, on this machine."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from drpnet.io.micrographs import write_micrograph
from drpnet.ledger import read_records

pytest.importorskip("submitit")
JOBS = ["--submit", "local", "--shards", 2]


@pytest.fixture
def many(tmp_path, repository, monkeypatch):
    """Nine micrographs of noise; jobs find this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(repository))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for number in range(9):
        image = np.random.default_rng(number).normal(100, 10, (120, 150)).astype(np.float32)
        write_micrograph(tmp_path / "mics" / f"m{number}.mrc", image, 5.0)
    return tmp_path / "mics"


def stamps(out):
    """When each micrograph's candidates were written."""
    return {path.name: path.stat().st_mtime_ns for path in out.rglob("*_candidates.star")}


def test_jobs_pick_every_micrograph_once(pick, weights, many, tmp_path, capsys):
    out = tmp_path / "picks"
    (many / "m9.mrc").write_bytes(b"no micrograph")
    assert pick(weights, many, out, *JOBS) == 1
    assert len(read_records(out)) == len(stamps(out)) == 9 and (out / "particles.star").is_file()
    assert "m9.mrc" in capsys.readouterr().err
    said = " ".join(path.read_text() for path in (out / "jobs").glob("*_log.*"))
    assert sum(map(int, re.findall(r"INFO (\d+) micrographs, device CPU", said))) == 10  # of all shares together
    before = stamps(out)
    (many / "m9.mrc").unlink()
    assert pick(weights, many, out, *JOBS) == 0  # nothing is left: no job
    assert stamps(out) == before


def test_a_killed_share_is_done_by_the_same_command(pick, weights, many, tmp_path, capsys):
    out = tmp_path / "picks"
    options = ["--out", out, "--diameter", 100, "--weights", weights, "--device", "cpu", *JOBS]
    words = [sys.executable, "-m", "drpnet.cli", "pick", many, *options]
    command = subprocess.Popen([str(word) for word in words], stderr=subprocess.PIPE, text=True)
    killed, until = [], time.monotonic() + 200
    while not killed and time.monotonic() < until:
        listed = subprocess.run(["pgrep", "-f", f"submitit.core._submit {out}/jobs"], capture_output=True, text=True).stdout
        killed = listed.split()[:1]
        time.sleep(0.05)
    os.kill(int(killed[0]), signal.SIGKILL)
    _, said = command.communicate(timeout=300)
    left = 9 - len(read_records(out))
    assert command.returncode == 1 and left > 0 and f"{left} micrographs are left; the same command picks them" in said
    before = stamps(out)
    assert pick(weights, many, out, *JOBS) == 0
    assert len(read_records(out)) == 9 and stamps(out).items() >= before.items()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--submit", "local"], "--submit needs --shards"),
        (["--submit", "pbs", "--shards", 2], "no cluster 'pbs'; use local, slurm"),
        (["--submit", "local", "--shards", 0], "--shards is 0"),
        (["--submit", "local", "--shards", 2, "--shard", "1/2"], "leave --shard, --watch and --adapt away"),
        (["--submit", "local", "--shards", 2, "--job", "partition"], "give KEY=VALUE"),
        (["--submit", "local", "--shards", 2, "--job", "memory=3"], "submitit refuses the cluster's parameters"),
        (["--submit", "slurm", "--shards", 2], "slurm does not take jobs from here"),
        (["--shards", 2], "belong to --submit"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(pick, weights, mics, tmp_path, capsys, monkeypatch, options, named):
    monkeypatch.setenv("PATH", str(tmp_path))  # no srun
    assert pick(weights, mics, tmp_path / "picks", *options) == 2
    said = capsys.readouterr().err
    assert named in said and said.count("error: ") == 1
