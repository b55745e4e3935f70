"""What Topaz costs: preprocess and extract, as its documentation has it, one thread wide on the CPU."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.programs import Cost, cost, one_and_several
from experiments.topaz.programs import DETECTORS

FACTOR, RADIUS = 8, 8
"""Downsampling, and the particle's radius in downsampled px."""


def topaz(words: Sequence[str], folders: dict[int, Path], rounds: int) -> dict[str, Any]:
    """The costs of `preprocess`, and of `extract` with each detector, for folders of 1 and several micrographs.

    `words` begin every command; `folders` by their number of micrographs.
    """
    count = max(folders)
    with tempfile.TemporaryDirectory() as name:
        small = {number: Path(name) / str(number) for number in folders}

        def preprocess(number: int) -> Cost:
            micrographs = sorted(folders[number].glob("*.mrc"))
            return cost([*words, "preprocess", "-d", -1, "-s", FACTOR, "-o", small[number], *micrographs])

        def extract(detector: str, number: int) -> Cost:
            micrographs = sorted(small[number].glob("*.mrc"))
            out = Path(name) / "picks.txt"
            return cost([*words, "extract", "-d", -1, "-j", 1, "-m", detector, "-r", RADIUS, "-o", out, *micrographs])

        result = {"preprocess": one_and_several(preprocess, count, rounds)}
        for detector in DETECTORS:
            result[detector] = one_and_several(partial(extract, detector), count, rounds)
    return result
