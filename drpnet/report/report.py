"""`drpnet report`: picks, their micrographs and labels -> one HTML page without a server."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import reach_of
from drpnet.evaluation.pairing import pair_names
from drpnet.io.atomic import write_bytes
from drpnet.io.coordinates import is_inside
from drpnet.measures.rules import parse_rule
from drpnet.progress import counted
from drpnet.report.page import render
from drpnet.report.pictures import Shown, draw
from drpnet.report.places import Place, find_places
from drpnet.report.sources import PickedSet, read_picked
from drpnet.report.training import read_run
from drpnet.report.truth import Labels, judge, read_truth


@dataclass(frozen=True)
class Options:
    """What a page shows beside the picks. Raises InputError for what does not go together.

    `micrographs` is a folder, glob or .star; `radius_px` and `diameter_px` as for `drpnet evaluate`; `also` another
    picker by its name; `run` a run folder of train.py.
    """

    micrographs: str | None = None
    truth: Path | None = None
    radius_px: float | None = None
    diameter_px: float | None = None
    border_px: float = 0.0
    also: Mapping[str, Path] = field(default_factory=dict)
    run: Path | None = None

    def __post_init__(self) -> None:
        if len(self.also) > 1:
            raise InputError(f"--also is given {len(self.also)} times; the page compares two pickers: give it once")
        if not (math.isfinite(self.border_px) and self.border_px >= 0):
            raise InputError(f"the border is {self.border_px} px; give 0 (whole micrograph) or more")
        if self.diameter_px is not None or self.radius_px is not None:
            reach_of(parse_rule("common"), self.radius_px, self.diameter_px)
        if self.truth is None and (self.radius_px is not None or self.border_px):
            option = "--radius-px" if self.radius_px is not None else "--border-px"
            raise InputError(f"{option} is for comparing with labels; give them with --truth, or leave it out")


@dataclass(frozen=True)
class Report:
    """A written page: its size in bytes, how many micrographs and candidates of each picker are on it, what was noted."""

    size: int
    micrographs: int
    candidates: dict[str, int]
    edge: int
    notes: list[str]


def report(picks: Path, out: Path, options: Options | None = None) -> Report:
    """Write the page `out` for `picks`: a folder of `drpnet pick`, or any coordinates that `drpnet evaluate` reads.

    Raises InputError when picks, micrographs or labels cannot be read or brought together.
    """
    options = options or Options()
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"the page is to be {out}; give a file name that ends in .html")
    training = None if options.run is None else read_run(options.run)
    picked = read_picked(picks.resolve().stem, picks)
    if picked.name in options.also:
        raise InputError(f"two pickers are called {picked.name}; give the other one another name, --also NAME=PATH")
    pickers = [picked, *(read_picked(name, source) for name, source in options.also.items())]
    places, notes = find_places(picked, options.micrographs, options.diameter_px)
    labels = _labels(options, picks, picked, places)
    shown, more = _together(pickers, places, labels)
    notes = [*(note for one in pickers for note in one.notes), *notes, *(labels.notes if labels else []), *more]
    with counted("Reading micrographs") as progress:
        pictures = draw(shown, [one.thresholds for one in pickers], progress)
    notes += pictures.notes
    page = render(pickers, shown, labels, pictures, training, notes)
    write_bytes(out, page)
    counts = {
        one.name: sum(len(found.centres) for row in shown if (found := row.found[place]) is not None)
        for place, one in enumerate(pickers)
    }
    return Report(len(page), len(shown), counts, pictures.edge, notes)


def _labels(options: Options, picks: Path, picked: PickedSet, places: Mapping[str, Place]) -> Labels | None:
    """The labels with their radius: as given, else half the diameter that the micrographs were picked with."""
    if options.truth is None:
        return None
    sizes = {place.diameter_px for place in places.values()}
    if options.radius_px is None and options.diameter_px is None and len(sizes) > 1:
        raise InputError("the micrographs differ in pixel size; give the matching radius with --radius-px, in pixels")
    diameter = options.diameter_px if options.radius_px is not None or options.diameter_px is not None else sizes.pop()
    radius = reach_of(parse_rule("common"), options.radius_px, diameter)
    return read_truth(options.truth, picks, places, radius, options.border_px)


def _together(
    pickers: list[PickedSet], places: Mapping[str, Place], labels: Labels | None
) -> tuple[list[Shown], list[str]]:
    """Every micrograph with what each picker found on it, and what must be said of picks that are not shown or astray."""
    notes = []
    by_place = []
    for one in pickers:
        pairs = {other: name for name, other in pair_names(list(one.found), list(places)).items()}
        by_place.append(pairs)
        if not pairs:
            raise InputError(f"{one.name} has picks of none of these micrographs, such as {next(iter(places))}")
        if len(pairs) < len(places):
            notes.append(
                f"{one.name} has no picks file for {len(places) - len(pairs)} of {len(places)} micrographs: precision, "
                "recall and F are of those that both pickers have"
            )
    shown, astray = [], [0] * len(pickers)
    for name, place in places.items():
        found = [
            one.found[pairs[name]] if name in pairs else None for one, pairs in zip(pickers, by_place, strict=True)
        ]
        truth = labels.centres.get(name) if labels else None
        judged = [
            None if some is None or truth is None or labels is None else judge(some, truth, place.shape, labels)
            for some in found
        ]
        for number, candidates in enumerate(found):
            if candidates is not None:
                astray[number] += int(np.sum(~is_inside(candidates.centres, place.shape)))
        shown.append(Shown(name, place, found, judged, truth))
    for one, count in zip(pickers, astray, strict=True):
        if count:
            notes.append(
                f"{count} picks of {one.name} lie outside their micrograph: another frame? `drpnet doctor` tells"
            )
    return shown, notes
