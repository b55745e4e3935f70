"""Picking a folder of micrographs: what `drpnet pick` and pick.py do."""

import logging
import math
import re
import shlex
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.table import Table

from drpnet.cascade import Picker
from drpnet.cut import Cut, cut, parse_threshold
from drpnet.diameter import better_diameter
from drpnet.errors import InputError
from drpnet.io.find import MicrographEntry, MicrographList, find_micrographs
from drpnet.io.paths import MANIFEST
from drpnet.ledger import (
    parse_shard,
    read_manifest,
    read_records,
    write_failure,
    write_manifest,
)
from drpnet.model import Model
from drpnet.pick_folder import claim, failed, manifest, refresh, require_same_places, tell_of_earlier
from drpnet.pick_many import pick_all
from drpnet.picking import Job, is_picked, load, redraw
from drpnet.prepare import adapt, choose_device, device_words, prepare_model
from drpnet.progress import bar, console, counted
from drpnet.schema import PickSchema

log = logging.getLogger(__name__)
MOST_SHOWN = 20
"""Problems on the screen; run.json has all."""


@dataclass(frozen=True)
class PickResult:
    """A finished run: the cut, what failed (name, message) and how long it took.

    `cut` is None where other programs have still to pick: the last of them cuts, or `drpnet pick` without a shard.
    """

    cut: Cut | None
    failures: list[tuple[str, str]]
    seconds: float
    elsewhere: int = 0
    """Micrographs that other programs have still to pick."""


def pick(
    settings: PickSchema, ready: Callable[[MicrographEntry], bool] | None = None, between: Callable[[], None] | None = None
) -> PickResult:
    """Pick every micrograph, keep all candidates, write the cut; one bad micrograph never stops the others.

    What the folder `settings.out` holds is not picked again. With `settings.shard` only a share is picked; `ready` leaves
    out micrographs that must wait; `between` is called after every micrograph and ends the run with what it raises.
    Raises InputError when nothing can be picked.
    """
    started = time.time()
    settings = of_dataset(settings)
    check(settings)
    threshold = parse_threshold(settings.threshold, settings.preset)
    found = find(settings)
    mine = share(found.entries, settings.shard)
    device = choose_device(settings.device)
    model = prepare_model(settings)
    out = Path(settings.out)
    note = f"classifier: {classifier_words(settings, model, len(found.entries))}"
    records = claim(settings, note)
    require_same_places(out, found, records)
    todo = [entry for entry in mine if not is_picked(out, entry, records, settings.pixel_size)]
    todo = [entry for entry in todo if ready is None or ready(entry)]
    if settings.shard is None and ready is None:
        tell_of_earlier(out, found, records, todo)
    if settings.adapt is not None:
        model = adapt(model, settings, found, device, needed=bool(todo))
    words = device_words(device, settings.device)
    log.info("%d micrographs, device %s, weights %s, %s", len(todo), words, settings.weights, note)

    job = Job(settings, threshold, found)
    began = time.time()
    failures = pick_and_note(model, job, todo, device, between)
    speed = speed_words(len(todo) - len(failures), time.time() - began)
    if speed:
        log.info("%s on %s", speed, words)
    records = read_records(out)  # what other programs have picked meanwhile, too
    refresh(found, records, todo)
    done: list[MicrographEntry] = []
    left: list[MicrographEntry] = []
    for entry in found.entries:
        (done if is_picked(out, entry, records, settings.pixel_size) else left).append(entry)
    bad = failed(out, left)
    elsewhere = len(left) - len(bad)
    if (elsewhere and settings.shard is not None) or (not done and ready is not None):
        return PickResult(None, failures, time.time() - started, elsewhere)
    if not done:
        why = failures[0][1] if failures else "they wait, or failed in another run"
        raise InputError(f"none of the {len(found.entries)} micrographs could be picked; the first: {why}")
    write_manifest(out, manifest(settings, records, bad, note))
    result = PickResult(cut(out, threshold), failures, time.time() - started, elsewhere)
    if settings.overlay:
        redraw(job, [records[entry.tree / entry.stem] for entry in done])
        write_manifest(out, {**read_manifest(out), "micrographs": [records[place] for place in sorted(records)]})
    comparable = model.preprocess.scale_rule == "diameter" and settings.min_distance is None  # at other diameters, too
    if todo and ready is None and result.cut is not None and comparable:
        warn_of_diameter(Picker(model, device), job, done, result.cut)
    return result


