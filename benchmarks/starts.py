"""From the start of `drpnet pick` to its first picks, and what imports take of it."""

import re
import statistics
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import drpnet
from benchmarks.programs import answer, cost, forget

PICK = [sys.executable, "-m", "drpnet.cli", "pick"]
UNWANTED = ("lightning", "pytorch_lightning", "pandas", "torchmetrics", "wandb", "matplotlib")
"""What picking must not import."""
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def starts(micrographs: Path, diameter: float, rounds: int) -> dict[str, Any]:
    """Seconds to the first picks of a folder with one micrograph: warm, cold, and with nothing compiled; its imports."""
    first_picks(micrographs, diameter)
    return {
        "warm": statistics.median(first_picks(micrographs, diameter) for _ in range(rounds)),
        "cold": statistics.median(cold(micrographs, diameter) for _ in range(rounds)),
        "nothing_compiled": nothing_compiled(micrographs, diameter),
        "imports": imports(micrographs, diameter),
    }


def first_picks(micrographs: Path, diameter: float, environment: Mapping[str, str] | None = None) -> float:
    """Wall-clock seconds from the start of the program to the file with the first micrograph's candidates."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "picks"
        started = time.time()
        cost([*PICK, micrographs, "--out", out, "--diameter", diameter, "--device", "cpu"], environment)
        return min(path.stat().st_mtime for path in out.rglob("*_candidates.star")) - started


def cold(micrographs: Path, diameter: float) -> float:
    """The same after Python, its packages and the micrograph were dropped from the system's memory, as far as it does."""
    paths = sysconfig.get_paths()
    for folder in {paths["stdlib"], paths["purelib"], paths["platlib"], str(Path(drpnet.__file__).parent)}:
        forget(Path(folder))
    forget(micrographs)
    return first_picks(micrographs, diameter)


def nothing_compiled(micrographs: Path, diameter: float) -> float:
    """The same in the first run after installation: neither byte code nor the floods are compiled."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode", "NUMBA_CACHE_DIR": f"{folder}/numba"}
        return first_picks(micrographs, diameter, environment)


def imports(micrographs: Path, diameter: float) -> dict[str, Any]:
    """Seconds that imports take in a run of the program, by package, and which it should do without."""
    with tempfile.TemporaryDirectory() as folder:
        log = answer(
            "drpnet.cli", "pick", micrographs, "--out", f"{folder}/picks", "--diameter", diameter, "--device", "cpu",
            flags=["-X", "importtime"], stream="stderr",
        )  # fmt: skip
    seconds = import_seconds(log)
    largest = sorted(seconds, key=lambda name: -seconds[name])[:12]
    return {
        "seconds": sum(seconds.values()),
        "largest": {name: seconds[name] for name in largest},
        "unwanted": [name for name in UNWANTED if name in seconds],
    }


def import_seconds(log: str) -> dict[str, float]:
    """Seconds by top-level package from what `python -X importtime` says; each module's own time alone."""
    seconds: dict[str, float] = defaultdict(float)
    for microseconds, name in _IMPORT.findall(log):
        seconds[name.partition(".")[0]] += int(microseconds) / 1e6
    return dict(seconds)
