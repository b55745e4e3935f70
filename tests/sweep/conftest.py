import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("optuna")
STAND_IN = Path(__file__).with_name("stand_in.py")
X = {"x": {"key": "x", "low": 0.0, "high": 6.0}}


class Command:
    """`drpnet sweep` on the stand-in: every call is a process of its own, which starts workers, which start trainings."""

    def __init__(self, home: Path, repository: Path):
        self.home, self.study, self.log = home, home / "study", home / "log.txt"
        self.environment = {**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}

    def words(self, words, sweep):
        """The command line of a sweep with these settings."""
        settings = {"parameters": X, "program": [sys.executable, str(STAND_IN)], "pruner": "none", **sweep}
        (self.home / "mine.yaml").write_text(yaml.safe_dump(settings))
        log = [f"log={self.log}"] if settings["program"] else []
        return [sys.executable, "-m", "drpnet.cli", "sweep", "sweep=mine.yaml", "study=study", *log, *words]

    def start(self, *words, **sweep):
        """Start it and go on."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.words(words, sweep), cwd=self.home, env=self.environment, **pipes)

    def __call__(self, *words, status=0, **sweep):
        """Run it to its end; what it printed, as one line."""
        process = self.start(*words, **sweep)
        out, err = process.communicate(timeout=500)
        assert process.returncode == status, out + err
        return " ".join((out + err).split())

    def begun(self):
        """(folder, x, process, devices) of every training that was started."""
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def command(tmp_path, repository):
    """`drpnet sweep` in a folder of its own."""
    return Command(tmp_path, repository)
