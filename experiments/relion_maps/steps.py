"""Run RELION's programs in parts: what is done stays done, and a refinement goes on from its last iteration."""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.relion_baseline.programs import complaint


class OutOfTime(Exception):
    """The time given is over; the same command goes on where this one stopped."""


@dataclass(frozen=True)
class Runner:
    """Runs programs in RELION's project folder until `time.monotonic()` is `until`."""

    folder: Path
    until: float = float("inf")

    def run(self, step: str, command: Sequence[object], product: str, root: str = "") -> None:
        """Run one program unless the same command has made `product` (a path in the folder).

        `root` is the --o of relion_refine, whose last whole iteration is continued. steps/<step>.json holds the command
        and the seconds of all its parts, logs/<step>.log what the last part said. Raises OutOfTime, and InputError when the
        program fails, leaves no product, or the step was done by another command.
        """
        words = [str(word) for word in command]
        line, stamp = shlex.join(words), self.folder / "steps" / f"{step}.json"
        before: dict[str, Any] = {"command": line, "parts": [], "done": False}
        if stamp.is_file():
            before = json.loads(stamp.read_text())
        if before["command"] != line:
            raise InputError(f"{stamp} is of another command ({before['command']}); give another --out")
        if before["done"] and (self.folder / product).exists():
            return
        if time.monotonic() >= self.until:
            raise OutOfTime(step)
        for path in (self.folder / product, self.folder / "logs" / step):
            path.parent.mkdir(parents=True, exist_ok=True)
        last = last_iteration(self.folder, root) if root else None
        started = [*words, "--continue", last] if last else words
        print(f"{time.strftime('%H:%M')} {shlex.join(started)}", flush=True)
        code, seconds = self._wait(started, self.folder / "logs" / f"{step}.log")
        before["parts"].append(round(seconds, 1))
        done = code == 0 and (self.folder / product).exists()
        write_json({**before, "done": done, "seconds": round(sum(before["parts"]), 1)}, stamp)
        if code is None:
            raise OutOfTime(step)
        if not done:
            log = self.folder / "logs" / f"{step}.log"
            raise InputError(f"{words[0]} ended with {code}: {complaint(log)}; see {log}")

    def _wait(self, words: Sequence[str], log: Path) -> tuple[int | None, float]:
        """Exit status, None when time ran out, and seconds. The program's own processes end with it."""
        start = time.monotonic()
        with log.open("w") as file:
            process = subprocess.Popen(
                words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            try:
                code: int | None = process.wait(None if self.until == float("inf") else max(0.0, self.until - start))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = None
        return code, time.monotonic() - start


def last_iteration(folder: Path, root: str) -> str | None:
    """The optimiser .star of the last iteration that relion_refine --o `root` has written to its end, or None.

    The optimiser is written before the data and the model of an iteration; what a kill cut short is passed over.
    """
    for path in sorted(folder.glob(f"{root}_it*_optimiser.star"), reverse=True):
        text = path.read_text()
        names = [word for line in text.splitlines() for word in line.split()[1:] if word.endswith(".star")]
        files = [folder / name for name in names if name.startswith(root)]
        if "_it000_" not in path.name and files and all(file.is_file() and file.stat().st_size for file in files):
            return path.relative_to(folder).as_posix()
    return None
