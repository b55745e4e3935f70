"""The frame doctor: do coordinates lie on the particles of their micrographs, and if not, in which frame do they?"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drpnet.doctor.findings import Examination
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import pair_names
from drpnet.frames.contrast import block_size, darkness_of_image, darkness_of_labels, shrink
from drpnet.frames.diagnosis import CENTRING, LEAST_CENTRES, Diagnosis, diagnose, guess_diameter
from drpnet.frames.evidence import Case, Evidence
from drpnet.frames.transforms import IDENTITY, Shape
from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.find import find_micrographs
from drpnet.io.labels import read_labels
from drpnet.io.micrographs import read_micrograph, read_shape

MOST_MICROGRAPHS = 20
"""More than these are not looked at, but taken evenly from all; --fix corrects every one."""
_FEWEST_ACROSS = 64
"""Particles that fit across the micrograph, at most, when the diameter has to be guessed."""
_STEP = 1.6
"""From one diameter to the next that is tried."""
_LABELS_CENTRING = 0.03
"""Two people's centres of the same particles differ by less than this part of a diameter, on average."""


def examine(
    micrographs: str,
    coordinates: Path,
    *,
    labels: Path | None = None,
    diameter: float | None = None,
    diameter_px: float | None = None,
    pixel_size: float | None = None,
    negative_stain: bool = False,
    most: int = MOST_MICROGRAPHS,
) -> Examination:
    """Diagnose `coordinates` (as `read_coordinate_set` takes them) on `micrographs` (as `find_micrographs` does).

    The evidence is other `labels` of the same micrographs, else the image alone, in which particles are dark, or bright
    with `negative_stain`. `diameter` is in Angstrom, `diameter_px` in pixels; without either it is guessed. Raises
    InputError where nothing can be compared; single files that cannot be read are named among the failures.
    """
    for name, value in (("diameter", diameter), ("diameter-px", diameter_px), ("pixel-size", pixel_size)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name} is {value}; give a number above 0")
    if diameter is not None and diameter_px is not None:
        raise InputError("give either --diameter (Angstrom) or --diameter-px (pixels), not both")
    if negative_stain and labels is not None:
        raise InputError("--negative-stain is about the images, which --labels does not look at; give one of them")
    failures: list[str] = []
    written = read_coordinate_set(Path(coordinates), failures)
    entries = find_micrographs(str(micrographs)).entries
    count = Counter(entry.stem for entry in entries)
    named = {e.stem if count[e.stem] == 1 else (e.tree / e.stem).as_posix(): e for e in entries}
    pairs = pair_names(list(written), list(named))
    if not pairs:
        raise InputError(
            f"no coordinates are for these micrographs: {micrographs} has {next(iter(named), 'none')!r}, {coordinates} "
            f"has {next(iter(written), 'none')!r}; the file names or rlnMicrographName must agree"
        )
    failures += [f"{name}: no such micrograph in {micrographs}" for name in written if name not in pairs]
    sets = {name: written[key] for key, name in pairs.items()}
    paths = {name: named[name].path for name in sets}
    known = read_labels(Path(labels)) if labels is not None else None
    others = None if known is None else {name: known[key] for key, name in pair_names(list(known), list(sets)).items()}
    if others is not None and not others:
        raise InputError(f"{labels} has no labels for these micrographs; the file names must agree")
    chosen = evenly([name for name in sets if others is None or name in others], most)
    sizes = {name: pixel_size or named[name].pixel_size for name in chosen}
    found = examine_sets(sets, paths, chosen, others, sizes, diameter, diameter_px, failures, negative_stain=negative_stain)
    return replace(found, source=Path(coordinates))


