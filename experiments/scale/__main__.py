"""python -m experiments.scale [--micrographs 1000] [--size 1024]: cost of a micrograph and memory over many of them.

Micrographs of noise are written and picked by `drpnet pick` in one process; result.json has seconds and memory.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.io.atomic import write_bytes
from drpnet.io.micrographs import write_micrograph

HERE = Path(__file__).resolve().parent
PIXEL_SIZE, DIAMETER = 4.0, 180.0


def main() -> None:
    """Write the micrographs, pick them, and write what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--micrographs", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1024, help="px along an edge, 4 Angstrom each")
    parser.add_argument("--different", type=int, default=8, help="so many images are made, the rest are links to them")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_noise(folder / "mics", arguments.micrographs, arguments.size, arguments.different)
        result = picked(folder / "mics", folder / "picks", arguments.micrographs)
    result |= {
        "micrographs": arguments.micrographs, "size_px": arguments.size, "pixel_size": PIXEL_SIZE, "diameter": DIAMETER,
        "cores": len(os.sched_getaffinity(0)), "machine": platform.machine(),
    }  # fmt: skip
    write_bytes(arguments.result, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps({key: value for key, value in result.items() if key != "memory_mb"}, indent=1))


def write_noise(folder: Path, count: int, size: int, different: int) -> None:
    """`count` micrographs of noise (size, size), of which only `different` take space."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path, source = folder / f"m{number:05}.mrc", folder / f"m{number % different:05}.mrc"
        if number < different:
            write_micrograph(path, rng.normal(100, 10, (size, size)).astype(np.float32), PIXEL_SIZE)
        else:
            os.link(source, path)


def picked(micrographs: Path, out: Path, count: int) -> dict[str, Any]:
    """Seconds of a run of `drpnet pick`, and its memory (MB resident) against the number of micrographs done."""
    command = [sys.executable, "-m", "drpnet.cli", "pick", micrographs, "--out", out, "--diameter", DIAMETER, "--device", "cpu"]
    started = time.time()
    program = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    memory: list[tuple[int, float]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1):
            pages = Path(f"/proc/{program.pid}/statm").read_text().split()
            done = sum(1 for _ in out.glob("candidates/*_record.json"))
            if len(pages) > 1 and done:
                memory.append((done, round(int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    status = program.wait()
    ended.set()
    watcher.join()
    if status:
        raise SystemExit(f"drpnet pick ended with status {status}")
    seconds = time.time() - started
    early = [mb for done, mb in memory if count * 0.1 <= done < count * 0.3]
    late = [mb for done, mb in memory if done >= count * 0.8]
    return {
        "seconds": round(seconds, 1),
        "seconds_per_micrograph": round(seconds / count, 4),
        "memory_mb_early": round(float(np.median(early)), 1) if early else None,
        "memory_mb_late": round(float(np.median(late)), 1) if late else None,
        "memory_mb": memory[:: max(1, len(memory) // 100)],
    }


if __name__ == "__main__":
    main()
