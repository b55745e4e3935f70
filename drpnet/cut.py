"""The cut: from all candidates of a pick folder to the .star files that RELION and cryoSPARC read, at a threshold."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.config import PRESETS
from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.io.picks import (
    ParticleTable,
    read_candidates_star,
    write_autopick_index,
    write_autopick_star,
    write_particles_star,
)

MANIFEST = "run.json"
CANDIDATES = "candidates"


@dataclass(frozen=True)
class Cut:
    """What a cut wrote: the threshold, picks per micrograph by name, and how many candidates there were."""

    threshold: float
    picks: dict[str, int]
    candidates: int


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


def candidates_path(out: Path, tree: str, stem: str) -> Path:
    """Where all candidates of a micrograph lie."""
    return out / CANDIDATES / tree / f"{stem}_candidates.star"


def read_manifest(out: Path) -> dict[str, Any]:
    """run.json of a pick folder; InputError when there is none or it is no manifest of ours."""
    path = out / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        if not isinstance(manifest["micrographs"], list):
            raise TypeError("'micrographs' is no list")
    except FileNotFoundError:
        raise InputError(f"{out} holds no {MANIFEST}; give the --out folder of a finished `drpnet pick`") from None
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a manifest of drpnet ({error}); pick into a new folder") from None
    return manifest


def write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    with whole_file(out / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1))


def cut(out: Path, threshold: float) -> Cut:
    """Write every `<stem>_autopick.star`, autopick.star and particles.star of the picks at or above `threshold`."""
    manifest = read_manifest(out)
    box = manifest["parameters"]["box_size"]
    picks: dict[str, int] = {}
    index, tables, total = [], [], 0
    for entry in manifest["micrographs"]:
        found = read_candidates_star(candidates_path(out, entry["tree"], entry["stem"]))
        total += len(found.centres)
        kept = found.figure_of_merit >= threshold
        if box:
            kept &= box_fits(found.centres, box, entry["shape"])
        path = out / entry["tree"] / f"{entry['stem']}_autopick.star"
        write_autopick_star(path, found.centres[kept], found.figure_of_merit[kept])
        picks[entry["name"]] = int(kept.sum())
        index.append((entry["name"], path))
        tables.append(
            ParticleTable(
                entry["name"], found.centres[kept], found.figure_of_merit[kept], entry["optics_group"], entry["ctf"]
            )
        )
    write_autopick_index(out / "autopick.star", index)
    write_particles_star(out / "particles.star", tables, manifest["optics"])
    write_manifest(out, {**manifest, "threshold": threshold, "picks": sum(picks.values())})
    return Cut(threshold, picks, total)


def box_fits(centres: np.ndarray, box_size: int, shape: tuple[int, int]) -> np.ndarray:
    """Boolean (n,): whether a box of `box_size` px around each centre (n, 2) lies inside an image of `shape`."""
    half = box_size / 2
    return ((centres >= half) & (centres <= np.asarray(shape) - half)).all(axis=1)
