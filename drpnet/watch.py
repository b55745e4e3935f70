"""Picking a folder that grows: what `drpnet pick --watch` does."""

import logging
import time
from dataclasses import replace
from pathlib import Path

from drpnet.errors import InputError
from drpnet.io.find import MicrographEntry, NoMicrographs, find_micrographs
from drpnet.ledger import failure_of, stamp
from drpnet.pick import check, pick, print_result
from drpnet.schema import PickSchema

log = logging.getLogger(__name__)
STOP = "STOP"
"""A file of this name in the pick folder ends the watch."""


class Whole:
    """Says which micrographs have not changed between two looks: the others may still be being written."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.before: dict[Path, list[int] | None] = {}
        self.now: dict[Path, list[int] | None] = {}

    def look(self, entries: tuple[MicrographEntry, ...]) -> list[MicrographEntry]:
        """Take note of every file as it is now; returns the micrographs that are whole and did not fail as they are."""
        self.before, self.now = self.now, {entry.path: stamp(entry.path) for entry in entries}
        return [entry for entry in entries if self(entry)]

    def __call__(self, entry: MicrographEntry) -> bool:
        """Whether a micrograph can be picked."""
        seen = self.now.get(entry.path)
        if seen is None or self.before.get(entry.path) != seen:
            return False
        return failure_of(self.out, entry.tree / entry.stem, entry.path) is None


def watch(settings: PickSchema) -> list[tuple[str, str]]:
    """Pick micrographs as they come until a file STOP lies in the pick folder; returns what failed (name, problem).

    A micrograph is picked when its size and time of change are the same at two looks, `settings.watch` seconds apart. The
    .star files are written anew after every round. A failed one is tried again when its file has changed. Raises InputError
    for settings that cannot work.
    """
    check(settings)
    out, seconds = Path(settings.out), settings.watch
    assert seconds is not None
    stop, whole = out / STOP, Whole(out)
    if stop.exists():
        raise InputError(f"{stop} is there, which ends a watch; remove it first")
    log.info("watching %s every %g s; touch %s ends it", settings.micrographs, seconds, stop)
    picked: dict[Path, list[int] | None] = {}
    failures: dict[str, str] = {}
    last_look = False
    while True:
        new = [entry for entry in whole.look(_found(settings)) if picked.get(entry.path) != whole.now[entry.path]]
        if new:
            result = pick(replace(settings, watch=None), ready=whole)
            failed = dict(result.failures)
            failures |= failed
            for entry in new:
                if entry.name not in failed:
                    failures.pop(entry.name, None)
                    picked[entry.path] = whole.now[entry.path]
            print_result(result, out)
        if last_look:
            return list(failures.items())
        last_look = stop.exists()  # what came before it is still picked, once it is whole
        time.sleep(seconds)


def _found(settings: PickSchema) -> tuple[MicrographEntry, ...]:
    """The micrographs that are there; a folder that is empty still may fill."""
    try:
        return find_micrographs(settings.micrographs).entries
    except NoMicrographs:
        return ()
