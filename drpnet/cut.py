"""The cut: from all candidates of a pick folder to the .star files that RELION and cryoSPARC read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.config import PRESETS
from drpnet.errors import InputError
from drpnet.io.picks import (
    Candidates,
    ParticleTable,
    read_candidates_star,
    write_autopick_index,
    write_autopick_star,
    write_particles_star,
)
from drpnet.ledger import candidates_path, read_manifest, read_records, write_manifest

PIXEL_SIZE = "rlnMicrographPixelSize"


@dataclass(frozen=True)
class Cut:
    """What a cut wrote: the threshold, picks per micrograph by name, how many candidates there were, the best one's merit."""

    threshold: float
    picks: dict[str, int]
    candidates: int
    best: float


def parse_threshold(threshold: str | None, preset: str) -> float:
    """The figure of merit to cut at: a number in 0..1, `all` (0), or that of a preset when None."""
    if threshold is None:
        if preset not in PRESETS:
            raise InputError(f"preset is {preset!r}; use {', '.join(PRESETS)}")
        return PRESETS[preset]
    if threshold == "all":
        return 0.0
    try:
        value = float(threshold)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"threshold is {threshold!r}; use a figure of merit from 0 to 1, or 'all'")
    return value


def cut(out: Path, threshold: float) -> Cut:
    """Write every `<stem>_autopick.star`, autopick.star and particles.star of the picks from `threshold` up.

    Raises InputError when `out` holds no picked micrographs.
    """
    manifest = read_manifest(out)
    records, box = list(read_records(out).values()), manifest.get("box_size")
    if not records:
        raise InputError(f"{out} holds no picked micrographs yet; run `drpnet pick` to its end first")
    optics, groups = optics_groups([record["optics"] for record in records])
    picks: dict[str, int] = {}
    index, tables, total, best = [], [], 0, 0.0
    for record, group in zip(records, groups, strict=True):
        found = read_candidates(out, record)
        total += len(found.centres)
        best = max(best, found.figure_of_merit.max(initial=0.0))
        kept = kept_candidates(found, threshold, box, record["shape"])
        centres, merit = found.centres[kept], found.figure_of_merit[kept]
        path = out / record["tree"] / f"{record['stem']}_autopick.star"
        write_autopick_star(path, centres, merit)
        picks[record["name"]] = len(centres)
        index.append((record["name"], path))
        tables.append(ParticleTable(record["name"], centres, merit, group, record["ctf"]))
    write_autopick_index(out / "autopick.star", index, manifest.get("micrographs_star"))
    write_particles_star(out / "particles.star", tables, optics)
    write_manifest(out, {**manifest, "micrographs": records, "threshold": threshold, "picks": sum(picks.values())})
    return Cut(threshold, picks, total, float(best))


def read_candidates(out: Path, record: Mapping[str, Any]) -> Candidates:
    """All candidates of a micrograph that run.json of the pick folder `out` records; InputError when they are damaged."""
    path = candidates_path(out, record["tree"], record["stem"])
    remedy = "run the same `drpnet pick` again to mend it"
    if not path.is_file():
        raise InputError(f"{path} is missing; {remedy}")
    try:
        return read_candidates_star(path)
    except InputError as error:
        raise InputError(f"{error}; delete that file and {remedy}") from None


def kept_candidates(
    found: Candidates, threshold: float, box_size: int | None, shape: Sequence[int]
) -> np.ndarray:
    """Boolean (n,): which candidates of a micrograph of `shape` (h, w) are picks.

    They reach the threshold, and a box of `box_size` px around them lies inside the micrograph.
    """
    kept = found.figure_of_merit >= threshold
    if box_size:
        half = box_size / 2
        kept &= np.all((found.centres >= half) & (found.centres <= np.asarray(shape) - half), axis=1)
    return kept


def optics_groups(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, list[Any]], list[int]]:
    """Optics columns by label, one row a different group, and the group of each of the given rows.

    Numbers and names of groups stay where they are distinct, else they are given anew. Columns that not every
    row has are left out.
    """
    distinct = list({json.dumps(row, sort_keys=True): row for row in rows}.values())
    labels = [label for label in distinct[0] if all(label in row for row in distinct)]
    columns = {label: [row[label] for row in distinct] for label in labels}
    for label, made in (
        ("rlnOpticsGroupName", [f"opticsGroup{i + 1}" for i in range(len(distinct))]),
        ("rlnOpticsGroup", list(range(1, len(distinct) + 1))),
    ):
        if len(set(columns.get(label, []))) < len(distinct):
            columns = {label: made, **{key: column for key, column in columns.items() if key != label}}
    numbers = columns["rlnOpticsGroup"]
    return columns, [numbers[distinct.index(row)] for row in rows]
