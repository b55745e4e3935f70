"""python -m benchmarks.speed [--topaz PYTHON]: what picking a micrograph costs on one core, stage by stage, and beside Topaz.

Everything is measured in one run, each in a process of its own; writes result.json and prints the tables.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peer import topaz
from benchmarks.programs import Cost, answer, cost, one_and_several
from benchmarks.starts import PICK, starts
from benchmarks.tables import tables
from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes
from experiments.topaz.programs import topaz_words, versions_of

HERE = Path(__file__).resolve().parent
DIAMETER = 173.0
"""Angstrom, of the simulated TRPV1."""


def main() -> None:
    """Measure, write result.json, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topaz", help="python of the environment that has topaz, or a command; else DRPnet alone")
    parser.add_argument("--size", type=int, default=3710, help="px along an edge of the micrograph")
    parser.add_argument("--micrographs", type=int, default=4, help="for Topaz; DRPnet gets five times as many")
    parser.add_argument("--rounds", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    if arguments.micrographs < 2 or arguments.rounds < 1:
        sys.exit("error: give --micrographs 2 or more and --rounds 1 or more")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # and with us every program that we start
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = measured(Path(folder), arguments.size, arguments.micrographs, arguments.rounds, arguments.topaz)
    except InputError as error:
        sys.exit(f"error: {error}")
    write_bytes(arguments.result, (json.dumps(result, indent=1) + "\n").encode())
    print(tables(result))


def measured(folder: Path, size: int, count: int, rounds: int, topaz_program: str | None) -> dict[str, Any]:
    """The result: `programs` (ours and Topaz's), `stages`, `starts`, and what they were measured on."""
    words = topaz_words(topaz_program) if topaz_program else None
    answer("benchmarks.micrographs", folder, size, count)
    folders = {1: folder / "one", count: folder / "several", 5 * count: folder / "many"}

    def pick(number: int) -> Cost:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            return cost([*PICK, folders[number], "--out", f"{out}/picks", "--diameter", DIAMETER, "--device", "cpu"])

    pick(1)  # what is compiled at the first run is not of this micrograph
    programs: dict[str, Any] = {"drpnet": one_and_several(pick, 5 * count, rounds)}  # beside our start few would drown
    if words:
        programs["topaz"] = topaz(words, {number: folders[number] for number in (1, count)}, rounds)
    return {
        "size": size,
        "rounds": rounds,
        "programs": programs,
        "stages": json.loads(answer("benchmarks.stages", folders[1] / "m0.mrc", rounds)),
        "starts": starts(folders[1], DIAMETER, rounds),
        "machine": machine(),
        "versions": json.loads(answer("benchmarks.versions")),
        "topaz_versions": versions_of(words) if words else None,
    }


def machine() -> dict[str, Any]:
    """The processor's name, how many there are, how busy they are, and the system."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": name, "processors": os.cpu_count(), "load": load, "system": platform.platform(terse=True)}


if __name__ == "__main__":
    main()
