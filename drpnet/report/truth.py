"""Picks of a page against labels: who is true and who is found, at every threshold at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.pairing import check_labels, pair_sets
from drpnet.io.coordinates import Coordinates
from drpnet.io.labels import read_labels
from drpnet.io.picks import Candidates
from drpnet.measures.matching import covering_order, neighbour_pairs, outside_border
from drpnet.report.places import Place

UNCOUNTED = -1


@dataclass(frozen=True)
class Labels:
    """Labelled particles (k, 2) by the picks' names, the matching radius in px and the border that does not count."""

    centres: dict[str, np.ndarray]
    radius_px: float
    border_px: float
    notes: list[str]


@dataclass(frozen=True)
class Judged:
    """`marks` (n,): 1 true, 0 false, -1 too close to an edge to count. `found_with` (k,): the pick that finds a label first.

    Picks are sorted by falling score, so the labels found at a threshold are those whose pick reaches it; -1 none.
    """

    marks: np.ndarray
    found_with: np.ndarray


def read_truth(truth: Path, picks: Path, names: Mapping[str, Place], radius_px: float, border_px: float) -> Labels:
    """The labels of the micrographs of a page; InputError when there are none for any, or some lie outside."""
    labelled: dict[str, Coordinates] = read_labels(truth)
    pairs, ambiguous = pair_sets(names, labelled, picks, truth)
    centres = {}
    for name, other in pairs.items():
        shape = names[name].shape
        check_labels(labelled[other], shape, name, truth)
        if border_px > 0 and 2 * border_px >= min(shape):
            raise InputError(
                f"the border of {border_px:g} px leaves nothing of {name} ({shape[0]} x {shape[1]} px); give less"
            )
        centres[name] = labelled[other].centres[outside_border(labelled[other].centres, shape, border_px)]
    notes = []
    if len(pairs) < len(names):
        notes.append(
            f"labels are there for {len(pairs)} of {len(names)} micrographs: true, false, missed, precision, recall and F "
            "are of those; the others are shown without"
        )
    if unpicked := sorted(set(labelled) - set(pairs.values())):
        notes.append(f"{len(unpicked)} labelled micrographs are not on this page and do not count, such as {unpicked[0]}")
    if ambiguous:
        notes.append(f"shown without labels, because several folders have the name: {', '.join(ambiguous[:3])}")
    if not any(len(one) for one in centres.values()):
        notes.append("the labels hold no particle: every pick is false, and without a pick all numbers are 1")
    return Labels(centres, radius_px, border_px, notes)


def judge(found: Candidates, truth: np.ndarray, shape: tuple[int, int], labels: Labels) -> Judged:
    """Candidates (n), best first, against labels (k, 2) of one (h, w) micrograph.

    The largest one-to-one matching at every threshold, as the rule `common` of `drpnet evaluate` has it: a pick is true if
    it enlarges the matching of those that score better.
    """
    n = len(found.centres)
    inner = outside_border(found.centres, shape, labels.border_px) if labels.border_px > 0 else np.ones(n, bool)
    rows = np.flatnonzero(inner)
    pairs = neighbour_pairs(found.centres[rows], truth, labels.radius_px)
    # best first already: equal ranks keep the order
    is_true, found_with = covering_order(pairs, -np.arange(len(rows), dtype=float), len(truth))
    marks = np.full(n, UNCOUNTED)
    marks[rows] = is_true
    return Judged(marks, np.where(found_with >= 0, rows[found_with] if len(rows) else -1, -1))
