"""Download a subset of an entry: plan, check the disk, fetch in parallel, record, check what was got."""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from drpnet.archive import ArchiveEntry
from drpnet.config import DatasetConfig
from drpnet.download.client import Client, Stopped
from drpnet.download.plan import Wanted, parse_subset, plan
from drpnet.download.record import Record, alone, require_space, size_text
from drpnet.download.transfer import Damaged, begun_bytes, check_file, clear, fetch
from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import split_suffix
from drpnet.progress import console, transfer_bar

log = logging.getLogger(__name__)
_FAILURES = 5
"""So many files in a row that cannot be had end the download."""


@dataclass(frozen=True)
class Summary:
    """What is there now: how many files, of how many bytes, how many of them came with this call."""

    files: int
    bytes: int
    fetched: int


def download(
    dataset: DatasetConfig, entry: ArchiveEntry, subset: str = "all", workers: int = 4, pause: float = 1.0
) -> Summary:
    """Have the files of a subset below `dataset.root`, each whole and checked or not there at all.

    What is there already is not fetched again; once a subset is complete, nothing is asked of the archive. An
    interrupted call leaves .part files, from which the next one goes on. Raises InputError for a wrong subset, a
    full disk and files that cannot be had, after all others were fetched; KeyboardInterrupt with a message.
    """
    parse_subset(subset)
    if not 1 <= workers <= 16:
        raise InputError(f"--workers is {workers}; use 1 to 16 (the archive slows down beyond 8)")
    root = Path(dataset.root)
    with alone(root), _resumable():
        record, key = Record(root, entry.entry), _key(dataset, entry, subset)
        if record.is_complete(key):
            places = record.subsets[key]
            return Summary(len(places), sum(record.files[place]["size"] for place in places), 0)
        client = Client(pause=pause)
        _say(f"{dataset.name}: reading the archive's index at {entry.page}")
        wanted = _sized(client, plan(dataset, entry, subset, _sums(entry), client.page), workers)
        missing = [item for item in wanted if not record.has(item.place)]
        fresh = [item for item in missing if not (root / item.place).exists()]
        needed = sum((item.most or item.least) - begun_bytes(root / item.place) for item in fresh)
        _say(
            f"{dataset.name}: {len(wanted)} files, about {size_text(sum(item.guess for item in wanted))}, into {root}; "
            f"{len(wanted) - len(fresh)} are there, about {size_text(max(0, needed))} to fetch"
        )
        require_space(root, needed, dataset.name, subset)
        fetched = _fetch_all(client, root, missing, record, dataset.name, workers)
        record.subsets[key] = [item.place for item in wanted]
        record.save()
        _look_over(root, entry, subset, wanted)
    return Summary(len(wanted), sum(record.files[item.place]["size"] for item in wanted), fetched)


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _resumable() -> Iterator[None]:
    """An interruption says how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(str(stop) or "the same command goes on from here") from None


def _key(dataset: DatasetConfig, entry: ArchiveEntry, subset: str) -> str:
    """What a subset is called in the record: its name with the facts that say which files it has."""
    globs = [f"{folder}={glob}" for folder, glob in sorted(entry.coordinates.items())]
    return " ".join([subset, dataset.micrographs, dataset.coordinates or "-", entry.micrographs, *globs])


def _sums(entry: ArchiveEntry) -> dict[str, str]:
    """MD5 sums by file name."""
    if not entry.checksums:
        return {}
    lines = (files("drpnet.download") / entry.checksums).read_text().splitlines()
    return {name: md5 for md5, name in (line.split() for line in lines)}


def _sized(client: Client, wanted: list[Wanted], workers: int) -> list[Wanted]:
    """The files with the size that the server says, where the index page said none."""

    def ask(item: Wanted) -> Wanted:
        size = client.persist(lambda: client.size(item.url), item.url) if item.most is None else None
        return item if size is None else replace(item, least=size, most=size)

    pool = ThreadPoolExecutor(workers)
    try:
        return list(pool.map(ask, wanted))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch_all(
    client: Client, root: Path, missing: Sequence[Wanted], record: Record, name: str, workers: int
) -> int:
    """Fetch with `workers` threads; how many files came. InputError when some did not."""
    tasks: queue.Queue[Wanted] = queue.Queue()
    results: queue.Queue[tuple[Wanted, dict[str, Any] | BaseException]] = queue.Queue()
    for item in missing:
        tasks.put(item)
    failures: list[str] = []
    in_a_row = fetched = 0
    with transfer_bar() as bar:
        total = sum(item.guess for item in missing)
        task = bar.add_task(name, total=total, completed=sum(begun_bytes(root / item.place) for item in missing))

        def work() -> None:
            while not client.stop.is_set():
                try:
                    item = tasks.get_nowait()
                except queue.Empty:
                    return
                try:
                    results.put((item, _have(client, root, item, lambda n: bar.advance(task, n))))
                except BaseException as error:  # handed to the thread that waits
                    results.put((item, error))

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(missing)))]
        for thread in threads:
            thread.start()
        try:
            for done in range(1, len(missing) + 1):
                item, result = results.get()
                if isinstance(result, InputError):
                    failures.append(str(result))
                    in_a_row += 1
                    if in_a_row >= _FAILURES:
                        break
                    continue
                if isinstance(result, OSError):
                    why = result.strerror or result
                    raise InputError(f"{root / item.place} cannot be written ({why}); make room and run again")
                if isinstance(result, BaseException):
                    raise result
                in_a_row = 0
                fetched += result.pop("fetched")
                record.files[item.place] = result
                total += result["size"] - item.guess
                bar.update(task, total=total, description=f"{name} {done}/{len(missing)} files")
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{fetched} files came whole, the begun ones stay beside them as .part; "
                "the same command goes on from there"
            ) from None
        finally:
            client.stop.set()
            for thread in threads:
                thread.join(timeout=2)
            with suppress(OSError):
                record.save()
    if failures:
        left = len(missing) - sum(record.has(item.place) for item in missing)
        raise InputError(f"{left} of {len(missing)} files could not be fetched, first {failures[0]}")
    return fetched


def _have(client: Client, root: Path, item: Wanted, count: Callable[[int], None]) -> dict[str, Any]:
    """Make sure of one file: check it where it is there, else fetch it; what is to be recorded of it."""
    target = root / item.place

    def check(path: Path) -> None:
        check_file(path, target.name, item.least, item.most, item.md5)

    if target.exists():
        try:
            check(target)
            size = target.stat().st_size
            clear(target)
            count(size)
            return {"size": size, "url": item.url, "fetched": False}
        except Damaged as damage:
            log.warning("%s is there, but %s; fetching it again", target, damage)
    told = fetch(client, item.url, target, check, count)
    if client.stop.is_set() and not target.exists():
        raise Stopped
    return {**told, "url": item.url, "fetched": True}


def _look_over(root: Path, entry: ArchiveEntry, subset: str, wanted: Sequence[Wanted]) -> None:
    """Warn where the numbers of micrographs and particles are not those that the facts say."""
    everything, count = parse_subset(subset)
    micrographs = Counter(bool(split_suffix(item.place)[1]) for item in wanted)[True]
    if count is None and entry.micrograph_count not in (0, micrographs):
        log.warning("the archive has %d micrographs, %d were expected", micrographs, entry.micrograph_count)
    for folder, expected in entry.particle_counts.items() if everything else ():
        try:
            found = sum(len(coordinates.centres) for coordinates in read_coordinate_set(root / folder).values())
        except InputError as error:
            log.warning("the coordinates came, but cannot be read: %s", error)
            continue
        if found != expected:
            log.warning("%s holds %d particles, %d were expected", root / folder, found, expected)
