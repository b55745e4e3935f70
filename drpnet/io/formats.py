"""The formats that coordinates can be written in, by name, and what each needs and loses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drpnet.io.coordinate_writers import write_box, write_cbox, write_coord, write_cryoppp, write_csv, write_topaz
from drpnet.io.cryosparc_writer import write_cs
from drpnet.io.named_coordinates import NamedCoordinates
from drpnet.io.picks import (
    ParticleTable,
    write_autopick_index,
    write_autopick_star,
    write_particles_star,
    write_particles_star_30,
)


@dataclass(frozen=True)
class Format:
    """What a format is called, the suffix of its files, whether one file holds all micrographs, what it has and needs."""

    words: str
    suffix: str
    one_file: bool = False
    scores: bool = True
    whole_pixels: bool = False
    box: bool = False
    names: bool = False
    shapes: bool = False


FORMATS = {
    "star": Format("RELION .star", "_autopick.star"),
    "particles": Format("RELION particles .star", ".star", one_file=True, names=True),
    "particles30": Format("RELION 3.0 particles .star", ".star", one_file=True, names=True),
    "box": Format("EMAN .box", ".box", whole_pixels=True, box=True),
    "cbox": Format("crYOLO .cbox", ".cbox", box=True),
    "topaz": Format("Topaz .txt", ".txt", one_file=True, whole_pixels=True),
    "csv": Format("plain .csv", ".csv"),
    "cryoppp": Format("CryoPPP .csv", ".csv", scores=False, whole_pixels=True, shapes=True),
    "coord": Format("EMPIAR .coord", ".coord", scores=False),
    "cs": Format("cryoSPARC .cs", ".cs", one_file=True, names=True, shapes=True),
}


@dataclass(frozen=True)
class Extras:
    """What some formats need beside the coordinates: box and diameter in px, optics columns, a micrographs .star.

    `shared_stems` are those of several micrographs, whether or not all of them have coordinates.
    """

    box_size: int = 0
    diameter_px: float | None = None
    optics: Mapping[str, Sequence[Any]] | None = None
    micrographs_star: str | None = None
    shared_stems: frozenset[str] = frozenset()


def write_one_file(path: Path, named: Sequence[NamedCoordinates], to: str, extras: Extras) -> None:
    """Write the coordinates of all micrographs into one file, in one of the `FORMATS` that is `one_file`."""
    if to == "cs":
        write_cs(path, named)
    elif to == "topaz":
        write_topaz(path, [(_image_name(entry, extras.shared_stems), entry.coordinates) for entry in named])
    else:
        write = write_particles_star if to == "particles" else write_particles_star_30
        sizes = {entry.pixel_size for entry in named}
        tables = [
            ParticleTable(str(entry.name), entry.coordinates.centres, entry.coordinates.scores, entry.optics_group, entry.ctf)
            for entry in named
        ]
        write(path, tables, extras.optics, sizes.pop() if len(sizes) == 1 else None)


def write_folder(folder: Path, final: Path, named: Sequence[NamedCoordinates], to: str, extras: Extras) -> None:
    """Write one file a micrograph below `folder`, in its tree; lists in it name the files below `final`."""
    write, suffix = _writer(to, extras), FORMATS[to].suffix
    for entry in named:
        write(folder / entry.tree / f"{entry.stem}{suffix}", entry)
    if to == "star" and all(entry.name is not None for entry in named):
        index = [(str(entry.name), final / entry.tree / f"{entry.stem}{suffix}") for entry in named]
        write_autopick_index(folder / "autopick.star", index, extras.micrographs_star)


def _image_name(entry: NamedCoordinates, shared: frozenset[str]) -> str:
    """The stem, as Topaz names images; with the folders where two share it."""
    return (entry.tree / entry.stem).as_posix() if entry.stem in shared else entry.stem


def _writer(to: str, extras: Extras) -> Callable[[Path, NamedCoordinates], None]:
    """Writes the file of one micrograph."""
    box, diameter = extras.box_size, extras.diameter_px
    writers: dict[str, Callable[[Path, NamedCoordinates], None]] = {
        "star": lambda path, entry: write_autopick_star(path, entry.coordinates.centres, entry.coordinates.scores),
        "box": lambda path, entry: write_box(path, entry.coordinates, box),
        "cbox": lambda path, entry: write_cbox(path, entry.coordinates, box),
        "csv": lambda path, entry: write_csv(path, entry.coordinates),
        "cryoppp": lambda path, entry: write_cryoppp(path, entry.coordinates, (entry.shape or (0, 0))[0], diameter),
        "coord": lambda path, entry: write_coord(path, entry.coordinates),
    }
    return writers[to]
