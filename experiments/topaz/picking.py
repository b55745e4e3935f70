"""How Topaz sees a micrograph, and its picks, which are made once and kept."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.io.atomic import whole_file
from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.micrographs import read_shape
from experiments.topaz.programs import DETECTORS, run, topaz_words, versions_of

LOWEST = -6
"""The score (log-odds) down to which picks are kept, the default of `topaz extract`."""
PIXEL_SIZE = 8.0
"""Angstrom a pixel that the detectors were made for, about."""


@dataclass(frozen=True)
class View:
    """How Topaz sees micrographs: downsampled by a whole factor, with the particle's radius in downsampled px."""

    factor: int
    radius: int


def view(pixel_size: float, diameter: float, target: float = PIXEL_SIZE) -> View:
    """The factor that comes nearest to `target` Angstrom per px, in proportion, for a particle of `diameter` Angstrom."""
    factor = min(range(1, 100), key=lambda whole: abs(np.log(whole * pixel_size / target)))
    return View(factor, max(1, round(diameter / 2 / (factor * pixel_size))))


def pick(topaz: str, micrographs: Sequence[Path], how: View, folder: Path) -> dict[str, dict[str, Coordinates]]:
    """Topaz's picks by detector and stem, in the micrographs' px, down to the score `LOWEST`.

    Kept in `folder`: the downsampled micrographs, what they were made with, and the picks as Topaz wrote them, in downsampled
    px. What lies there is not made again.
    """
    words = topaz_words(topaz, gradients=False)
    small = folder / f"s{how.factor}"
    record = small.with_suffix(".json")
    if not record.is_file():
        preprocess = ["preprocess", "-d", -1, "-s", how.factor, "-o"]
        run([*words, *preprocess, small, *micrographs])
        shapes = {path.stem: read_shape(small / path.name) for path in micrographs}
        command = shlex.join(str(word) for word in ["topaz", *preprocess, small.name, "micrographs/*.mrc"])
        write_json({"command": command, "versions": versions_of(words), "shapes": shapes}, record)
    shapes = json.loads(record.read_text())["shapes"]
    if lacking := [path.stem for path in micrographs if path.stem not in shapes]:
        raise InputError(f"{record} is of other micrographs, without {lacking[0]}; remove {folder} and run again")
    found = {}
    for detector in DETECTORS:
        table = folder / f"{detector}_s{how.factor}_r{how.radius}.txt"
        if not table.is_file():
            extract = ["extract", "-d", -1, "-m", detector, "-r", how.radius, "-t", LOWEST]
            with whole_file(table) as temporary:
                run([*words, *extract, "-o", temporary, *(small / path.name for path in micrographs)])
        found[detector] = _in_micrographs(read_coordinate_set(table), micrographs, shapes)
    return found


def _in_micrographs(
    found: dict[str, Coordinates], micrographs: Sequence[Path], shapes: dict[str, tuple[int, int]]
) -> dict[str, Coordinates]:
    """The picks of every micrograph in its own px; a micrograph without any is in none of the table's rows."""
    none = Coordinates(np.empty((0, 2)), np.empty(0))
    return {
        path.stem: enlarged(found.get(path.stem, none), shapes[path.stem], read_shape(path)) for path in micrographs
    }


def enlarged(small: Coordinates, small_shape: tuple[int, int], shape: tuple[int, int]) -> Coordinates:
    """Picks in a downsampled image of `small_shape` (h, w) in px of the image of `shape` that it was made from.

    Topaz crops the Fourier transform: the first pixels lie on each other, and a pixel is the ratio of the sizes wide, which
    is not quite the whole factor that it multiplies by itself (1 px at the far edge).
    """
    return Coordinates(small.centres * np.divide(shape, small_shape), small.scores)
