"""The micrographs of a page: where their images lie, how large they and their particles are."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.pairing import pair_names
from drpnet.io.find import MicrographEntry, MicrographList, find_micrographs
from drpnet.io.micrographs import read_shape
from drpnet.picking import describe
from drpnet.report.sources import PickedSet


@dataclass(frozen=True)
class Place:
    """One micrograph: `record` as in run.json (name, path, shape, optics, ctf), without a pixel size where none is known."""

    record: dict[str, Any]
    diameter_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w)."""
        height, width = self.record["shape"]
        return int(height), int(width)


def find_places(
    picked: PickedSet, micrographs: str | None, diameter_px: float | None
) -> tuple[dict[str, Place], list[str]]:
    """The micrographs of the picks by name, and what must be said of those left out.

    `micrographs` (folder, glob or .star) says where they lie, and that only those count; without it run.json does.
    Raises InputError when no image is found, when the particle's size is unknown, or a micrograph's own size changed.
    """
    if micrographs is None and picked.records is None:
        raise InputError(
            f"{picked.name} is no folder of `drpnet pick` and does not say where its micrographs lie; "
            "give their folder with --micrographs"
        )
    records = dict(picked.records or {})
    notes: list[str] = []
    if micrographs is not None:
        records, notes = _located(picked, micrographs)
    there = [name for name, record in records.items() if Path(record["path"]).is_file()]
    if not there:
        path = next(iter(records.values()))["path"]
        raise InputError(
            f"{path} is no longer there, nor is any other micrograph of {picked.name}; give --micrographs FOLDER"
        )
    if len(there) < len(records):
        gone = next(name for name in records if name not in set(there))
        notes.append(
            f"{len(records) - len(there)} micrographs, such as {gone}, are no longer where they were: no picture"
        )
    return {name: Place(record, _diameter(picked, record, diameter_px)) for name, record in records.items()}, notes


def _located(picked: PickedSet, source: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Records by the picks' names of the micrographs that `source` finds."""
    listed = find_micrographs(source)
    stems = Counter(entry.stem for entry in listed.entries)
    entries = {
        entry.stem if stems[entry.stem] == 1 else (entry.tree / entry.stem).as_posix(): entry
        for entry in listed.entries
    }
    pairs = pair_names(list(picked.found), list(entries))
    if not pairs:
        raise InputError(
            f"none of the micrographs in {source}, such as {next(iter(entries))}, has picks in {picked.name}, which has "
            f"{next(iter(picked.found), 'none')}; the file names must agree"
        )
    notes = []
    for count, what, example in (
        (
            len(entries) - len(pairs),
            f"micrographs of {source} match no picks by their name",
            set(entries) - set(pairs.values()),
        ),
        (len(picked.found) - len(pairs), f"picked micrographs are not in {source}", set(picked.found) - set(pairs)),
    ):
        if count:
            notes.append(f"{count} {what} and are left out, such as {min(example)}")
    records = {}
    for name, other in pairs.items():
        try:
            records[name] = _record(entries[other], listed, (picked.records or {}).get(name))
        except InputError as error:
            notes.append(f"left out: {error}")
    if not records:
        raise InputError(f"no micrograph of {source} can be read; {notes[-1].removeprefix('left out: ')}")
    return records, notes


def _record(entry: MicrographEntry, listed: MicrographList, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of a micrograph: as it was picked, or as its file and star say."""
    try:
        shape = read_shape(entry.path)
    except InputError:
        if before is None:
            raise
        return {**before, "path": str(entry.path)}  # its picks still count; whoever draws it says that it cannot be read
    if before is not None:
        if list(shape) != list(before["shape"]):
            raise InputError(
                f"{entry.path} is {shape[0]} x {shape[1]} px, {before['name']} had {before['shape'][0]} x "
                f"{before['shape'][1]} when it was picked; give the micrographs that were picked"
            )
        return {**before, "path": str(entry.path)}
    record = describe(entry, shape, entry.pixel_size or 0.0, listed)
    if entry.pixel_size is None:
        del record["pixel_size"], record["optics"]["rlnMicrographPixelSize"]
    return record


def _diameter(picked: PickedSet, record: Mapping[str, Any], diameter_px: float | None) -> float:
    if diameter_px is not None:
        return diameter_px
    if picked.diameter is None:
        raise InputError("the particle's size is not known from these picks; give it with --diameter-px, in pixels")
    return float(picked.diameter) / float(record["pixel_size"])
