"""Picking a folder of micrographs: what `drpnet pick` and pick.py do."""

import hashlib
import logging
import math
import os
import re
import shlex
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from rich.table import Table

from drpnet import __version__
from drpnet.config import PreprocessConfig
from drpnet.cut import Cut, cut, parse_threshold
from drpnet.errors import InputError
from drpnet.io.find import MicrographEntry, MicrographList, find_micrographs
from drpnet.io.paths import MANIFEST
from drpnet.ledger import (
    Records,
    create_manifest,
    failure_of,
    manifest_text,
    parse_shard,
    read_manifest,
    read_records,
    write_failure,
    write_manifest,
)
from drpnet.model import Model, find_weights, load_model, save_model
from drpnet.picking import Job, describe, is_picked, load, pick_all, redraw
from drpnet.progress import bar, console, counted
from drpnet.schema import PickSchema, clear_errors, compose_config

log = logging.getLogger(__name__)
ADAPTED = "adapted.safetensors"
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
    records = claim(out, identity(settings))
    require_same_places(out, found, records)
    todo = [entry for entry in mine if not is_picked(out, entry, records, settings.pixel_size)]
    todo = [entry for entry in todo if ready is None or ready(entry)]
    if settings.shard is None and ready is None:
        tell_of_earlier(out, found, records, todo)
    classifier = "none" if model.classifier is None else f"as in the weights {settings.weights}"
    if settings.adapt is not None:
        model, classifier = adapt(model, settings, found, device, bool(todo))
    note = f"classifier: {classifier}"
    log.info("%d micrographs, device %s, weights %s, %s", len(todo), device, settings.weights, note)

    job = Job(settings, threshold, found)
    failures = pick_and_note(model, job, todo, device, note, between)
    records = read_records(out)  # what other programs have picked meanwhile, too
    refresh(found, records, todo)
    done = [entry for entry in found.entries if is_picked(out, entry, records, settings.pixel_size)]
    bad = failed(out, [entry for entry in found.entries if entry not in done])
    elsewhere = len(found.entries) - len(done) - len(bad)
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
    return result


def failed(out: Path, entries: Sequence[MicrographEntry]) -> list[tuple[str, str]]:
    """Name and problem of the micrographs, as they are now, that this or another program could not pick."""
    problems = ((entry.name, failure_of(out, entry.tree / entry.stem, entry.path)) for entry in entries)
    return [(name, problem) for name, problem in problems if problem is not None]


def share(entries: Sequence[MicrographEntry], shard: str | None) -> list[MicrographEntry]:
    """The micrographs of a shard `k/n`: by their names alone, so that a share stays the same when the folder grows."""
    part, parts = parse_shard(shard)
    return [
        entry for entry in entries
        if zlib.crc32((entry.tree / entry.stem).as_posix().encode()) % parts == part - 1
    ]  # fmt: skip


def find(settings: PickSchema) -> MicrographList:
    """The micrographs to pick; of a data set that is incomplete the error names its download."""
    try:
        return find_micrographs(settings.micrographs)
    except InputError as error:
        if settings.dataset is None or not settings.dataset.download:
            raise
        raise InputError(f"{error}, or complete the data set: {settings.dataset.download}") from None


def tell_of_earlier(out: Path, found: MicrographList, records: Records, todo: list[MicrographEntry]) -> None:
    """Say what an earlier run left in the folder: picked already, changed since, or no longer asked for."""
    places, again = {entry.tree / entry.stem for entry in found.entries}, {entry.tree / entry.stem for entry in todo}
    kept, changed, gone = len(found.entries) - len(todo), again & set(records), set(records) - places
    if kept:
        log.info("%d micrographs are already picked in %s and are not picked again", kept, out)
    if changed:
        log.info("%d micrographs, such as %s, changed since and are picked again", len(changed), min(changed))
    if gone:
        log.warning(
            "%d micrographs, such as %s, were picked into %s before and are not in the source now; their picks stay there. "
            "For picks of these micrographs alone choose another --out", len(gone), min(gone), out,
        )  # fmt: skip


def refresh(found: MicrographList, records: Records, todo: list[MicrographEntry]) -> None:
    """Optics and CTF of micrographs that are picked already, as the source gives them now."""
    again = {entry.tree / entry.stem for entry in todo}
    for entry in found.entries:
        place = entry.tree / entry.stem
        if place in records and place not in again:
            before = records[place]
            records[place] = before | describe(entry, tuple(before["shape"]), before["pixel_size"], found)


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
    model: Model, job: Job, todo: list[MicrographEntry], device: str, note: str, between: Callable[[], None] | None = None
) -> list[tuple[str, str]]:
    """Pick what is to do, each noted in the pick folder as it is done; returns the failures.

    run.json is there before the first micrograph: a later search knows the folder by it.
    """
    create_manifest(job.out, manifest_text(manifest(job.settings, {}, [], note)))
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


def identity(settings: PickSchema) -> dict[str, Any]:
    """The settings that decide the candidates; a folder holds the candidates of one such set only."""
    digest = hashlib.sha256(find_weights(settings.weights).read_bytes()).hexdigest()[:16]
    return {
        "particle_diameter": settings.particle_diameter,
        "pixel_size": settings.pixel_size,
        "weights_sha256": digest,
        "classifier": settings.classifier,
        "adapt": settings.adapt,
        "min_distance": settings.min_distance,
        "negative_stain": settings.negative_stain,
        "preprocess": asdict(settings.preprocess) if settings.preprocess else None,
        "detection": asdict(settings.detection) if settings.detection else None,
        "network": {"fcrn": settings.network.fcrn, "classifier": settings.network.classifier},
        "seed": settings.seed,
    }