def warn_of_diameter(picker: Picker, job: Job, done: list[MicrographEntry], found: Cut) -> None:
    """A line where, on the micrograph with the median number of picks, another particle diameter finds far more."""
    entry = sorted(done, key=lambda one: found.picks.get(one.name, 0))[len(done) // 2]
    given = job.settings.particle_diameter
    try:
        image, pixel_size, _ = load(entry, job.settings.pixel_size)
        other = better_diameter(picker, image, pixel_size, given, job.threshold)
    except Exception as error:  # all picks are written, and whatever happens to a hint must not spoil them
        log.debug("other diameters were not looked at: %s", error)
        return
    if other is not None:
        log.warning(
            "is the particle diameter right? On %s, %g Angstrom finds %d picks, the given %g only %d; pick a few micrographs "
            "with it into another folder and look", entry.name, other.diameter, other.picks, given, other.given_picks,
        )  # fmt: skip


def speed_words(picked: int, seconds: float) -> str:
    """How fast micrographs were picked; nothing where none were."""
    if not picked:
        return ""
    each = seconds / picked
    pace = f"{each:.2g} s a micrograph" if each >= 0.5 else f"{1 / each:.2g} micrographs a second"
    return f"picked {picked} in {seconds:.1f} s, {pace},"


def share(entries: Sequence[MicrographEntry], shard: str | None) -> list[MicrographEntry]:
    """The micrographs of a shard `k/n`: by their names alone, so that a share stays the same when the folder grows."""
    part, parts = parse_shard(shard)
    return [
        entry for entry in entries
        if zlib.crc32((entry.tree / entry.stem).as_posix().encode()) % parts == part - 1
    ]  # fmt: skip


def classifier_words(settings: PickSchema, model: Model, count: int) -> str:
    """Which classifier picks, for whoever reads the scores."""
    if settings.adapt is not None:
        return f"adapted without labels on {min(settings.adapt, count)} of these micrographs"
    return "none" if model.classifier is None else f"as in the weights {settings.weights}"


def find(settings: PickSchema) -> MicrographList:
    """The micrographs to pick; of a data set that is incomplete the error names its download."""
    try:
        return find_micrographs(settings.micrographs)
    except InputError as error:
        if settings.dataset is None or not settings.dataset.download:
            raise
        raise InputError(f"{error}, or complete the data set: {settings.dataset.download}") from None


def of_dataset(settings: PickSchema) -> PickSchema:
    """The settings with what lies on disk of the data set they name: the entry, or its stand-in, which says so."""
    if settings.dataset is None:
        return settings
    from drpnet.datasets import on_disk  # the simulation's physics take seconds to import

    with counted("Simulating micrographs") as progress:
        facts = on_disk(settings.dataset, progress)
    if not facts.simulated:
        return settings
    return replace(settings, micrographs=str(Path(facts.root) / facts.micrographs), pixel_size=facts.pixel_size)


def pick_and_note(
    model: Model, job: Job, todo: list[MicrographEntry], device: str, between: Callable[[], None] | None = None
) -> list[tuple[str, str]]:
    """Pick what is to do, each noted in the pick folder as it is done; returns the failures."""
    failures: list[tuple[str, str]] = []
    with bar() as progress:
        task = progress.add_task("Picking", total=len(todo), visible=bool(todo))
        for entry, record, problem in pick_all(model, job, todo, device):
            progress.advance(task)
            if record is None:
                failures.append((entry.name, problem))
                write_failure(job.out, entry.tree / entry.stem, entry.path, problem)
                if len(failures) <= MOST_SHOWN:
                    progress.console.print(f"[yellow]skipped[/] {problem}", highlight=False, soft_wrap=True)
            if between is not None:
                between()
    return failures


def check(settings: PickSchema) -> None:
    """Raise InputError for settings that cannot work."""
    for name in ("micrographs", "out"):
        if not getattr(settings, name).strip():
            raise InputError(f"{name} is empty; name the folder ('.' is the current one)")
    if re.search("[\"'\n\r]", settings.out):
        raise InputError(f"out is {settings.out!r}: STAR files hold no quote and no line break; take another name")
    for name in ("particle_diameter", "pixel_size", "box_size", "adapt", "workers"):
        value = getattr(settings, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} is {value}; it must be a number above 0")
    parse_shard(settings.shard)
    if settings.watch is not None:
        if not 0 < settings.watch < math.inf:
            raise InputError(f"watch is {settings.watch}; give the seconds between two looks, above 0")
        if settings.adapt is not None or settings.dataset is not None:
            raise InputError("watch follows a folder; it cannot adapt, nor pick a data set: leave one of the two away")
    if settings.min_distance is not None and not 0 <= settings.min_distance < math.inf:
        raise InputError(f"min_distance is {settings.min_distance}; give Angstrom, 0 or more")
    if settings.adapt is not None and settings.shard is not None:
        raise InputError(
            "adapt and shard exclude each other: every share would train a classifier of its own; adapt on a few "
            "micrographs first and give the adapted.safetensors of that folder as weights"
        )
    if settings.adapt is not None and not settings.classifier:
        raise InputError("adapt trains a classifier, but none was asked for; leave one of the two away")


def print_result(result: PickResult, out: Path) -> None:
    """The closing table, and what could not be picked."""
    if result.cut is not None:
        _print_cut(result.cut, result, out)
    elif result.elsewhere:
        console.print(
            f"this share is done in {result.seconds:.1f} s; {result.elsewhere} micrographs are still to be picked by others, "
            f"the last of them writes the .star files of {out}", highlight=False, soft_wrap=True,
        )  # fmt: skip
    for _, problem in result.failures[:MOST_SHOWN]:
        console.print(f"[red]not picked[/red] {problem}", highlight=False, soft_wrap=True)
    if len(result.failures) > MOST_SHOWN:
        rest = len(result.failures) - MOST_SHOWN
        console.print(f"[red]not picked[/red] {rest} more, named in {out / MANIFEST}", highlight=False, soft_wrap=True)


def _print_cut(cut: Cut, result: PickResult, out: Path) -> None:
    counts = list(cut.picks.values())
    merit = f"figure of merit >= {cut.threshold:g}"
    table = Table(title=f"Picks in {out}", show_header=False)
    table.add_row("micrographs picked", str(len(counts)))
    table.add_row("picks", f"{sum(counts)} of {cut.candidates} candidates, {merit}")
    spread = f"median {np.median(counts):.0f}, fewest {min(counts)}, most {max(counts)}"
    table.add_row("per micrograph", spread)
    table.add_row("seconds", f"{result.seconds:.1f}")
    if result.failures:
        table.add_row("[red]not picked[/red]", str(len(result.failures)))
    console.print(table)
    if cut.candidates and not sum(counts):
        command = f"drpnet threshold {shlex.quote(str(out))} --at {cut.best / 2:.2g}"
        best = f"the best candidate has {cut.best:.2g}; {command}"
        console.print(f"[yellow]no pick[/] reaches the {merit}: {best} shows some", highlight=False, soft_wrap=True)
