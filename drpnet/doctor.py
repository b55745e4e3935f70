"""The frame doctor: do coordinates lie on the particles of their micrographs, and if not, in which frame do they?"""

import logging
import math
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drpnet.datasets import LabelledMicrograph
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import pair_names
from drpnet.findings import Examination, sentence
from drpnet.frames.contrast import block_size, darkness_of_image, darkness_of_labels, shrink
from drpnet.frames.diagnosis import LEAST_CENTRES, Diagnosis, diagnose, guess_diameter
from drpnet.frames.evidence import Case, Evidence
from drpnet.frames.transforms import Shape, Transform
from drpnet.io.coordinates import Coordinates, is_inside, read_coordinate_set
from drpnet.io.find import find_micrographs
from drpnet.io.labels import read_labels
from drpnet.io.micrographs import COMPRESSED_SUFFIXES, read_micrograph, read_shape
from drpnet.io.picks import write_autopick_star

log = logging.getLogger(__name__)
MOST_MICROGRAPHS = 20
"""More than these are not looked at, but taken evenly from all; --fix corrects every one."""
_FEWEST_ACROSS = 64
"""Particles that fit across the micrograph, at most, when the diameter has to be guessed."""
_LABELS_CENTRING = 0.03
"""Two people's centres of the same particles differ by less than this part of a diameter, on average."""
_GLANCE_MICROGRAPHS, _GLANCE_CENTRES, _GLANCE_SECONDS = 3, 600, 0.7


def examine(
    micrographs: str,
    coordinates: Path,
    *,
    labels: Path | None = None,
    diameter: float | None = None,
    diameter_px: float | None = None,
    pixel_size: float | None = None,
    most: int = MOST_MICROGRAPHS,
) -> Examination:
    """Diagnose `coordinates` (as `read_coordinate_set` takes them) on `micrographs` (as `find_micrographs` does).

    The evidence is other `labels` of the same micrographs, else the image alone. `diameter` is in Angstrom, `diameter_px`
    in pixels; without either it is guessed. Raises InputError where nothing can be compared; single files that cannot be
    read are named among the failures.
    """
    for name, value in (("diameter", diameter), ("diameter-px", diameter_px), ("pixel-size", pixel_size)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name} is {value}; give a number above 0")
    if diameter is not None and diameter_px is not None:
        raise InputError("give either --diameter (Angstrom) or --diameter-px (pixels), not both")
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
    chosen = _evenly([name for name in sets if others is None or name in others], most)
    sizes = {name: pixel_size or named[name].pixel_size for name in chosen}
    return _examine(sets, paths, chosen, others, sizes, diameter, diameter_px, failures)


def _examine(
    sets: dict[str, Coordinates],
    paths: dict[str, Path],
    chosen: Sequence[str],
    others: dict[str, Coordinates] | None,
    sizes: dict[str, float | None],
    diameter: float | None,
    diameter_px: float | None,
    failures: list[str],
    seconds: float = math.inf,
) -> Examination:
    """Read what was chosen, for at most about `seconds`, and diagnose it."""
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
            cases.append((name, shape, small, other))
        except InputError as error:
            failures.append(str(error))
    if finest is None or not cases:
        raise InputError(failures[-1] if failures else "there is no micrograph to look at")
    candidates = [finest] if not guessed or others is not None else [finest * 1.6**power for power in range(5)]
    block = block_size(finest)

    def evidence(diameter_in_px: float) -> Evidence:
        maps = (
            darkness_of_image(small, diameter_in_px / block)
            if other is None
            else darkness_of_labels(other, shape, finest)
            for _, shape, small, other in cases
        )
        return Evidence(
            [
                Case(name, sets[name].centres, shape, darkness, block)
                for (name, shape, _, _), darkness in zip(cases, maps, strict=True)
            ]
        )

    chosen_px = guess_diameter({size: evidence(size) for size in candidates}) if len(candidates) > 1 else finest
    centring = {} if others is None else {"centring": _LABELS_CENTRING}
    diagnosis = diagnose(evidence(chosen_px), chosen_px, pixel_size, looks=len(candidates), **centring)
    looked_at = tuple(name for name, *_ in cases)
    source = "image" if others is None else "labels"
    return Examination(diagnosis, source, guessed, pixel_size, looked_at, tuple(failures), sets, paths)


