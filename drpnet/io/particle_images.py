"""Extracted particle images of a RELION .star with their orientations and CTF, a part at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

from drpnet.errors import InputError
from drpnet.io.paths import locate
from drpnet.io.refinement import PARTICLE_BLOCKS
from drpnet.io.star_stream import StarTable, find_table

_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_ORIGINS = {"rlnOriginYAngst": "rlnOriginXAngst", "rlnOriginY": "rlnOriginX"}
_DEFOCUS = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
_MICROSCOPE = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
_PART = 512


@dataclass(frozen=True)
class Optics:
    """What all images of a set share: pixel size in Angstrom, and the microscope (kV, mm, share) where it is known."""

    pixel_size: float
    microscope: tuple[float, float, float] | None


@dataclass(frozen=True)
class ParticleImages:
    """Images (n, b, b), rot, tilt, psi (n, 3) in degrees, shifts (n, 2) in (y, x) px to the centre, half sets 1 or 2 (n,).

    `defocus` (n, 3) is U and V in Angstrom and their angle in degrees; None where it is not known.
    """

    images: np.ndarray
    euler_angles: np.ndarray
    shifts: np.ndarray
    halves: np.ndarray
    defocus: np.ndarray | None


def read_optics(star: Path) -> Optics:
    """The optics of particles, from data_optics (RELION 3.1 and later) or the columns of the particles (3.0).

    Raises InputError where groups differ: their images cannot go into one map as they are.
    """
    try:
        table = find_table(star, ("optics",))
        label, scale = "rlnImagePixelSize", 1.0
    except InputError:
        table = find_table(star, PARTICLE_BLOCKS)
        label, scale = "rlnDetectorPixelSize", 1e4
    wanted = [label, *(["rlnMagnification"] if scale > 1 else [])]
    wanted += [name for name in (*_MICROSCOPE, "rlnImageSize") if name in table.labels]
    first: dict[str, float] = {}
    for part in table.chunks(wanted):
        for name in wanted:
            values = np.unique(part[name])
            first.setdefault(name, float(values[0]))
            if len(values) > 1 or values[0] != first[name]:
                raise InputError(
                    f"{star}: optics groups differ in {name} ({first[name]:g} and {values[-1]:g}); "
                    "reconstruct one group at a time, or rescale the images to one pixel size and box"
                )
    size = first[label] * scale / first.get("rlnMagnification", 1.0)
    known = all(name in first for name in _MICROSCOPE)
    return Optics(size, (first[_MICROSCOPE[0]], first[_MICROSCOPE[1]], first[_MICROSCOPE[2]]) if known else None)


def particle_images(star: Path, pixel_size: float) -> Iterator[ParticleImages]:
    """The images of a particles .star in its order, at most 512 at a time.

    Without rlnRandomSubset odd and even rows are the halves. Raises InputError where angles, names or stacks are missing,
    and for images that differ in box.
    """
    table = find_table(star, PARTICLE_BLOCKS)
    missing = [label for label in (*_ANGLES, "rlnImageName") if label not in table.labels]
    if missing:
        raise InputError(f"{star} has no {missing[0]}; give extracted particles with orientations")
    origin = next((label for label in _ORIGINS if label in table.labels), None)
    optional = [*([origin, _ORIGINS[origin]] if origin else []), *_known(table, _DEFOCUS), *_known(table, ("rlnRandomSubset",))]
    box: int | None = None
    row = 0
    for part in table.chunks([*_ANGLES, *optional], ["rlnImageName"], rows=_PART):
        images = _read_images(star, part["rlnImageName"], box)
        box = images.shape[-1]
        count = len(images)
        shifts = np.zeros((count, 2))
        if origin:
            shifts = np.stack([part[origin], part[_ORIGINS[origin]]], 1) / (pixel_size if origin.endswith("Angst") else 1.0)
        halves = part["rlnRandomSubset"].astype(int) if "rlnRandomSubset" in part else (row + np.arange(count)) % 2 + 1
        defocus = np.stack([part[label] for label in _DEFOCUS], 1) if _DEFOCUS[0] in part else None
        yield ParticleImages(images, np.stack([part[label] for label in _ANGLES], 1), shifts, halves, defocus)
        row += count


def _known(table: StarTable, labels: tuple[str, ...]) -> list[str]:
    return list(labels) if all(label in table.labels for label in labels) else []


def _read_images(star: Path, names: np.ndarray, box: int | None) -> np.ndarray:
    """Images `000012@stack.mrcs` in their order; every stack of the part is opened once, and only what is asked is read."""
    number, stack = np.array([str(name).partition("@")[::2] for name in names]).T
    found: list[np.ndarray] = [np.zeros(0)] * len(names)
    for path in np.unique(stack):
        place = locate(str(path), star)
        if place is None:
            raise InputError(f"{star} names the stack {str(path)!r}, which is not below here; run in the project's folder")
        rows = np.flatnonzero(stack == path)
        with mrcfile.mmap(place, mode="r", permissive=True) as mrc:
            data = mrc.data if mrc.data.ndim == 3 else mrc.data[None]
            for row in rows:
                if not (number[row].isdecimal() and 1 <= int(number[row]) <= len(data)):
                    raise InputError(f"{star}: {names[row]} is not among the {len(data)} images of {place}")
                found[row] = np.array(data[int(number[row]) - 1], np.float32)
    boxes = {image.shape for image in found} | ({(box, box)} if box else set())
    if len(boxes) > 1:
        raise InputError(f"{star} has images of {' and '.join(map(str, sorted(boxes)))} px; reconstruct one box at a time")
    return np.stack(found)
