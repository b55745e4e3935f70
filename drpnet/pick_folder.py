"""What a pick folder is bound to, and how a run goes on in one."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drpnet import __version__
from drpnet.errors import InputError
from drpnet.io.find import MicrographEntry, MicrographList
from drpnet.io.paths import MANIFEST
from drpnet.ledger import (
    Records,
    create_manifest,
    failure_of,
    manifest_text,
    read_manifest,
    read_records,
    write_manifest,
)
from drpnet.model import find_weights
from drpnet.picking import describe
from drpnet.schema import PickSchema

log = logging.getLogger(__name__)
ADAPTED = "adapted.safetensors"
"""In a pick folder: the classifier that --adapt trained."""


def claim(settings: PickSchema, note: str) -> Records:
    """Start or continue the pick folder of the settings; InputError when other settings made what lies there.

    run.json is written at once: later searches know the folder by it, and of several programs that start together all
    but one find the settings of the first.
    """
    out, parameters = Path(settings.out), identity(settings)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder for the picks")
    fresh = manifest(settings, {}, [], note)
    if create_manifest(out, manifest_text(fresh)):
        if read_records(out):
            (out / MANIFEST).unlink()
            raise InputError(
                f"{out} holds candidates, but not the {MANIFEST} that says how they were made; choose another --out or move "
                "that folder away"
            )
        return {}
    before, records = read_manifest(out), read_records(out)
    changed = [key for key in parameters if before["parameters"].get(key) != parameters[key]]
    if changed and not records and settings.shard is None:
        (out / ADAPTED).unlink(missing_ok=True)  # a run that picked nothing binds nobody
        write_manifest(out, fresh)
    elif changed:
        key = changed[0]
        raise InputError(
            f"{out} holds picks made with {key} {before['parameters'].get(key)}, now {key} is {parameters[key]}; choose "
            "another --out or move that folder away (the threshold alone: drpnet threshold)"
        )
    return records


def identity(settings: PickSchema) -> dict[str, Any]:
    """The settings that decide the candidates; a folder holds the candidates of one such set only."""
    digest = hashlib.sha256(find_weights(settings.weights).read_bytes()).hexdigest()[:16]
    return {
        "particle_diameter": settings.particle_diameter,
        "pixel_size": settings.pixel_size,
        "weights_sha256": digest,
        "classifier": settings.classifier,
        "adapt": settings.adapt,
        "min_distance": settings.min_distance,
        "negative_stain": settings.negative_stain,
        "preprocess": asdict(settings.preprocess) if settings.preprocess else None,
        "detection": asdict(settings.detection) if settings.detection else None,
        "network": {"fcrn": settings.network.fcrn, "classifier": settings.network.classifier},
        "seed": settings.seed,
    }


def manifest(
    settings: PickSchema, records: Records, failures: list[tuple[str, str]], note: str
) -> dict[str, Any]:
    """What run.json says of a run; everything that a later cut and an evaluation need."""
    star = settings.micrographs if settings.micrographs.lower().endswith(".star") else None
    return {
        "drpnet": __version__,
        "parameters": identity(settings),
        "weights": settings.weights,
        "box_size": settings.box_size,
        "micrographs_star": star,
        "note": note,
        "failures": failures,
        "micrographs": [records[place] for place in sorted(records)],
    }


def require_same_places(out: Path, found: MicrographList, records: Records) -> None:
    """Raise InputError for a micrograph that is picked already under another name: its particles would count twice."""
    places: dict[str, list[Path]] = {}
    for place, record in records.items():
        places.setdefault(os.path.realpath(record["path"]), []).append(place)
    for entry in found.entries:
        before = places.get(os.path.realpath(entry.path))
        if before and entry.tree / entry.stem not in before:
            raise InputError(
                f"{out} holds the picks of {entry.path} as {before[0]}, now they would be {entry.tree / entry.stem}; "
                "give the micrographs as before (the same folder, glob or star) or choose another --out"
            )


def tell_of_earlier(out: Path, found: MicrographList, records: Records, todo: list[MicrographEntry]) -> None:
    """Say what an earlier run left in the folder: picked already, changed since, or no longer asked for."""
    places, again = {entry.tree / entry.stem for entry in found.entries}, {entry.tree / entry.stem for entry in todo}
    kept, changed, gone = len(found.entries) - len(todo), again & set(records), set(records) - places
    if kept:
        log.info("%d micrographs are already picked in %s and are not picked again", kept, out)
    if changed:
        log.info("%d micrographs, such as %s, changed since and are picked again", len(changed), min(changed))
    if gone:
        log.warning(
            "%d micrographs, such as %s, were picked into %s before and are not in the source now; their picks stay there. "
            "For picks of these micrographs alone choose another --out", len(gone), min(gone), out,
        )  # fmt: skip


def refresh(found: MicrographList, records: Records, todo: list[MicrographEntry]) -> None:
    """Optics and CTF of micrographs that are picked already, as the source gives them now."""
    again = {entry.tree / entry.stem for entry in todo}
    for entry in found.entries:
        place = entry.tree / entry.stem
        if place in records and place not in again:
            before = records[place]
            records[place] = before | describe(entry, tuple(before["shape"]), before["pixel_size"], found)


def failed(out: Path, entries: Sequence[MicrographEntry]) -> list[tuple[str, str]]:
    """Name and problem of the micrographs, as they are now, that this or another program could not pick."""
    problems = ((entry.name, failure_of(out, entry.tree / entry.stem, entry.path)) for entry in entries)
    return [(name, problem) for name, problem in problems if problem is not None]