def write_fixed(examination: Examination, out: Path, first: int | None = None) -> tuple[int, int, list[str]]:
    """Write the corrected coordinates, one RELION .star a micrograph, below `out`, which must be new or empty.

    `first` 1 says that the pixels are counted from 1 where the evidence cannot. Micrographs that speak against the
    diagnosis are left out. Returns how many files and centres were written, and what was left out, in words. The input
    is never touched.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already; name a new or empty folder for the corrected coordinates")
    transform = corrected(examination.diagnosis, first)
    files = centres = 0
    left_out = [f"{name}: it is in another frame than the rest" for name in examination.diagnosis.against]
    for name, coordinates in examination.sets.items():
        if name in examination.diagnosis.against:
            continue
        try:
            shape = read_shape(examination.paths[name])
        except InputError as error:
            left_out.append(str(error))
            continue
        places = transform.apply(coordinates.centres, shape)
        kept = is_inside(places, shape)
        if not kept.all():
            left_out.append(f"{name}: {int((~kept).sum())} centres that lie outside the micrograph")
        scores = None if coordinates.scores is None else coordinates.scores[kept]
        write_autopick_star(out / f"{name}_autopick.star", places[kept], scores)
        files, centres = files + 1, centres + int(kept.sum())
    return files, centres, left_out


def corrected(diagnosis: Diagnosis, first: int | None = None) -> Transform:
    """The transform that corrects the set; `first` overrides from which number pixels are counted."""
    found = diagnosis.found.transform
    return found if first is None else replace(found, first=first)


def verdict(picks: Path, truth: Path, micrographs: Path | None = None, diameter_px: float | None = None) -> str | None:
    """One line on the frame of `picks`, by the images alone, for whoever scores them; None where no image is at hand.

    The micrographs are given, or in a folder named micrographs beside the picks or the truth, or one or two levels above.
    It never raises: a score must not fail for it.
    """
    try:
        folder = micrographs if micrographs is not None else _beside(picks, truth)
        if folder is None:
            return None
        found = examine(str(folder), picks, diameter_px=diameter_px, most=_GLANCE_MICROGRAPHS)
        return f"Doctor: {sentence(found)}" + ("" if found.healthy else f" See: drpnet doctor {folder} {picks}")
    except Exception as error:  # noqa: BLE001
        log.debug("no verdict", exc_info=error)
        return None


def warn_of_labels(micrographs: Sequence[LabelledMicrograph], diameter: float, root: str, coordinates: str) -> None:
    """A loud warning where labels surely sit on nothing, or fit better in another frame; a glance of a second or two.

    `diameter` in Angstrom; `root` and `coordinates` are the data set's, for the command that the warning names. It never
    raises: a training must not fail for it.
    """
    try:
        usable = {m.stem: m for m in micrographs if m.path.suffix.lower() not in COMPRESSED_SUFFIXES and len(m.centres)}
        names = _evenly(list(usable), _GLANCE_MICROGRAPHS)
        if not names:
            return
        step = max(1, sum(len(usable[name].centres) for name in names) // _GLANCE_CENTRES)
        sets = {name: Coordinates(usable[name].centres[::step]) for name in names}
        paths, sizes = {name: usable[name].path for name in names}, {name: usable[name].pixel_size for name in names}
        found = _examine(sets, paths, names, None, sizes, diameter, None, [], _GLANCE_SECONDS)
        if found.diagnosis.kind not in ("right", "unknown"):
            folder, labels = shlex.quote(str(paths[names[0]].parent)), shlex.quote(str(Path(root) / coordinates))
            command = f"drpnet doctor {folder} {labels} --diameter {diameter:g}"
            flip = found.diagnosis.found.transform == Transform(flip_y=True)
            remedy = " or change dataset.coordinates_upside_down" if flip else ""
            log.warning("ARE THE LABELS IN THE RIGHT FRAME? %s Look with: %s%s", sentence(found), command, remedy)
    except Exception as error:  # noqa: BLE001
        log.debug("labels not looked at", exc_info=error)


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


def _evenly(names: Sequence[str], most: int) -> list[str]:
    if len(names) <= most:
        return list(names)
    return [names[i] for i in np.linspace(0, len(names) - 1, most).round().astype(int)]


def _beside(*sources: Path) -> Path | None:
    places: Iterable[Path] = (above / "micrographs" for source in sources for above in Path(source).resolve().parents[:3])
    return next((place for place in places if place.is_dir()), None)
