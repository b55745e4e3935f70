"""Coordinates from the files of one program to those of another: `drpnet convert`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.atomic import whole_folder
from drpnet.io.coordinates import Coordinates, is_inside, read_micrograph_coordinates, upside_down
from drpnet.io.formats import FORMATS, Extras, Format, write_folder, write_one_file
from drpnet.io.named_coordinates import Micrographs, NamedCoordinates, match, read_micrographs, unmatched


@dataclass(frozen=True)
class Options:
    """What some formats need: micrographs, box and diameter in px, Angstrom/px; and whether y is to be turned first."""

    micrographs: str | None = None
    box_size: int | None = None
    diameter_px: float | None = None
    pixel_size: float | None = None
    upside_down: bool = False


@dataclass(frozen=True)
class Converted:
    """What was written: how many micrographs and coordinates, and what a user should know of it, a line each."""

    micrographs: int
    coordinates: int
    notes: tuple[str, ...]


def convert(source: Path, to: str, out: Path, options: Options | None = None) -> Converted:
    """Write the coordinates of `source` in the format `to`: into the new folder `out`, or as the file `out`.

    A folder keeps the tree of the micrographs. What is written appears whole or not at all. Raises InputError for what
    cannot be read, and where the format needs what neither the files nor the options say.
    """
    options = options or Options()
    form = _format(to, options)
    _require_new(source, out, form)
    found = read_micrograph_coordinates(source)
    listed = None if options.micrographs is None else read_micrographs(options.micrographs, Coordinates(np.empty((0, 2))))
    notes: list[str] = []
    if listed is None:
        named = unmatched(found)
    else:
        named, without = match(found, listed, source)
        if without:
            notes.append(f"{len(without)} micrographs, such as {without[0]}, have no coordinates in {source}")
    named = [_prepared(entry, options, form) for entry in named]
    count = Counter(entry.stem for entry in (named if listed is None else listed.entries))
    shared = frozenset(stem for stem, times in count.items() if times > 1)
    notes += _notes(source, named, to, form, listed, shared)
    star = options.micrographs if options.micrographs and options.micrographs.lower().endswith(".star") else None
    extras = Extras(options.box_size or 0, options.diameter_px, _optics(listed, options), star, shared)
    if form.one_file:
        write_one_file(out, named, to, extras)
    else:
        with whole_folder(out) as folder:
            write_folder(folder, out, named, to, extras)
    return Converted(len(named), sum(len(entry.coordinates.centres) for entry in named), tuple(notes))


def _format(to: str, options: Options) -> Format:
    """The format by name; InputError for an unknown one and for options that do not fit it."""
    if to not in FORMATS:
        raise InputError(f"--to is {to!r}; use {', '.join(FORMATS)}")
    form = FORMATS[to]
    if form.box and options.box_size is None:
        raise InputError(f"a {form.words} holds boxes, and their size is not known; give --box-size in pixels")
    for name in ("box_size", "diameter_px", "pixel_size"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must be a number above 0")
    return form


def _require_new(source: Path, out: Path, form: Format) -> None:
    """Raise InputError when `out` would overwrite the source, or a folder that holds something."""
    if form.one_file:
        if out.is_dir():
            raise InputError(f"{out} is a folder, and a {form.words} is one file; name it: {out / f'all{form.suffix}'}")
        if not out.name.lower().endswith(form.suffix):
            raise InputError(f"{out} must end with {form.suffix}, for a {form.words} is read by its suffix; rename it")
        if out.exists() and source.exists() and out.samefile(source):
            raise InputError(f"{out} is the file that is read; give another --out")
    elif out.is_file():
        raise InputError(f"{out} is a file, and {form.words} files need a folder; name a new one")
    elif out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; name a new folder, or empty it")


def _prepared(entry: NamedCoordinates, options: Options, form: Format) -> NamedCoordinates:
    """The coordinates in RELION's frame, with the pixel size given; InputError where a needed fact is missing."""
    place = entry.tree / entry.stem
    if form.names and entry.name is None:
        raise InputError(
            f"a {form.words} names its micrographs, and nothing says which file {place} is; give them with --micrographs"
        )
    if (form.shapes or options.upside_down) and entry.shape is None:
        why = "y is turned" if options.upside_down else f"a {form.words} counts from the last row"
        raise InputError(f"the size of micrograph {place} is unknown, and {why}; give the micrographs with --micrographs")
    if options.upside_down and entry.shape is not None:
        entry = replace(entry, coordinates=upside_down(entry.coordinates, entry.shape[0]))
    return entry if options.pixel_size is None else replace(entry, pixel_size=options.pixel_size)


def _notes(
    source: Path, named: Sequence[NamedCoordinates], to: str, form: Format, listed: Micrographs | None,
    shared: frozenset[str],
) -> list[str]:  # fmt: skip
    """What is lost, and what looks wrong, in words."""
    notes = []
    scored = [entry for entry in named if entry.coordinates.scores is not None]
    if scored and not form.scores:
        notes.append(f"scores are lost: a {form.words} has no place for them")
    elif 0 < len(scored) < len(named) and form.one_file:
        lacking = f"{len(named) - len(scored)} of {len(named)} micrographs have none"
        notes.append(f"scores are lost: {lacking}, and a {form.words} has a column for all or for nobody")
    centres = [entry.coordinates.centres for entry in named]
    if form.whole_pixels and not all(np.array_equal(values, np.round(values)) for values in centres):
        notes.append(f"coordinates are rounded: a {form.words} holds whole pixels")
    outside = [e for e in named if e.shape is not None and not is_inside(e.coordinates.centres, e.shape).all()]
    if outside:
        notes.append(
            f"{len(outside)} of {len(named)} micrographs, such as {outside[0].name}, have coordinates outside them: "
            "are they another micrograph's, or in another frame? drpnet doctor tells"
        )
    if to == "particles" and (listed is None or listed.optics is None):
        notes.append("optics groups and CTF are not known: --micrographs with a RELION micrographs .star brings them")
    if to == "star" and any(entry.name is None for entry in named):
        notes.append("no autopick.star is written, for nothing names the micrographs: --micrographs does")
    if source.suffix.lower() == ".cs" and listed is None and any(entry.name is not None for entry in named):
        notes.append("micrographs are named as in the .cs, without cryoSPARC's number: --micrographs gives them your names")
    if to == "topaz" and any(entry.stem in shared for entry in named):
        notes.append("several micrographs share a name: those stand with their folder in image_name")
    return notes


def _optics(listed: Micrographs | None, options: Options) -> Mapping[str, Sequence[Any]] | None:
    if listed is None or listed.optics is None or options.pixel_size is None:
        return None if listed is None else listed.optics
    return {**listed.optics, "rlnMicrographPixelSize": [options.pixel_size] * len(listed.optics["rlnOpticsGroup"])}
