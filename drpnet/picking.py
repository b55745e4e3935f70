"""One micrograph: read, picked, noted and drawn."""

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drpnet.cascade import Picker
from drpnet.cut import PIXEL_SIZE, kept_candidates
from drpnet.errors import InputError
from drpnet.io.find import MicrographEntry, MicrographList
from drpnet.io.micrographs import read_micrograph
from drpnet.io.paths import OVERLAYS
from drpnet.io.picks import Candidates, read_candidates_star, write_candidates_star
from drpnet.ledger import Record, Records, candidates_path, stamp, write_record
from drpnet.model import Model
from drpnet.overlay import CYAN, draw_picks, save_picture
from drpnet.schema import PickSchema

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is the same for every micrograph of a run."""

    settings: PickSchema
    threshold: float
    micrographs: MicrographList

    @property
    def out(self) -> Path:
        """The output folder."""
        return Path(self.settings.out)


class Loaded(NamedTuple):
    """A micrograph in memory: image (h, w), Angstrom per pixel, and the stamp of the file it was read from."""

    image: np.ndarray
    pixel_size: float
    file: list[int] | None


def load(entry: MicrographEntry, pixel_size: float | None) -> Loaded:
    """A micrograph with its pixel size: as given, else the star's, else the header's."""
    before = stamp(entry.path)
    image, header = read_micrograph(entry.path)
    size = pixel_size or entry.pixel_size or header
    if size is None:
        raise InputError(
            f"{entry.path} has no pixel size in its header (0 and exactly 1 count as none); "
            "give --pixel-size (Angstrom per pixel)"
        )
    return Loaded(image, size, before)


def is_picked(out: Path, entry: MicrographEntry, records: Records, pixel_size: float | None = None) -> bool:
    """Whether `out` holds this micrograph's candidates as the file is now, and with this `pixel_size` where one is given.

    Raises InputError when they are a namesake's.
    """
    record = records.get(entry.tree / entry.stem)
    if record is None or not candidates_path(out, str(entry.tree), entry.stem).is_file():
        return False
    if os.path.realpath(record["path"]) != os.path.realpath(entry.path):
        raise InputError(
            f"{out} holds the picks of {record['path']} under the name of {os.path.abspath(entry.path)}; "
            "choose another --out"
        )
    size = pixel_size or entry.pixel_size
    same_size = size is None or math.isclose(size, record["pixel_size"], rel_tol=1e-6)
    now = stamp(entry.path)  # a file that has vanished since then keeps its picks
    return same_size and (now is None or record.get("file") in (None, now))


def pick_one(picker: Picker, entry: MicrographEntry, job: Job, loaded: Loaded) -> Record:
    """Pick one micrograph, keep all its candidates and note it; draw it on request. InputErrors name the file."""
    settings, (image, pixel_size, file) = job.settings, loaded
    height, width = image.shape
    try:
        require_box((height, width), settings.box_size)
        require_patch((height, width), settings.particle_diameter / pixel_size, picker.model)
        candidates = picker.pick(image, pixel_size, settings.particle_diameter)
    except InputError as error:
        raise InputError(f"{entry.path}: {error}") from None
    record = {**describe(entry, (height, width), pixel_size, job.micrographs), "file": file}
    write_candidates_star(candidates_path(job.out, record["tree"], record["stem"]), candidates)
    if settings.overlay:
        draw(job, record, image, candidates)
    write_record(job.out, record)
    return record


def require_patch(shape: tuple[int, int], diameter_px: float, model: Model) -> None:
    """Raise InputError when a particle fits into an image (h, w) but a network's patch does not."""
    size = model.patches.size_px
    widths = [model.patches.particle_diameter_px]
    if model.preprocess.scale_rule == "diameter":
        widths.append(model.preprocess.particle_diameter_px)
    needed = size / min(widths)
    if diameter_px <= min(shape) < needed * diameter_px:
        raise InputError(
            f"the {shape[0]} x {shape[1]} image is {min(shape) / diameter_px:.1f} particle diameters wide, "
            f"less than the networks' {size} px patch ({needed:.1f} diameters); check the diameter and the "
            "pixel size, or leave this micrograph out"
        )


def require_box(shape: tuple[int, int], box_size: int | None) -> None:
    """Raise InputError when no extraction box (px) fits into an image (h, w)."""
    if box_size is not None and box_size > min(shape):
        raise InputError(f"the box of {box_size} px is larger than the {shape[0]} x {shape[1]} image; lower --box-size")


def describe(
    entry: MicrographEntry, shape: tuple[int, int], pixel_size: float, micrographs: MicrographList
) -> Record:
    """What a cut must know of a micrograph of `shape` (h, w)."""
    columns = micrographs.optics or {}
    groups = columns.get("rlnOpticsGroup", [])
    row = groups.index(entry.optics_group) if entry.optics_group in groups else None
    optics = {} if row is None else {label: values[row] for label, values in columns.items()}
    return {
        "name": entry.name,
        "path": os.path.abspath(entry.path),
        "tree": str(entry.tree),
        "stem": entry.stem,
        "shape": list(shape),
        "pixel_size": pixel_size,
        "optics": {**optics, PIXEL_SIZE: pixel_size},
        "ctf": micrographs.ctf.get(entry.name),
    }


def draw(job: Job, record: Record, image: np.ndarray, found: Candidates) -> None:
    """Write a picture of a micrograph (h, w) with its picks."""
    kept = kept_candidates(found, job.threshold, job.settings.box_size, record["shape"])
    caption = f"{record['stem']}: {kept.sum()} picks at figure of merit >= {job.threshold:g}"
    diameter_px = job.settings.particle_diameter / record["pixel_size"]
    picture = draw_picks(image, [(found.centres[kept], CYAN)], diameter_px, caption)
    save_picture(picture, overlay_path(job, record))
    record["drawn"] = [job.threshold, job.settings.box_size]


def overlay_path(job: Job, record: Record) -> Path:
    """Where the picture of a micrograph lies."""
    return job.out / OVERLAYS / record["tree"] / f"{record['stem']}.png"


def redraw(job: Job, records: list[Record]) -> None:
    """Draw the micrographs that have no picture yet, or one of another cut."""
    now = [job.threshold, job.settings.box_size]
    for record in records:
        if record.get("drawn") != now or not overlay_path(job, record).is_file():
            image, _ = read_micrograph(Path(record["path"]))
            found = read_candidates_star(candidates_path(job.out, record["tree"], record["stem"]))
            draw(job, record, image, found)
