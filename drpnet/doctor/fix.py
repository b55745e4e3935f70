"""Coordinates corrected as the doctor found them, written as new files."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from drpnet.doctor.findings import Examination, many
from drpnet.errors import InputError
from drpnet.frames.diagnosis import Diagnosis
from drpnet.frames.transforms import IDENTITY, Transform
from drpnet.io.coordinates import is_inside
from drpnet.io.micrographs import read_shape
from drpnet.io.picks import write_autopick_star


class Written(NamedTuple):
    """What --fix wrote: micrographs and centres corrected, micrographs as they were, and what is left out, in words."""

    corrected: int
    centres: int
    unchanged: int
    left_out: list[str]

    def words(self, out: Path) -> str:
        """One line."""
        also = f", and {many(self.unchanged, 'micrograph')} as they were," if self.unchanged else ""
        return f"wrote {many(self.centres, 'corrected coordinate')} of {many(self.corrected, 'micrograph')}{also} to {out}"


def can_fix(examination: Examination, first: int | None = None) -> bool:
    """Whether `write_fixed` would change anything: the set, or a micrograph of another frame than a set that is right."""
    found = examination.diagnosis
    told = any(frame is not None for frame in found.against.values())
    return found.kind == "wrong" or found.kind == "right" and (told or bool(first))


def write_fixed(examination: Examination, out: Path, first: int | None = None) -> Written:
    """Write the corrected coordinates, one RELION .star a micrograph, below `out`, which must be new or empty.

    `first` 1 says that the pixels are counted from 1 where the evidence cannot. A micrograph that is in another frame than
    the rest is corrected from its own, and left out where that cannot be told. The input is never touched.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already; name a new or empty folder for the corrected coordinates")
    transform = corrected(examination.diagnosis, first)
    files = centres = unchanged = 0
    left_out = []
    for name, coordinates in examination.sets.items():
        own = examination.diagnosis.against.get(name, transform)
        if own is None:
            left_out.append(f"{name}: it is in another frame than the rest, which cannot be told")
            continue
        own = replace(own, first=transform.first)
        path = out / f"{name}_autopick.star"
        if own == IDENTITY:
            write_autopick_star(path, coordinates.centres, coordinates.scores)
            unchanged += 1
            continue
        try:
            shape = read_shape(examination.paths[name])
        except InputError as error:
            left_out.append(str(error))
            continue
        places = own.apply(coordinates.centres, shape)
        kept = is_inside(places, shape)
        if not kept.all():
            left_out.append(f"{name}: {many(int((~kept).sum()), 'centre')} outside the micrograph")
        scores = None if coordinates.scores is None else coordinates.scores[kept]
        write_autopick_star(path, places[kept], scores)
        files, centres = files + 1, centres + int(kept.sum())
    return Written(files, centres, unchanged, left_out)


def corrected(diagnosis: Diagnosis, first: int | None = None) -> Transform:
    """The transform that corrects the set; `first` overrides from which number pixels are counted."""
    found = diagnosis.found.transform
    return found if first is None else replace(found, first=first)
