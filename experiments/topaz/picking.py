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


@dataclass(frozen=True)
class Downsampled:
    """The folder of downsampled micrographs, named as they are, and their shapes (h, w) by stem."""

    folder: Path
    shapes: dict[str, tuple[int, int]]


def view(pixel_size: float, diameter: float, target: float = PIXEL_SIZE) -> View:
    """The factor that comes nearest to `target` Angstrom per px, in proportion, for a particle of `diameter` Angstrom."""
    factor = min(range(1, 100), key=lambda whole: abs(np.log(whole * pixel_size / target)))
    return View(factor, max(1, round(diameter / 2 / (factor * pixel_size))))


def pick(topaz: str, micrographs: Sequence[Path], how: View, folder: Path) -> dict[str, dict[str, Coordinates]]:
    """Topaz's picks by detector and stem, in the micrographs' px, down to the score `LOWEST`.

    Kept in `folder`: the downsampled micrographs, what they were made with, and the picks as Topaz wrote them, in downsampled
    px. What lies there is not made again.
    """
    small = downsample(topaz, micrographs, how.factor, folder)
    tables = {detector: folder / f"{detector}_s{how.factor}_r{how.radius}.txt" for detector in DETECTORS}
    return {detector: extract(topaz, detector, micrographs, small, how.radius, table) for detector, table in tables.items()}


def downsample(topaz: str, micrographs: Sequence[Path], factor: int, folder: Path) -> Downsampled:
    """The micrographs as Topaz wants them, in `folder`/s<factor>; made unless they are there."""
    words, small = topaz_words(topaz, gradients=False), folder / f"s{factor}"
    record = small.with_suffix(".json")
    if not record.is_file():
        preprocess = ["preprocess", "-d", -1, "-s", factor, "-o"]
        run([*words, *preprocess, small, *micrographs])
        shapes = {path.stem: read_shape(small / path.name) for path in micrographs}
        command = shlex.join(str(word) for word in ["topaz", *preprocess, small.name, "micrographs/*.mrc"])
        write_json({"command": command, "versions": versions_of(words), "shapes": shapes}, record)
    found: dict[str, tuple[int, int]] = json.loads(record.read_text())["shapes"]
    if lacking := [path.stem for path in micrographs if path.stem not in found]:
        raise InputError(f"{record} is of other micrographs, without {lacking[0]}; remove {folder} and run again")
    return Downsampled(small, found)


def extract(
    topaz: str, detector: str | Path, micrographs: Sequence[Path], small: Downsampled, radius: int, table: Path
) -> dict[str, Coordinates]:
    """The picks of a detector, shipped or a file, by stem in the micrographs' px; made unless `table` is there.

    `radius` in downsampled px.
    """
    if not table.is_file():
        options = ["extract", "-d", -1, "-m", detector, "-r", radius, "-t", LOWEST]
        files = [small.folder / path.name for path in micrographs]
        with whole_file(table) as temporary:
            run([*topaz_words(topaz, gradients=False), *options, "-o", temporary, *files])
    return _in_micrographs(read_coordinate_set(table), micrographs, small.shapes)


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