def claim(out: Path, parameters: dict[str, Any]) -> Records:
    """Start or continue a pick folder; InputError when other settings made what lies there."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder for the picks")
    if not (out / MANIFEST).exists():
        return {}
    before, records = read_manifest(out), read_records(out)
    if not records and before["parameters"] != parameters:
        (out / ADAPTED).unlink(missing_ok=True)  # a run that picked nothing binds nobody
        (out / MANIFEST).unlink(missing_ok=True)
        return {}
    for key in parameters:
        old, new = before["parameters"].get(key), parameters[key]
        if old != new:
            raise InputError(
                f"{out} holds picks made with {key} {old}, now {key} is {new}; choose another --out or move "
                "that folder away (the threshold alone: drpnet threshold)"
            )
    return records


def require_same_places(out: Path, found: MicrographList, records: Records) -> None:
    """Raise InputError for a micrograph that is picked already under another name: its particles would count twice."""
    places: dict[str, list[Path]] = {}
    for place, record in records.items():
        places.setdefault(os.path.realpath(record["path"]), []).append(place)
    for entry in found.entries:
        before = places.get(os.path.realpath(entry.path))
        if before and entry.tree / entry.stem not in before:
            raise InputError(
                f"{out} holds the picks of {entry.path} as {before[0]}, now they would be {entry.tree / entry.stem}; "
                "give the micrographs as before (the same folder, glob or star) or choose another --out"
            )


def choose_device(name: str) -> str:
    """`auto` takes a GPU when there is one; asking for one that is not there is an InputError."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"device {name!r} cannot be used: {reason}; use --device cpu or auto") from None
    return name


def prepare_model(settings: PickSchema) -> Model:
    """The weights with the profile and the options of this run."""
    with clear_errors():
        model = load_model(
            settings.weights,
            fcrn=instantiate(settings.network.fcrn) if settings.network.fcrn else None,
            classifier=instantiate(settings.network.classifier) if settings.network.classifier else None,
        )
    preprocess: PreprocessConfig = settings.preprocess or model.preprocess
    if preprocess != model.preprocess:
        log.warning(
            "the weights %s were NOT trained with this profile's preprocessing and will find little or nothing; "
            "give --weights of a training with the same profile", settings.weights,
        )  # fmt: skip
    detection = settings.detection or model.detection
    if settings.min_distance is not None:
        distance = settings.min_distance / settings.particle_diameter
        detection = replace(detection, minimum_distance_diameters=distance)
    if settings.negative_stain:
        preprocess = replace(preprocess, negative_stain=True)
    classifier = model.classifier if settings.classifier else None
    return replace(model, preprocess=preprocess, detection=detection, classifier=classifier)


def adapt(
    model: Model, settings: PickSchema, found: MicrographList, device: str, needed: bool
) -> tuple[Model, str]:
    """The model with a classifier trained, without labels, on some of these micrographs (paper 3.3.2).

    Their number is `settings.adapt`. A continued folder keeps its classifier; where nothing is left to pick
    none is `needed`.
    """
    kept = Path(settings.out) / ADAPTED
    count = min(settings.adapt or 0, len(found.entries))
    words = f"adapted without labels on {count} of these micrographs"
    if kept.is_file() or not needed:
        if not needed:
            return model, words
        before = load_model(kept)
        changed = {name: getattr(before, name) for name in ("classifier", "patches", "calibration")}
        return replace(model, **changed), words
    from drpnet.train import adapt_classifier  # Lightning takes seconds to import; only adapting needs it

    micrographs = []
    for place in np.linspace(0, len(found.entries) - 1, count).round().astype(int):
        try:
            micrographs.append(load(found.entries[place], settings.pixel_size)[:2])
        except InputError as error:
            log.warning("not used for adapting: %s", error)
    if not micrographs:
        raise InputError("none of the micrographs chosen for --adapt can be read; give a larger number")
    log.info("adapting the classifier, without labels, on %d of these micrographs", len(micrographs))
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    config = compose_config("train", ["model=classifier", f"seed={settings.seed}", *_trainer(device)])
    model = adapt_classifier(model, micrographs, settings.particle_diameter, config, device)
    save_model(model, kept)
    return model, words


def _trainer(device: str) -> list[str]:
    """Lightning's words for a device."""
    kind, _, number = device.partition(":")
    accelerator = {"cuda": "gpu"}.get(kind, kind)
    return [f"trainer.accelerator={accelerator}", *([f"trainer.devices=[{number}]"] if number else [])]


def manifest(
    settings: PickSchema, records: Records, failures: list[tuple[str, str]], note: str
) -> dict[str, Any]:
    """What run.json says of a run; everything that a later cut and an evaluation need."""
    star = settings.micrographs if settings.micrographs.lower().endswith(".star") else None
    return {
        "drpnet": __version__,
        "parameters": identity(settings),
        "weights": settings.weights,
        "box_size": settings.box_size,
        "micrographs_star": star,
        "note": note,
        "failures": failures,
        "micrographs": [records[place] for place in sorted(records)],
    }


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