def examine_sets(
    sets: dict[str, Coordinates],
    paths: dict[str, Path],
    chosen: Sequence[str],
    others: dict[str, Coordinates] | None,
    sizes: dict[str, float | None],
    diameter: float | None,
    diameter_px: float | None,
    failures: list[str],
    seconds: float = math.inf,
    negative_stain: bool = False,
) -> Examination:
    """Read the `chosen` of the sets, for at most about `seconds`, and diagnose them, against `others` where given."""
    began, finest = time.monotonic(), None
    cases: list[tuple[str, Shape, np.ndarray, np.ndarray | None]] = []
    pixel_size, guessed = None, diameter is None and diameter_px is None
    for name in chosen:
        if cases and time.monotonic() - began > seconds:
            break
        try:
            needs_size = diameter is not None and sizes[name] is None
            shape, size, image = _read(paths[name], others is None or needs_size)
            size = sizes[name] or size
            if diameter is not None and diameter_px is None:
                if size is None:
                    raise InputError(f"{paths[name]} does not say its pixel size; give --pixel-size or --diameter-px")
                diameter_px = diameter / size
            pixel_size = pixel_size or size
            finest = finest or diameter_px or _finest(shape, None if others is None else others[name].centres)
            block = block_size(finest)
            if min(shape) < 2 * finest:
                raise InputError(f"{paths[name]} is {shape[0]} x {shape[1]} px, too small for a particle of {finest:.0f} px")
            other = None if others is None else others[name].centres
            small = np.zeros((1, 1)) if image is None or other is not None else shrink(image, block)
            cases.append((name, shape, -small if negative_stain else small, other))
        except InputError as error:
            failures.append(str(error))
    if finest is None or not cases:
        raise InputError(failures[-1] if failures else "there is no micrograph to look at")
    candidates = [finest] if not guessed or others is not None else [finest * _STEP**power for power in range(5)]
    block = block_size(finest)

    def evidence(diameter_in_px: float) -> Evidence:
        times = max(1, block_size(diameter_in_px) // block)
        maps = (
            darkness_of_image(shrink(small, times), diameter_in_px / block / times)
            if other is None
            else darkness_of_labels(other, shape, finest)
            for _, shape, small, other in cases
        )
        size = block * (times if others is None else 1)
        return Evidence(
            [
                Case(name, sets[name].centres, shape, darkness, size)
                for (name, shape, _, _), darkness in zip(cases, maps, strict=True)
            ]
        )

    chosen_px = guess_diameter({size: evidence(size) for size in candidates}) if len(candidates) > 1 else finest
    centring = CENTRING if others is None else _LABELS_CENTRING
    diagnosis = diagnose(
        evidence(chosen_px), chosen_px, pixel_size, looks=len(candidates), centring=centring, may_be_bright=others is None
    )
    doubted = None
    if others is None and not guessed and diagnosis.kind == "wrong":
        largest = min(min(shape) for _, shape, *_ in cases) / 4
        if larger := _right_if_larger(evidence, diagnosis, largest, pixel_size):
            diagnosis, doubted = larger, chosen_px
    return Examination(
        diagnosis,
        "image" if others is None else "labels",
        guessed,
        pixel_size,
        tuple(name for name, *_ in cases),
        tuple(failures),
        sets,
        paths,
        negative_stain,
        doubted,
    )


def _right_if_larger(
    evidence: Callable[[float], Evidence], accused: Diagnosis, largest: float, pixel_size: float | None
) -> Diagnosis | None:
    """The diagnosis for larger particles, where those speak for what is written, louder than what was found against it.

    In a particle much larger than the diameter that was given, another place than its centre can be darker than that.
    """
    steps = int(math.log(max(largest / accused.diameter_px, 1.0), _STEP))
    if not steps:
        return None
    sizes = [accused.diameter_px * _STEP**power for power in range(1, steps + 1)]
    z, size = max((evidence(size).z(IDENTITY), size) for size in sizes)
    if z <= accused.found.z:
        return None
    found = diagnose(evidence(size), size, pixel_size, looks=len(sizes))
    return found if found.kind == "right" else None


def _read(path: Path, with_image: bool) -> tuple[Shape, float | None, np.ndarray | None]:
    if not with_image:
        return read_shape(path), None, None
    image, pixel_size = read_micrograph(path)
    return (image.shape[0], image.shape[1]), pixel_size, image


def _finest(shape: Shape, labels: np.ndarray | None) -> float:
    """The smallest diameter worth trying in a micrograph; with labels (n, 2) their spacing, which is about one diameter."""
    smallest = max(8.0, min(shape) / _FEWEST_ACROSS)
    if labels is None or len(labels) < LEAST_CENTRES:
        return smallest
    spacing = Evidence([Case("", labels, shape, np.zeros((1, 1)), 1)]).spacing()
    return max(8.0, spacing) if math.isfinite(spacing) else smallest


def evenly(names: Sequence[str], most: int) -> list[str]:
    """At most so many of the names, taken evenly."""
    if len(names) <= most:
        return list(names)
    return [names[i] for i in np.linspace(0, len(names) - 1, most).round().astype(int)]
