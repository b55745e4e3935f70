"""One pass over the micrographs of a page: their pictures, the galleries' particles, and the mean images."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.micrographs import read_micrograph
from drpnet.io.picks import Candidates
from drpnet.report.images import TILE, choose_edge, cut_out, particle_frame, picture, sheet
from drpnet.report.particles import COLUMNS, MISSED, Means, sample_ranks, sampled
from drpnet.report.places import Place
from drpnet.report.thresholds import Thresholds
from drpnet.report.truth import Judged

GROUPS = {1: "true", 0: "false", -1: "unknown"}


@dataclass(frozen=True)
class Shown:
    """One micrograph of a page: of each picker the candidates (None: not picked) and their judgement; labels (k, 2)."""

    name: str
    place: Place
    found: list[Candidates | None]
    judged: list[Judged | None]
    truth: np.ndarray | None


@dataclass(frozen=True)
class Pictures:
    """Base64 JPEG by micrograph ("" where none), their edge in px, and by picker what galleries and means need."""

    micrographs: list[str]
    edge: int
    galleries: list[dict[str, Any]]
    means: list[dict[str, Any]]
    notes: list[str]


def draw(
    shown: Sequence[Shown], thresholds: Sequence[Thresholds | None], progress: Callable[[int, int], None]
) -> Pictures:
    """Read every micrograph once. One that cannot be read has no picture, and a note says so; InputError if none can."""
    notes: list[str] = []
    edge = choose_edge(_samples(shown), len(shown))
    chosen = [sampled([_scores(one, place) for one in shown]) for place in range(len(thresholds))]
    missed = _missed_sample(shown)
    means = [Means(one) for one in thresholds]
    tiles: list[list[np.ndarray]] = [[] for _ in thresholds]
    rows: list[list[list[int]]] = [[] for _ in thresholds]
    labels: list[np.ndarray] = []
    label_rows: list[list[int]] = []
    micrographs = []

    def views(one: Shown) -> tuple[str, list[np.ndarray], np.ndarray] | str:
        try:
            image = _image(one)
        except InputError as error:
            return str(error)
        frame = particle_frame(image, one.place.diameter_px)
        cuts = [np.empty((0, TILE, TILE)) if found is None else cut_out(frame, found.centres) for found in one.found]
        truth = cut_out(frame, np.empty((0, 2)) if one.truth is None else one.truth)
        return picture(image, one.place.diameter_px, edge), cuts, truth

    # reading and filtering let go of the interpreter
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for number, (one, view) in enumerate(zip(shown, pool.map(views, shown), strict=True)):
            progress(number + 1, len(shown))
            if isinstance(view, str):
                notes.append(f"no picture: {view}")
                micrographs.append("")
                continue
            jpeg, cuts, truth = view
            micrographs.append(jpeg)
            for place, (found, judged) in enumerate(zip(one.found, one.judged, strict=True)):
                if found is None:
                    continue
                _add_means(means[place], found, judged, cuts[place], truth)
                tiles[place].append(cuts[place][chosen[place][number]])
                rows[place] += [[number, int(rank)] for rank in chosen[place][number]]
            labels.append(truth[missed[number]])
            label_rows += [[number, int(row)] for row in missed[number]]
    galleries = []
    empty = np.empty((0, TILE, TILE))
    for place in range(len(thresholds)):
        galleries.append({"rows": rows[place], "sheet": sheet(np.concatenate([empty, *tiles[place]]), COLUMNS)})
    galleries.append({"rows": label_rows, "sheet": sheet(np.concatenate([empty, *labels]), COLUMNS)})
    return Pictures(micrographs, edge, galleries, [one.packed() for one in means], notes)


def _image(one: Shown) -> np.ndarray:
    image, _ = read_micrograph(Path(one.place.record["path"]))
    if image.shape != one.place.shape:
        raise InputError(
            f"{one.place.record['path']} is {image.shape[0]} x {image.shape[1]} px and was {one.place.shape[0]} x "
            f"{one.place.shape[1]} when it was picked; give the micrographs that were picked with --micrographs"
        )
    return image


def _samples(shown: Sequence[Shown]) -> list[tuple[np.ndarray, float]]:
    """Up to three micrographs that can be read; InputError with the first reason when there is none."""
    samples, problems = [], []
    for one in shown:
        try:
            samples.append((_image(one), one.place.diameter_px))
        except InputError as error:
            problems.append(error)
        if len(samples) == 3:
            break
    if not samples:
        raise problems[0]
    return samples


def _scores(one: Shown, place: int) -> np.ndarray:
    found = one.found[place]
    return np.empty(0) if found is None else found.figure_of_merit


def _missed_sample(shown: Sequence[Shown]) -> list[np.ndarray]:
    """Of each micrograph's labels those (m,) that the gallery of missed particles draws from, evenly over all."""
    counts = [0 if one.truth is None else len(one.truth) for one in shown]
    ranks = sample_ranks(sum(counts), MISSED, 0)
    starts = np.cumsum([0, *counts])
    return [ranks[(ranks >= low) & (ranks < high)] - low for low, high in zip(starts[:-1], starts[1:], strict=True)]


def _add_means(means: Means, found: Candidates, judged: Judged | None, cuts: np.ndarray, truth: np.ndarray) -> None:
    marks = np.full(len(found.centres), -1) if judged is None else judged.marks
    scores = found.figure_of_merit
    means.add(np.array([GROUPS[int(mark)] for mark in marks], dtype=object), scores, cuts)
    if judged is not None:
        # a label is missed at every threshold above its pick's score
        known = judged.found_with >= 0
        reached = np.full(len(truth), -np.inf)
        reached[known] = np.nan_to_num(scores[judged.found_with[known]], nan=np.inf)
        means.add(np.full(len(truth), "label", dtype=object), reached, truth)
