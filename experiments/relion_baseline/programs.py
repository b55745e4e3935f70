"""Run RELION's programs: what is there is reused, every command line and its time are kept."""

import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json

PROGRAMS = ("relion_preprocess", "relion_refine", "relion_autopick")


def require_relion() -> str:
    """The version of RELION that is installed; InputError with Debian's package when one of its programs is missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise InputError(f"{missing[0]} is not installed; on Debian: apt-get install relion ghostscript (RELION 3.1.3)")
    said = subprocess.run([PROGRAMS[0], "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else "unknown"


def run(folder: Path, step: str, command: Sequence[object], product: str) -> None:
    """Run one program in the project `folder` unless the same command has already made `product` (a path in it).

    commands.txt lists what was started, logs/<step>.log keeps what it said, and steps/<step>.json, once it has ended
    well, command and seconds. Raises InputError when the program fails, when it leaves no product, and when the step
    was done by another command.
    """
    words = [str(word) for word in command]
    line, stamp = shlex.join(words), folder / "steps" / f"{step}.json"
    if stamp.is_file() and (folder / product).exists():
        before = json.loads(stamp.read_text())["command"]
        if before != line:
            raise InputError(f"{stamp} is of another command ({before}); give another --out or remove {folder}")
        return
    log = folder / "logs" / f"{step}.log"
    for path in (log, folder / product):
        path.parent.mkdir(parents=True, exist_ok=True)
    print(line, flush=True)
    with (folder / "commands.txt").open("a") as file:
        file.write(line + "\n")
    start = time.monotonic()
    with log.open("w") as file:
        done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode or not (folder / product).exists():
        raise InputError(f"{words[0]} ended with {done.returncode}: {complaint(log)}; see {log}")
    write_json({"command": line, "seconds": round(time.monotonic() - start, 1)}, stamp)


def complaint(log: Path) -> str:
    """What RELION says is wrong: the first telling line of the last ERROR, else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    said = [line for line in errors if line]
    return (said or lines or ["nothing was said"])[-1][:200]


def steps_done(folder: Path) -> list[dict[str, Any]]:
    """Name, command and seconds of every step, in the order in which they were done."""
    stamps = sorted((folder / "steps").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [{"step": stamp.stem, **json.loads(stamp.read_text())} for stamp in stamps]
