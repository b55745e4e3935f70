"""Picking micrographs one by one, in this process or in several."""

import errno
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import loky
import numpy as np
import torch
from loky.backend import get_context

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


Outcome = tuple[MicrographEntry, Record | None, str]
"""A micrograph with its record, or with what went wrong."""


def pick_all(model: Model, job: Job, todo: list[MicrographEntry], device: str) -> Iterator[Outcome]:
    """Pick micrographs in this process or in `workers`; InputError when a worker dies."""
    workers = min(job.settings.workers, len(todo))
    if workers > 1:
        yield from _pick_in_workers(model, job, todo, device, workers)
    elif todo:
        picker = Picker(model, device)
        for entry, read in _read_ahead(todo, job.settings.pixel_size):
            try:
                yield entry, pick_one(picker, entry, job, read()), ""
            except Exception as error:
                yield entry, None, _problem(entry, error)


def _read_ahead(
    todo: list[MicrographEntry], pixel_size: float | None
) -> Iterator[tuple[MicrographEntry, Callable[[], Loaded]]]:
    """Every micrograph with what waits for it; the next one is read while the networks work on this one."""
    reader = ThreadPoolExecutor(1)
    try:
        waiting: list[tuple[MicrographEntry, Future[Loaded]]] = []
        for entry in todo:
            waiting.append((entry, reader.submit(load, entry, pixel_size)))
            if len(waiting) > 1:
                now, future = waiting.pop(0)
                yield now, future.result
        for now, future in waiting:
            yield now, future.result
    finally:
        reader.shutdown(wait=False, cancel_futures=True)


FATAL = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or have your quota raised",
    errno.EROFS: "make that disk writable",
    errno.EIO: "see whether that disk is sound",
}
"""What keeps every other micrograph from being written, too, and what to do about it."""


def _problem(entry: MicrographEntry, error: Exception) -> str:
    """What went wrong with one micrograph, in a line; a defect of drpnet says so and is traced in the log.

    Raises InputError for what will go wrong with every other one.
    """
    if isinstance(error, OSError) and error.errno in FATAL:
        raise InputError(
            f"{error.filename or entry.path}: {error.strerror}; {FATAL[error.errno]} and run the same command again to go on"
        ) from None
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return f"{entry.path} does not fit into memory; use fewer --workers or --device cpu"
    if isinstance(error, OSError):
        return f"{entry.path}: {error.strerror or error} ({error.filename2 or error.filename or 'input or output'})"
    log.debug("unexpected", exc_info=error)
    reason = " ".join(str(error).split())[:200]
    return f"{entry.path}: unexpected {type(error).__name__}: {reason}; please report it"


_worker: tuple[Picker, Job, Event] | None = None


def _start_worker(model: Model, job: Job, device: str, threads: int, stop: Event, parent: int) -> None:
    global _worker
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    _worker = Picker(model, device), job, stop


def _end_with(parent: int) -> None:
    """End this worker when its program has been killed: it would wait for the next micrograph for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work(entry: MicrographEntry) -> Record:
    assert _worker is not None
    picker, job, stop = _worker
    if stop.is_set():
        raise CancelledError
    return pick_one(picker, entry, job, load(entry, job.settings.pixel_size))


def _pick_in_workers(
    model: Model, job: Job, todo: list[MicrographEntry], device: str, workers: int
) -> Iterator[Outcome]:
    """Each worker process has its own copy of the networks and its share of the processor's cores.

    After a Ctrl-C a worker ends its micrograph and does not take another. loky's pool, since
    that of the standard library hangs when a worker is killed while another starts.
    """
    threads = max(1, torch.get_num_threads() // workers)
    stop = get_context().Event()
    pool = loky.ProcessPoolExecutor(
        workers, initializer=_start_worker, initargs=(model, job, device, threads, stop, os.getpid())
    )
    broken = False
    try:
        with _interrupts_ignored():  # which the workers that start here inherit
            futures: dict[Future[Record], MicrographEntry] = {pool.submit(_work, entry): entry for entry in todo}
        for future in as_completed(futures):
            entry = futures[future]
            try:
                yield entry, future.result(), ""
            except BrokenProcessPool:
                raise
            except Exception as error:
                yield entry, None, _problem(entry, error)
    except BrokenProcessPool:  # while micrographs are handed out, too: a worker can die at its start
        broken = True
        raise InputError(
            f"a worker process died (killed, or out of memory?) with {workers} workers; "
            "run the same command again to go on, with fewer --workers"
        ) from None
    finally:
        stop.set()
        pool.shutdown(kill_workers=broken)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C for a moment; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
