"""Say which micrograph a list of coordinates is of: its name, size, pixel size, optics and CTF."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.io.coordinate_files import MicrographCoordinates
from drpnet.io.cryosparc_coordinates import read_exposures, without_uid
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_shape, split_suffix
from drpnet.io.paths import tree_and_stem
from drpnet.io.text_coordinates import Coordinates


@dataclass(frozen=True)
class NamedCoordinates:
    """The coordinates of one micrograph and what is known of it; `shape` is (h, w), `pixel_size` Angstrom/px."""

    tree: Path
    stem: str
    coordinates: Coordinates
    name: str | None = None
    shape: tuple[int, int] | None = None
    pixel_size: float | None = None
    optics_group: int = 1
    ctf: Mapping[str, Any] | None = None
    uid: int | None = None
    """cryoSPARC's number of the micrograph."""


@dataclass(frozen=True)
class Micrographs:
    """Micrographs without coordinates yet, and their optics columns by label (None: unknown)."""

    entries: tuple[NamedCoordinates, ...]
    optics: dict[str, list[Any]] | None = None


def read_micrographs(source: str, nothing: Coordinates) -> Micrographs:
    """The micrographs of a folder, glob or micrographs .star, or of cryoSPARC's .cs of exposures, each with `nothing`.

    Sizes come from the headers of the files, those of a .cs from itself. Raises InputError as `find_micrographs`.
    """
    if source.lower().endswith(".cs"):
        rows = read_exposures(Path(source))
        return Micrographs(
            tuple(
                NamedCoordinates(*tree_and_stem(row.path), nothing, row.path, row.shape, row.pixel_size, 1, None, row.uid)
                for row in rows
            )
        )
    found = find_micrographs(source)
    return Micrographs(
        tuple(
            NamedCoordinates(
                entry.tree, entry.stem, nothing, entry.name, read_shape(entry.path), entry.pixel_size, entry.optics_group,
                found.ctf.get(entry.name),
            )
            for entry in found.entries
        ),
        found.optics,
    )  # fmt: skip


def unmatched(found: Sequence[MicrographCoordinates]) -> list[NamedCoordinates]:
    """The coordinates with what their own file says: a micrograph's name counts where it is one of a file."""
    return [
        NamedCoordinates(
            place.tree, place.stem, place.coordinates,
            place.name if place.name is not None and split_suffix(place.name)[1] else None,
        )
        for place in found
    ]  # fmt: skip


def match(
    found: Sequence[MicrographCoordinates], micrographs: Micrographs, source: Path | str
) -> tuple[list[NamedCoordinates], list[str]]:
    """The coordinates with the micrographs that they are of, in the micrographs' order; and names of those without any.

    Stems must be the same, but for the number that cryoSPARC puts before them. Where a stem occurs more than once, the
    folders decide: the same ones, else those that agree, from the innermost on, in as many as possible. Raises
    InputError where none or several do.
    """
    by_stem: dict[str, list[NamedCoordinates]] = {}
    for entry in micrographs.entries:
        by_stem.setdefault(without_uid(entry.stem), []).append(entry)
    stems = [without_uid(place.stem) for place in found]
    count = Counter(stems)
    used: dict[tuple[Path, str], NamedCoordinates] = {}
    for place, stem in zip(found, stems, strict=True):
        there = by_stem.get(stem, [])
        alone = len(there) == 1 and count[stem] == 1
        fitting = there if alone else _fitting(there, place.tree)
        if len(fitting) != 1:
            several = f"is {fitting[0].name} or {fitting[1].name}" if fitting else "is none of the micrographs given"
            raise InputError(
                f"{source}: {place.tree / place.stem} {several}; give the micrographs, in the same folders, "
                "that the coordinates are of"
            )
        key = (fitting[0].tree, fitting[0].stem)
        if key in used:
            raise InputError(f"{source} has two lists of coordinates for micrograph {fitting[0].name}; keep one of them")
        used[key] = replace(fitting[0], coordinates=place.coordinates)
    order = [(entry.tree, entry.stem) for entry in micrographs.entries]
    without = [str(entry.name) for entry, key in zip(micrographs.entries, order, strict=True) if key not in used]
    return [used[key] for key in order if key in used], without


def _fitting(entries: Sequence[NamedCoordinates], tree: Path) -> list[NamedCoordinates]:
    """The micrographs in the same folders; else those whose folders agree, in as many as possible."""
    same = [entry for entry in entries if entry.tree == tree]
    shared = {id(entry): min(len(entry.tree.parts), len(tree.parts)) for entry in entries}
    agreeing = [
        entry for entry in entries
        if not (depth := shared[id(entry)]) or entry.tree.parts[-depth:] == tree.parts[-depth:]
    ]  # fmt: skip
    most = max((shared[id(entry)] for entry in agreeing), default=0)
    return same or [entry for entry in agreeing if shared[id(entry)] == most]
