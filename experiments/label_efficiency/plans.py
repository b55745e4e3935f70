"""Which micrographs and which of their labels a training gets, and on which micrographs it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.io.star import write_star
from drpnet.labelled import LabelledMicrograph

TESTED = 2
"""Micrographs of an entry that are kept for the test, others with every seed."""
WHOLE, PART = (1, 3), (50, 200)
"""Micrographs with all their labels; labels drawn at random from those of `max(WHOLE)` micrographs."""


@dataclass(frozen=True)
class Plan:
    """One training: so many micrographs of an entry, with all their labels or only so many in all."""

    entry: str
    seed: int
    micrographs: int
    labels: int | None = None
    """None: all."""

    @property
    def name(self) -> str:
        """A folder's name."""
        given = "all" if self.labels is None else str(self.labels)
        return f"{self.entry}_{self.micrographs}_micrographs_{given}_labels_seed{self.seed}"


def plans(entries: Sequence[str], seeds: int) -> list[Plan]:
    """Every training, seed by seed, so that what is cut short has whole seeds."""
    found = []
    for seed in range(seeds):
        for entry in entries:
            found += [Plan(entry, seed, count) for count in WHOLE]
            found += [Plan(entry, seed, max(WHOLE), labels) for labels in PART]
    return found


def dealt(of: Sequence[LabelledMicrograph], plan: Plan) -> tuple[list[LabelledMicrograph], list[LabelledMicrograph]]:
    """The micrographs to train on, with the plan's labels, and those to test on, with all; by the seed alone."""
    rng = np.random.default_rng(plan.seed)
    order = rng.permutation(len(of))
    test, train = ([of[i] for i in part] for part in (order[:TESTED], order[TESTED : TESTED + plan.micrographs]))
    if plan.labels is None:
        return train, test
    owner = np.repeat(np.arange(len(train)), [len(one.centres) for one in train])
    drawn = np.sort(rng.permutation(len(owner))[: plan.labels])
    starts = np.searchsorted(owner, np.arange(len(train)))
    kept = [one.centres[drawn[owner[drawn] == i] - starts[i]] for i, one in enumerate(train)]
    return [LabelledMicrograph(one.path, centres) for one, centres in zip(train, kept, strict=True)], test


def lay_out(train: Sequence[LabelledMicrograph], folder: Path) -> None:
    """The micrographs, as links, and their labels, as the folder of a data set of one's own (conf/dataset/own.yaml)."""
    (folder / "micrographs").mkdir(parents=True, exist_ok=True)
    for one in train:
        link = folder / "micrographs" / one.path.name
        if not link.exists():
            link.symlink_to(one.path.resolve())
        y, x = one.centres.T
        write_star(folder / "labels" / f"{one.stem}.star", {"": {"rlnCoordinateX": x, "rlnCoordinateY": y}})
