"""What a program costs: CPU seconds, wall clock, peak memory. Light, so that the measured programs start from little.

Linux counts into a program's peak memory what the process that started it held then: whoever calls `cost` must not have
imported torch or hold a picture.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drpnet.errors import InputError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(THREADS, "1")


@dataclass(frozen=True)
class Cost:
    """Of one run of a program: user and system seconds of all its threads, wall-clock seconds, most resident MB."""

    cpu_seconds: float
    seconds: float
    peak_mb: float


def cost(command: Sequence[object], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a program, one thread wide, to its end; InputError with the end of what it said when it fails."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        program = subprocess.Popen(
            words, env={**os.environ, **ONE_THREAD, **(environment or {})},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(program.pid, 0)
        seconds = time.perf_counter() - started
        program.returncode = os.waitstatus_to_exitcode(status)  # it is reaped: nobody else can ask
        if program.returncode:
            log.seek(0)
            said = log.read().decode(errors="replace").strip()[-500:]
            raise InputError(f"{' '.join(words)[:200]} ended with {program.returncode}: {said}")
    return Cost(usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024)


def answer(module: str, *words: object, flags: Sequence[str] = (), stream: str = "stdout") -> str:
    """What `python [flags] -m module words` says, run one thread wide in a process of its own; InputError when it fails."""
    command = [sys.executable, *flags, "-m", module, *(str(word) for word in words)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    said: str = getattr(done, stream)
    return said


def one_and_several(run: Callable[[int], Cost], count: int, rounds: int) -> dict[str, Any]:
    """The cost of 1 and of `count` micrographs, alternating, medians of `rounds`; `further`: CPU seconds of one more."""
    costs: dict[int, list[Cost]] = {1: [], count: []}
    for _ in range(rounds):
        for micrographs, seen in costs.items():
            seen.append(run(micrographs))
    one, several = (median(seen) for seen in costs.values())
    return {
        "one": vars(one),
        "several": vars(several),
        "micrographs": count,
        "further_cpu_seconds": further(one.cpu_seconds, several.cpu_seconds, count),
    }


def median(costs: Sequence[Cost]) -> Cost:
    """Every figure's own median."""
    rows = [(cost.cpu_seconds, cost.seconds, cost.peak_mb) for cost in costs]
    return Cost(*(statistics.median(column) for column in zip(*rows, strict=True)))


def further(one: float, several: float, count: int) -> float:
    """What a micrograph more costs when 1 costs `one` and `count` cost `several`: the start drops out."""
    return (several - one) / (count - 1)


def forget(folder: Path) -> None:
    """Ask the system to drop the files below a folder from its page cache; those that a running program maps may stay."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
