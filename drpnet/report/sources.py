"""What one picker found: every candidate with its scores, best first, from a pick folder or any coordinate set."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.config import PRESETS
from drpnet.cut import kept_candidates, read_candidates
from drpnet.errors import InputError
from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.paths import MANIFEST
from drpnet.io.picks import Candidates
from drpnet.ledger import CANDIDATES, candidates_path, read_manifest, read_records
from drpnet.report.thresholds import Thresholds, thresholds_of


@dataclass(frozen=True)
class PickedSet:
    """All candidates of one picker by micrograph: its stem, or "<folder>/<stem>" where several have the stem.

    Each micrograph's are sorted by falling figure of merit; it is NaN in all of them where `thresholds` is None: the
    picks have no scores. `records` are those of run.json, None for another program's picks; `diameter` is in Angstrom.
    """

    name: str
    found: dict[str, Candidates]
    thresholds: Thresholds | None
    records: dict[str, dict[str, Any]] | None = None
    diameter: float | None = None
    about: str = ""
    """How the picks were made, as run.json says it."""
    notes: list[str] = field(default_factory=list)

    @property
    def scores(self) -> np.ndarray:
        """The figures of merit (n,) of all micrographs."""
        return np.concatenate([np.empty(0), *(one.figure_of_merit for one in self.found.values())])


def read_picked(name: str, source: Path) -> PickedSet:
    """All candidates of a folder of `drpnet pick`, else the picks that `drpnet evaluate` would read.

    Raises InputError for what cannot be read.
    """
    source = Path(source)
    if (source / CANDIDATES).is_dir() and (source / MANIFEST).is_file():
        return _from_run(name, source)
    return _from_coordinates(name, source, read_coordinate_set(source))


def _from_run(name: str, folder: Path) -> PickedSet:
    manifest = read_manifest(folder)
    records = list(read_records(folder).values())
    if not records:
        raise InputError(f"{folder} holds no picked micrographs yet; run `drpnet pick` to its end first")
    stems = [record["stem"] for record in records]
    found, by_name, cut_off = {}, {}, 0
    for record in records:
        stem = record["stem"]
        key = stem if stems.count(stem) == 1 else (Path(record["tree"]) / stem).as_posix()
        every = read_candidates(folder, record)
        if lacking := int(np.isnan(every.figure_of_merit).sum()):
            path = candidates_path(folder, record["tree"], stem)
            raise InputError(f"{path} has {lacking} candidates without a figure of merit; delete it and pick again")
        inside = kept_candidates(every, -np.inf, manifest.get("box_size"), record["shape"])
        cut_off += int((~inside).sum())
        found[key], by_name[key] = _sorted(every, inside), record
    notes = []
    if cut_off:
        notes.append(f"{cut_off} candidates whose box of {manifest['box_size']} px leaves the micrograph are left out")
    if failures := manifest.get("failures"):
        notes.append(f"{len(failures)} micrographs could not be picked; the first: {failures[0][1]}")
    start = float(manifest.get("threshold", PRESETS["balanced"]))
    scores = np.concatenate([one.figure_of_merit for one in found.values()])
    diameter = manifest["parameters"].get("particle_diameter")
    about = str(manifest.get("note") or "")
    return PickedSet(name, found, thresholds_of(scores, start), by_name, diameter, about, notes)


def _from_coordinates(name: str, source: Path, picks: dict[str, Coordinates]) -> PickedSet:
    some = {key: one for key, one in picks.items() if len(one.centres)}
    bare = [key for key, one in some.items() if one.scores is None]
    notes = []
    if bare and len(bare) < len(some):
        notes.append(
            f"{len(bare)} of {len(some)} micrographs of {name}, such as {bare[0]}, have no scores: all its picks are "
            "shown without; score every pick to move a threshold"
        )
    elif bare:
        notes.append(f"the picks of {name} have no scores: there is no threshold to move")
    found = {}
    for key, one in picks.items():
        missing = np.full(len(one.centres), np.nan)
        scores = missing if bare or one.scores is None else np.asarray(one.scores, float)
        found[key] = _sorted(Candidates(one.centres, scores, missing, missing), np.ones(len(missing), bool))
    pooled = np.concatenate([np.empty(0), *(one.figure_of_merit for one in found.values())])
    if not len(pooled):
        notes.append(f"{name} has not one pick on its {len(picks)} micrographs")
    elif not bare and len(np.unique(pooled)) == 1:
        notes.append(f"all scores of {name} are {pooled[0]:g}: a threshold keeps all or nothing")
    return PickedSet(name, found, None if bare else thresholds_of(pooled), notes=notes)


def _sorted(every: Candidates, kept: np.ndarray) -> Candidates:
    """The kept ones, best first; without scores in their order."""
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(-every.figure_of_merit[rows], kind="stable")]
    scores = every.figure_of_merit[rows], every.detection_score[rows], every.classifier_score[rows]
    return Candidates(np.asarray(every.centres, float).reshape(-1, 2)[rows], *scores)
