"""Micrographs after each other in this process, or in several at once; what goes wrong with one stops no other."""

import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.synchronize import Event

import loky
import torch
from loky.backend import get_context

from drpnet.cascade import Picker
from drpnet.errors import InputError
from drpnet.io.find import MicrographEntry
from drpnet.ledger import Record
from drpnet.model import Model
from drpnet.picking import Job, Loaded, load, pick_one

log = logging.getLogger(__name__)

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
    end_with(parent)
    torch.set_num_threads(threads)
    _worker = Picker(model, device), job, stop


def end_with(parent: int) -> None:
    """Let this process, a worker, end soon after its program: of one that was killed it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
