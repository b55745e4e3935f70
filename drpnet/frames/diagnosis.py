"""Which frame are coordinates written in? The decision rule of the doctor.

Three families of transforms are tried, simple ones first: single faults, several faults at once, any scale. The best of a
family replaces what stands so far when three things hold. Its places are darker than chance. They are darker than the
places so far, particle by particle and micrograph by micrograph. Both at a level that is divided by the number of
transforms in the family, so that a set on nothing is accused of any transform with a probability of `FALSE_ALARM`. And it
matters: the contrast rises by `LEAST_RISE` and the places move by `LEAST_MOVE` diameters, so that a picker that is a few
pixels off centre is left in peace.

Bright particles (negative stain, inverted contrast) have dark surroundings, which offsets would find: where some frame
lies on bright spots further from chance than any lies on dark ones, that is said, and no frame is claimed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import norm

from drpnet.frames.evidence import Evidence
from drpnet.frames.transforms import IDENTITY, TURNS, USUAL_FACTORS, Transform, any_scale, double_faults, single_faults

FALSE_ALARM = 0.001
LEAST_RISE, LEAST_MOVE = 1.2, 0.1
LEAST_CENTRES = 20
LEAST_INSIDE = 0.9
"""Share of the places that a transform must leave in the micrographs."""
LEAST_SPACING = 0.3
"""Diameters between neighbours below which a transform has pressed the particles into one another."""
NOTHING = 0.15
"""A contrast that is surely below is that of a set on nothing."""
CENTRING = 0.08
"""Diameters that image and picker may be off centre: below, one pixel more or less cannot be told (measured: 0.045)."""
_SUSPICION = 4.0
"""A z that is too low, or too unequal, for a claim, but too high to say that there is nothing."""
_QUICK = 1500
"""Centres that choose the leaders of a family; all of them then decide."""


@dataclass(frozen=True)
class Trial:
    """One transform on all micrographs: contrast in standard deviations, z against chance, share of places inside."""

    transform: Transform
    contrast: float
    z: float
    inside: float
    better_in: int
    """Micrographs in which the contrast is above that of the coordinates as written."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found; `kind` is right, wrong (`found` is better), nothing, outside, unknown or bright (`found` lies on
    bright spots)."""

    kind: str
    found: Trial
    written: Trial
    trials: tuple[Trial, ...]
    """The turns and the best of what else was tried, by falling z."""
    tried: int
    centres: int
    micrographs: int
    diameter_px: float
    gain: float = 0.0
    """Paired difference of `found` and the coordinates as written over its error."""
    offset: tuple[float, float] | None = None
    """Mean offset (y, x) in px from the places of `found` to the particles."""
    offset_error: tuple[float, float] = (0.0, 0.0)
    against: Mapping[str, Transform | None] = field(default_factory=dict)
    """Micrographs that a single fault, or none, fits better than what holds for the set, and their own frame, or None
    where that cannot be told."""


def diagnose(
    evidence: Evidence,
    diameter_px: float,
    pixel_size: float | None = None,
    *,
    centring: float = CENTRING,
    looks: int = 1,
    may_be_bright: bool = True,
) -> Diagnosis:
    """Decide in which frame the centres are written; `diameter_px` in pixels of the micrographs.

    `centring` is the offset in diameters that evidence and picker may have by themselves; `looks` the number of diameters
    that were tried to choose this one; `may_be_bright` whether particles can be bright where dark ones are looked for:
    not so in evidence that is made of labels.
    """
    written = trial(evidence, IDENTITY)
    total, micrographs = len(evidence.centres), len(evidence.cases)
    if total < LEAST_CENTRES:
        return Diagnosis("unknown", written, written, (written,), 0, total, micrographs, diameter_px)
    families = _families(evidence, diameter_px, pixel_size)
    best, shown, brightest = IDENTITY, {IDENTITY, *TURNS[1:4], TURNS[4]}, [IDENTITY]
    quick = evidence.thinned(_QUICK)
    for family in families:
        if not family:
            continue
        darkness = [quick.quick(one)[0] for one in family]
        leader = family[int(np.argmax(darkness))]
        shown.add(leader)
        brightest.append(family[int(np.argmin(darkness))])
        level = float(norm.isf(FALSE_ALARM / looks / len(families) / len(family)))
        candidate = refine(evidence, leader, diameter_px)
        if _replaces(evidence, candidate, best, level, diameter_px):
            best = candidate
    found, tried = trial(evidence, best), sum(map(len, families))
    trials = sorted((trial(evidence, one) for one in shown | {best}), key=lambda one: -one.z)
    kind = _kind(written, best, trials, total)
    result = Diagnosis(
        kind, found, written, tuple(trials), tried, total, micrographs, diameter_px, evidence.gain(best, IDENTITY)
    )
    # other frames than the written one lie on bright spots by chance, too: they count against an accusation only
    places = [] if not may_be_bright or kind == "right" else brightest if kind == "wrong" else brightest[:1]
    bright = _bright([trial(evidence, one) for one in places], tried)
    if bright is not None and -bright.z > found.z:
        return replace(result, kind="bright", found=bright, trials=tuple(dict.fromkeys((*trials, bright))), gain=0.0)
    result = replace(result, against=_against(evidence, best, families[0], diameter_px, pixel_size, may_be_bright))
    if result.kind not in ("right", "wrong"):
        return result
    offset, error = evidence.offset(best, diameter_px)
    result = replace(
        result, offset=(float(offset[0]), float(offset[1])), offset_error=(float(error[0]), float(error[1]))
    )
    return counted_from(result) if min(best.scale) > centring * diameter_px else result


def trial(evidence: Evidence, transform: Transform) -> Trial:
    """One transform, measured on all centres."""
    better = evidence.contrasts(transform) > evidence.contrasts(IDENTITY)
    contrast, z = evidence.contrast(transform), evidence.z(transform)
    return Trial(transform, contrast, z, evidence.inside(transform), int(better.sum()))


def refine(evidence: Evidence, start: Transform, diameter_px: float) -> Transform:
    """The transform of highest contrast near `start`: with its corner, or its scale where that is no whole factor, moved.

    A usual scale stays where a better one moves the places by less than `LEAST_MOVE` diameters: a scale takes up what
    pickers are off centre, so the simple one is more likely.
    """
    if any(start.offset):
        direction = np.sign(start.offset)
        halves = abs(start.offset[0]) + np.linspace(-0.075, 0.075, 13) * diameter_px
        near = [replace(start, offset=(direction[0] * half, direction[1] * half)) for half in halves.tolist()]
    elif start.scale[0] == start.scale[1] and start.scale[0] % 1:
        widths = np.linspace(-0.25, 0.25, 21) * diameter_px / evidence.shapes.max()
        near = [replace(start, scale=(scale, scale)) for scale in (start.scale[0] * (1 + widths)).tolist()]
    else:
        return start
    best = max(near, key=evidence.contrast)
    if best.scale == start.scale:
        return best
    usual = start.unit or start.scale[0] in USUAL_FACTORS
    return start if usual and _moved(evidence, best, start) <= LEAST_MOVE * diameter_px else replace(best, unit="")


def _moved(evidence: Evidence, new: Transform, old: Transform) -> float:
    """How far the places move from one transform to another, on average, px."""
    return float(np.sqrt(((evidence.places(new) - evidence.places(old)) ** 2).sum(axis=1)).mean())


def counted_from(diagnosis: Diagnosis) -> Diagnosis:
    """The diagnosis, with pixels counted from 1 where the offset that is left says so.

    It must be one written unit on both axes within its errors, and differ from none on both; an offset of one axis alone
    is a picker's or the picture's own.
    """
    found = diagnosis.found.transform
    if diagnosis.offset is None or any(found.offset):
        return diagnosis
    expected = np.where([found.flip_y, found.flip_x], 1.0, -1.0) * found.scale
    offset, error = np.array(diagnosis.offset), np.maximum(diagnosis.offset_error, 1e-9)
    from_none = np.abs(offset) / error
    from_one = np.abs(offset - expected) / np.maximum(error, 0.1 * np.abs(expected))
    if from_none.min() < 4 or from_one.max() > 2:
        return diagnosis
    counted = replace(diagnosis.found, transform=replace(found, first=1))
    y, x = (offset - expected).tolist()
    return replace(diagnosis, kind="wrong", found=counted, offset=(y, x))


def _families(evidence: Evidence, diameter_px: float, pixel_size: float | None) -> list[list[Transform]]:
    """The transforms that keep the places in the micrographs and the particles apart."""
    shapes = [(int(height), int(width)) for height, width in evidence.shapes]
    reach = evidence.shapes.min(axis=1)[evidence.owner] / np.maximum(evidence.centres.max(axis=1), 1)
    largest = float(np.quantile(reach, 1 - LEAST_INSIDE))
    families = (
        single_faults(shapes, diameter_px, pixel_size),
        double_faults(shapes, diameter_px, pixel_size),
        list(any_scale(largest, 0.25 * diameter_px / float(evidence.shapes.max()))),
    )
    smallest = LEAST_SPACING * diameter_px / evidence.spacing()
    thin = evidence.thinned(_QUICK // 5)
    return [
        [one for one in family if min(one.scale) >= smallest and thin.inside(one) >= LEAST_INSIDE] for family in families
    ]


def _replaces(evidence: Evidence, new: Transform, old: Transform, level: float, diameter_px: float) -> bool:
    before, after = evidence.contrast(old), evidence.contrast(new)
    if after <= LEAST_RISE * max(before, 0) or _moved(evidence, new, old) <= LEAST_MOVE * diameter_px:
        return False
    better = (evidence.contrasts(new) > evidence.contrasts(old)).mean() > 0.5
    return bool(better) and evidence.z(new) > level and evidence.gain(new, old) > level


def _kind(written: Trial, best: Transform, trials: Sequence[Trial], total: int) -> str:
    if best != IDENTITY:
        return "wrong"
    if written.inside < LEAST_INSIDE:
        return "outside"
    level = norm.isf(FALSE_ALARM)
    if written.z > level:
        return "right"
    surely_none = written.contrast + 2 / np.sqrt(total) < NOTHING
    suspect = any(one.z > _SUSPICION and one.contrast > NOTHING for one in trials)
    return "nothing" if surely_none and not suspect else "unknown"


def _bright(trials: Sequence[Trial], tried: int) -> Trial | None:
    """The frame of some, the written one and then ever less simple ones, that lies on bright spots, if one does.

    The written one is preferred where it is half as far from chance as the furthest, others where they are nearly so.
    """
    furthest = min((one.z for one in trials), default=0.0)
    for one in trials:
        own = one.transform == IDENTITY
        level = float(norm.isf(FALSE_ALARM / (1 if own else max(tried, 1))))
        if one.z < -level and one.contrast < -NOTHING and one.z <= furthest * (0.5 if own else 0.9):
            return one
    return None


def _against(
    evidence: Evidence,
    best: Transform,
    family: Sequence[Transform],
    diameter_px: float,
    pixel_size: float | None,
    may_be_bright: bool,
) -> dict[str, Transform | None]:
    """Micrographs on their own side, with the frame that they have by themselves alone.

    What fits the set has less than half of the contrast of another frame there.
    """
    others = [one for one in (IDENTITY, *family) if one != best]
    if len(evidence.cases) < 2 or not others:
        return {}
    level = float(norm.isf(FALSE_ALARM / len(others) / len(evidence.cases)))
    named: dict[str, Transform | None] = {}
    for number, case in enumerate(evidence.cases):
        own = evidence.only(number)
        if len(case.centres) < LEAST_CENTRES:
            continue
        rival = max(others, key=lambda one: own.quick(one)[0])
        if own.contrast(best) < own.contrast(rival) / 2 and own.z(rival) > level and own.gain(rival, best) > level:
            alone = diagnose(own, diameter_px, pixel_size, may_be_bright=may_be_bright)
            told = alone.kind in ("right", "wrong") and alone.found.transform != best
            named[case.name] = alone.found.transform if told else None
    return named


def guess_diameter(evidence: dict[float, Evidence]) -> float:
    """The diameter in px whose map some frame of the coordinates fits best; `evidence` by diameter."""
    best = {}
    for diameter_px, one in evidence.items():
        quick = one.thinned(_QUICK // 3)
        families = _families(one, diameter_px, None)
        frames = (IDENTITY, *families[0], *families[2])
        best[diameter_px] = max(quick.quick(frame)[0] for frame in frames)
    return max(best, key=lambda diameter_px: best[diameter_px])
