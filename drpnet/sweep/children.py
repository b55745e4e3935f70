"""Child processes that end with their parent, and the mark of who works on a trial."""

import ctypes
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # not on Windows: there a mark is judged by its age alone
    fcntl = None  # type: ignore[assignment]

MARK = "worker.json"
SILENCE = 300.0
"""Seconds without a sign of life after which a worker of another machine counts as dead."""
PATIENCE = 10.0
"""Seconds that a child has to end when asked, before it is killed."""
_GROUP = (
    "LOCAL_RANK",
    "RANK",
    "GROUP_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "NODE_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process' environment for a training of its own: without the group or the job that this process belongs to.

    Lightning would take the ranks of another training for its own, and a SLURM job's number of tasks for its devices.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in _GROUP}
    inherited = {key: value for key, value in inherited.items() if not key.startswith(("SLURM_", "SUBMITIT_"))}
    return {**inherited, **(changes or {})}


def start(words: Sequence[str], output: IO[Any], changes: Mapping[str, str] | None = None) -> subprocess.Popen:
    """A child with a process group of its own, which the kernel kills when this process' main thread is gone."""
    return subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment(changes),
        start_new_session=True, preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )  # fmt: skip


def _die_with_parent() -> None:
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def end(process: subprocess.Popen, patience: float = PATIENCE) -> None:
    """End a child and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)


class Mark:
    """A file in a trial's folder that says that somebody works on it; a dead owner's is told by its lock or its age."""

    def __init__(self, folder: Path):
        """Make and own the mark of a folder, which is made as well."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / MARK
        self.file = self.path.open("w", encoding="utf-8")
        if fcntl is not None:
            fcntl.flock(self.file, fcntl.LOCK_EX)
        json.dump({"machine": platform.node(), "pid": os.getpid(), "command": " ".join(sys.argv)}, self.file)
        self.file.flush()

    def touch(self) -> None:
        """Say that the owner lives."""
        os.utime(self.path)

    def drop(self) -> None:
        """Give the folder back."""
        self.path.unlink(missing_ok=True)
        self.file.close()


def is_worked_on(folder: Path) -> bool:
    """Whether the owner of a trial's folder lives: on this machine its lock says so, of others the age of their mark."""
    path = folder / MARK
    try:
        with path.open(encoding="utf-8") as file:
            if fcntl is not None and json.load(file)["machine"] == platform.node():
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return True
                return False
        return time.time() - path.stat().st_mtime < SILENCE
    except (OSError, ValueError, KeyError):
        return False
