"""The authors' first network through the command line, and its picks against those that the authors shipped."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import score_micrographs
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import read_micrograph, read_shape, write_micrograph
from drpnet.measures.matching import match_one_to_one, outside_border

BOX = 248
"""The authors' box for EMPIAR-10017, 140 px of 1.77 Angstrom; it decides their scale."""
BINNING = 3
"""Their scale: the coordinates that they shipped are in pixels of so many, counted from 1."""
TOLERANCE = 8
"""A pick of theirs is contained when one of ours lies within so many binned px, one to one."""
RADIUS, BORDER = 54, 120
"""Matching radius against the labels and the band at the edges in which nobody labelled, in px."""
WEIGHTS = "cnet_1.safetensors"
WAYS = ("upright", "upside_down")
Centres = Mapping[str, np.ndarray]
"""Centres (n, 2) (y, x) by micrograph."""


@dataclass(frozen=True)
class Sources:
    """Where the laid-out micrographs with their labels, the authors' picks and the authors' network are."""

    real: Path
    authors: Path
    network: Path

    def micrograph(self, stem: str) -> Path:
        """The .mrc of a micrograph."""
        return self.real / "empiar10017" / "micrographs" / f"{stem}.mrc"


def compare(sources: Sources, out: Path) -> dict[str, Any]:
    """Import, pick upright and upside down, and count; the run's files lie in `out`."""
    authors = {stem: picks.centres for stem, picks in read_coordinate_set(sources.authors).items()}
    weights = out / WEIGHTS
    drpnet("import-matlab", sources.network, "--out", weights)
    picks = {}
    for way in WAYS:
        lay_out(sources, list(authors), out / way, upside_down=way == "upside_down")
        released = ("--diameter", BOX, "--profile", "released", "--weights", weights, "--no-classifier")
        drpnet("pick", out / way, "--out", out / f"picks_{way}", *released)
        picks[way] = {stem: found.centres for stem, found in read_coordinate_set(out / f"picks_{way}").items()}
    rows = []
    for stem, theirs in authors.items():
        here = {way: contained(picks[way][stem], theirs) for way in WAYS}
        count = len(picks["upright"][stem])
        chance = by_chance(count, theirs, read_shape(sources.micrograph(stem)))
        offset = displacement(picks["upright"][stem], theirs)
        counts = {"authors": len(theirs), "picks": count, **here}
        rows.append({"micrograph": stem, **counts, "by_chance": chance, "displacement": offset})
    own = {stem: to_micrograph(theirs) for stem, theirs in authors.items()}
    labels = {stem: read_coordinate_set(sources.real / "empiar10017" / "truth")[stem].centres for stem in authors}
    scores = {name: scored(found, labels, sources) for name, found in (("here", picks["upright"]), ("authors", own))}
    return {"box": BOX, "tolerance_binned_px": TOLERANCE, "micrographs": rows, "labels": scores}


def drpnet(*arguments: object) -> None:
    """Run a command of the console; InputError with its last line when it fails."""
    command = [sys.executable, "-m", "drpnet.cli", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise InputError(f"{' '.join(['drpnet', *command[3:]])} ended with {done.returncode}: {last}")


def lay_out(sources: Sources, stems: list[str], folder: Path, upside_down: bool) -> None:
    """Link the micrographs into a folder of their own, or write them with their rows reversed."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        source, target = sources.micrograph(stem), folder / f"{stem}.mrc"
        if not source.is_file():
            raise InputError(f"{source} is missing; lay out the micrographs there, see the README of this experiment")
        if upside_down:
            image, pixel_size = read_micrograph(source)
            write_micrograph(target, np.ascontiguousarray(image[::-1]), pixel_size or 1.77)
        elif not target.exists():
            target.symlink_to(source.resolve())


def to_authors(centres: np.ndarray) -> np.ndarray:
    """Centres (n, 2) in the micrograph's px, counted from 0, as the authors write them: binned, counted from 1."""
    return (np.asarray(centres, float).reshape(-1, 2) + 0.5) / BINNING + 0.5


def to_micrograph(centres: np.ndarray) -> np.ndarray:
    """The way back."""
    return (np.asarray(centres, float).reshape(-1, 2) - 0.5) * BINNING - 0.5


def contained(picks: np.ndarray, authors: np.ndarray, tolerance: float = TOLERANCE) -> int:
    """How many of the authors' picks (k, 2), binned, have a pick (n, 2) of the micrograph for their own nearby."""
    return len(match_one_to_one(to_authors(picks), authors, tolerance).pick_index)


def displacement(picks: np.ndarray, authors: np.ndarray) -> list[float]:
    """Median (y, x) in binned px from a contained pick of theirs to ours."""
    ours = to_authors(picks)
    pairs = match_one_to_one(ours, authors, TOLERANCE)
    return np.median(ours[pairs.pick_index] - authors[pairs.truth_index], axis=0).round(2).tolist()


def by_chance(count: int, authors: np.ndarray, shape: tuple[int, int]) -> float:
    """`contained` for so many random points of a micrograph of `shape` (h, w) outside the authors' border; mean of ten."""
    rng = np.random.default_rng(0)
    border = 1.5 * BOX / 1.77 / 2
    thrown = [rng.uniform(border, np.asarray(shape) - border, (count, 2)) for _ in range(10)]
    return float(np.mean([contained(points, authors) for points in thrown]))


def scored(found: Centres, labels: Centres, sources: Sources) -> dict[str, Any]:
    """Precision, recall and F against the labels, without the border band; F with it."""
    fields, whole = {}, {}
    for stem, truth in labels.items():
        shape = read_shape(sources.micrograph(stem))
        inner = [centres[outside_border(centres, shape, BORDER)] for centres in (found[stem], truth)]
        fields[stem] = (inner[0], None, inner[1], RADIUS)
        whole[stem] = (found[stem], None, truth, RADIUS)
    result = score_micrographs(fields)
    kept = {key: result[key] for key in ("precision", "recall", "f_measure", "picks", "truth")}
    return {**kept, "f_measure_with_border": score_micrographs(whole)["f_measure"]}
