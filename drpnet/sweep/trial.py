"""One training of a sweep: a fresh process whose curve is read while it grows, and what came of it."""

import csv
import io
import json
import math
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.sweep.children import Mark, end, start
from drpnet.sweep.space import Sweep

LOOK = 0.3
"""Seconds between two looks at a training."""
OUTPUT, CURVES, METRICS = "output.log", Path("curves", "metrics.csv"), "metrics.json"


@dataclass(frozen=True)
class Outcome:
    """How a training ended: `complete` with its value, `pruned`, or `failed` with the problem in one line."""

    state: str
    value: float | None = None
    problem: str = ""
    seconds: float = 0.0


def command(sweep: Sweep, words: list[str]) -> list[str]:
    """The training as a command line; `python -m` works in a checkout and installed."""
    return [*(sweep.program or [sys.executable, "-m", "drpnet.cli", "train"]), *words]


def run_trial(
    sweep: Sweep, words: list[str], folder: Path, mark: Mark, should_end: Callable[[int, float], bool],
    changes: dict[str, str] | None = None,
) -> Outcome:  # fmt: skip
    """Train with `words` into `folder`. `should_end(epoch, value)` is asked at every new value of the curve.

    Raises InputError where the training is done and the metric or the curve that the sweep names is not there.
    """
    began, seen = time.time(), 0
    words = [*words, f"hydra.run.dir={quoted_path(folder)}"]
    with (folder / OUTPUT).open("w", encoding="utf-8") as output:
        print("$", shlex.join(command(sweep, words)), file=output, flush=True)
        process = start(command(sweep, words), output, changes)
        try:
            ended = False
            while not ended:
                ended = process.poll() is not None
                mark.touch()
                values = list(curve(folder, sweep.curve))
                for epoch, value in values[seen:]:
                    if should_end(epoch, value) and not ended:
                        return Outcome("pruned", value, f"ended early at epoch {epoch}", time.time() - began)
                seen = len(values)
                if not ended:
                    wait(process)
        finally:
            end(process)
    seconds = time.time() - began
    if process.returncode != 0:
        return Outcome("failed", None, problem(folder, process.returncode), seconds)
    value = final_value(folder, sweep.metric)
    if sweep.pruner != "none" and not seen:
        raise InputError(
            f"{folder / CURVES} has no values of {sweep.curve!r}, it has {columns(folder)}; correct sweep.curve"
        )
    if math.isnan(value):
        return Outcome("failed", None, f"{sweep.metric} is not a number", seconds)
    return Outcome("complete", value, "", seconds)


def wait(process: subprocess.Popen) -> None:
    """Until the next look, or the end."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(LOOK)


def quoted_path(path: Path) -> str:
    """A path in a word for Hydra."""
    text = str(path)
    return text if re.fullmatch(r"[\w./-]+", text) else "'" + text.replace("'", r"\'") + "'"


def curve(folder: Path, column: str | None) -> Iterator[tuple[int, float]]:
    """(epoch, value) of a column of a run's curves, as far as whole lines are there; each epoch once."""
    last = -1
    for row in _rows(folder):
        try:
            epoch, value = int(row["epoch"]), float(row[column or ""])
        except (KeyError, TypeError, ValueError):
            continue  # rows hold what was logged together; the file may be just being written anew
        if epoch > last:
            last = epoch
            yield epoch, value


def columns(folder: Path) -> str:
    """Names of what a run's curves hold."""
    names = next(iter(_rows(folder)), {})
    return ", ".join(name for name in names if name and name not in ("epoch", "step")) or "none"


def _rows(folder: Path) -> list[dict[str, str]]:
    try:
        text = (folder / CURVES).read_text(encoding="utf-8")
    except OSError:
        return []
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))


def final_value(folder: Path, metric: str) -> float:
    """A number of a run's metrics.json by its dotted name; InputError where it is missing."""
    node: Any = _metrics(folder)
    for part in metric.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, bool) or not isinstance(node, int | float):
        names = ", ".join(_numbers(_metrics(folder))) or "none"
        raise InputError(f"{folder / METRICS} has no number {metric!r}, it has {names}; correct sweep.metric")
    return float(node)


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _numbers(node: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{above}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{above}{key}"


def problem(folder: Path, status: int) -> str:
    """Why a training failed, in one line: its own error, or the signal that ended it."""
    if status < 0:
        hint = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"killed by {signal.Signals(-status).name}{hint}"
    lines = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    last = next((line for line in reversed(lines) if line.strip()), "")
    return (errors[-1].removeprefix("error: ") if errors else last)[:300] or f"exit status {status}"
