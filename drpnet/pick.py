"""Picking a folder of micrographs: what `drpnet pick` and pick.py do."""

import logging
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from rich.table import Table

from drpnet import __version__
from drpnet.cascade import Picker
from drpnet.cut import Cut, candidates_path, cut, parse_threshold, read_manifest, write_manifest
from drpnet.errors import InputError
from drpnet.io.find import MicrographEntry, MicrographList, find_micrographs
from drpnet.io.micrographs import read_micrograph, read_shape
from drpnet.io.picks import read_candidates_star, write_candidates_star
from drpnet.model import Model, find_weights, load_model, save_model
from drpnet.overlay import CYAN, draw_picks, save_picture
from drpnet.progress import bar, console
from drpnet.schema import PickSchema

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PickResult:
    """A finished run: the cut, what failed (name, message) and how long it took."""

    cut: Cut
    failures: list[tuple[str, str]]
    seconds: float


def pick(settings: PickSchema) -> PickResult:
    """Pick every micrograph, keep all candidates, write the cut; one bad micrograph never stops the others."""
    started = time.time()
    check(settings)
    threshold = parse_threshold(settings.threshold, settings.preset)
    found = find_micrographs(settings.micrographs)
    device = choose_device(settings.device)
    model = prepare_model(settings)
    out = Path(settings.out)
    parameters = identity(settings)
    _claim(out, parameters)

    classifier = "none" if model.classifier is None else f"that of the weights {settings.weights!r}"
    if settings.adapt is not None:
        model, classifier = adapt(model, settings, found, device)
    log.info("%d micrographs, device %s, weights %s, classifier: %s", len(found.entries), device, settings.weights, classifier)

    todo = [entry for entry in found.entries if not candidates_path(out, str(entry.tree), entry.stem).is_file()]
    if len(todo) < len(found.entries):
        log.info("%d micrographs are already picked in %s and are not picked again", len(found.entries) - len(todo), out)
    failures = []
    with bar() as progress:
        task = progress.add_task("Picking", total=len(todo))
        for name, problem in _pick_all(model, settings, todo, device):
            progress.advance(task)
            if problem:
                failures.append((name, problem))
                progress.console.print(f"[yellow]skipped[/yellow] {problem}", highlight=False, soft_wrap=True)
    failed = {name for name, _ in failures}
    done = [entry for entry in found.entries if entry.name not in failed]
    if not done:
        raise InputError(f"none of the {len(found.entries)} micrographs could be picked; the first: {failures[0][1]}")
    write_manifest(out, manifest(settings, parameters, found, done, failures, classifier))
    result = PickResult(cut(out, threshold), failures, time.time() - started)
    if settings.overlay:
        for entry in done:
            draw_overlay(out, entry, settings, threshold)
    return result


def check(settings: PickSchema) -> None:
    """Raise InputError for settings that cannot work."""
    positive = ("particle_diameter", "pixel_size", "min_distance", "box_size", "adapt", "workers")
    for name in positive:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise InputError(f"{name} is {value}; it must be above 0")


def identity(settings: PickSchema) -> dict[str, Any]:
    """The settings that decide the candidates; a folder holds the candidates of one such set only."""
    return {
        "particle_diameter": settings.particle_diameter,
        "pixel_size": settings.pixel_size,
        "weights": str(settings.weights),
        "weights_bytes": find_weights(settings.weights).stat().st_size,
        "classifier": settings.classifier,
        "adapt": settings.adapt,
        "min_distance": settings.min_distance,
        "box_size": settings.box_size,
        "negative_stain": settings.negative_stain,
        "preprocess": asdict(settings.preprocess) if settings.preprocess else None,
        "detection": asdict(settings.detection) if settings.detection else None,
        "seed": settings.seed,
    }


def _claim(out: Path, parameters: dict[str, Any]) -> None:
    """Start or continue a pick folder; InputError when other settings made what lies there."""
    if (out / "run.json").exists():
        before = read_manifest(out)["parameters"]
        changed = [key for key in parameters if before.get(key) != parameters[key]]
        if changed:
            key = changed[0]
            raise InputError(
                f"{out} holds picks made with {key} {before.get(key)}, now {key} is {parameters[key]}; "
                "choose another --out, or move that folder away (to move the threshold alone: drpnet threshold)"
            )
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "run.json").exists():
        write_manifest(out, {"parameters": parameters, "micrographs": [], "optics": None})


def choose_device(name: str) -> str:
    """`auto` takes a GPU when there is one; asking for a GPU that is not there is an error, never a silent fall-back."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}; use --device cpu or auto") from None
    return name


def prepare_model(settings: PickSchema) -> Model:
    """The weights with the profile and the options of this run."""
    model = load_model(
        settings.weights,
        fcrn=instantiate(settings.network.fcrn) if settings.network.fcrn else None,
        classifier=instantiate(settings.network.classifier) if settings.network.classifier else None,
    )
    if settings.preprocess is not None:
        if settings.preprocess != model.preprocess:
            log.warning("the profile's preprocessing differs from the one that the weights %s were trained with", settings.weights)
        model = replace(model, preprocess=settings.preprocess)
    if settings.detection is not None:
        model = replace(model, detection=settings.detection)
    if not settings.classifier:
        model = replace(model, classifier=None)
    if settings.negative_stain:
        model = replace(model, preprocess=replace(model.preprocess, negative_stain=True))
    if settings.min_distance is not None:
        distance = settings.min_distance / settings.particle_diameter
        model = replace(model, detection=replace(model.detection, minimum_distance_diameters=distance))
    return model


def adapt(model: Model, settings: PickSchema, found: MicrographList, device: str) -> tuple[Model, str]:
    """The model with a classifier trained, without labels, on `settings.adapt` of these micrographs (paper 3.3.2)."""
    from drpnet.train import adapt_classifier  # Lightning takes seconds to import, and only adapting needs it

    count = min(settings.adapt or 0, len(found.entries))
    chosen = [found.entries[i] for i in np.linspace(0, len(found.entries) - 1, count).round().astype(int)]
    log.info("adapting the classifier, without labels, on %d of these micrographs", count)
    micrographs = []
    for entry in chosen:
        try:
            micrographs.append(load(entry, settings.pixel_size))
        except InputError as error:
            log.warning("not used for adapting: %s", error)
    if not micrographs:
        raise InputError("none of the micrographs chosen for --adapt can be read")
    adapted = adapt_classifier(model, micrographs, settings.particle_diameter, settings.seed, device)
    save_model(adapted, Path(settings.out) / "adapted.safetensors")
    return adapted, f"adapted without labels on {len(micrographs)} of these micrographs"


def load(entry: MicrographEntry, pixel_size: float | None) -> tuple[np.ndarray, float]:
    """Image (h, w) and pixel size of a micrograph: as given, else from the star's optics group, else from the header."""
    image, header = read_micrograph(entry.path)
    size = pixel_size or entry.pixel_size or header
    if size is None:
        raise InputError(f"{entry.path} has no pixel size in its header; give --pixel-size (Angstrom per pixel)")
    return image, size


def pick_one(picker: Picker, entry: MicrographEntry, settings: PickSchema) -> None:
    """Pick one micrograph and keep all its candidates."""
    image, pixel_size = load(entry, settings.pixel_size)
    try:
        candidates = picker.pick(image, pixel_size, settings.particle_diameter)
    except InputError as error:
        raise InputError(f"{entry.path}: {error}") from None
    write_candidates_star(candidates_path(Path(settings.out), str(entry.tree), entry.stem), candidates)


_worker_picker: Picker | None = None


def _start_worker(model: Model, device: str) -> None:
    global _worker_picker
    torch.set_num_threads(1)
    _worker_picker = Picker(model, device)


def _work(entry: MicrographEntry, settings: PickSchema) -> None:
    assert _worker_picker is not None
    pick_one(_worker_picker, entry, settings)


def _pick_all(
    model: Model, settings: PickSchema, todo: list[MicrographEntry], device: str
) -> Iterator[tuple[str, str | None]]:
    """Pick all micrographs, in this process or in several; yields (name, None or what went wrong)."""
    if settings.workers == 1:
        picker = Picker(model, device)
        for entry in todo:
            try:
                pick_one(picker, entry, settings)
                yield entry.name, None
            except (InputError, OSError) as error:
                yield entry.name, str(error)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.workers, context, _start_worker, (model, device)) as pool:
        futures = {pool.submit(_work, entry, settings): entry for entry in todo}
        for future in as_completed(futures):
            try:
                future.result()
                yield futures[future].name, None
            except (InputError, OSError) as error:
                yield futures[future].name, str(error)


def manifest(
    settings: PickSchema, parameters: dict[str, Any], found: MicrographList, done: list[MicrographEntry],
    failures: list[tuple[str, str]], classifier: str,
) -> dict[str, Any]:  # fmt: skip
    """What run.json says of a run; everything that a later cut needs."""
    micrographs = []
    for entry in done:
        height, width = read_shape(entry.path)
        micrographs.append(
            {
                "name": entry.name, "path": str(entry.path), "tree": str(entry.tree), "stem": entry.stem,
                "shape": [height, width], "optics_group": entry.optics_group, "ctf": found.ctf.get(entry.name),
            }
        )  # fmt: skip
    return {
        "drpnet": __version__, "parameters": parameters, "micrographs": micrographs, "optics": found.optics,
        "failures": failures, "note": f"classifier: {classifier}", "device": settings.device,
    }  # fmt: skip


def draw_overlay(out: Path, entry: MicrographEntry, settings: PickSchema, threshold: float) -> None:
    """Write a picture of a micrograph with its picks."""
    image, pixel_size = load(entry, settings.pixel_size)
    found = read_candidates_star(candidates_path(out, str(entry.tree), entry.stem))
    centres = found.centres[found.figure_of_merit >= threshold]
    caption = f"{entry.stem}: {len(centres)} picks at figure of merit >= {threshold:g}"
    picture = draw_picks(image, [(centres, CYAN)], settings.particle_diameter / pixel_size, caption)
    save_picture(picture, out / "overlays" / entry.tree / f"{entry.stem}.png")


def print_result(result: PickResult, out: Path) -> None:
    """The closing table."""
    counts = list(result.cut.picks.values())
    table = Table(title=f"Picks in {out}", show_header=False)
    table.add_row("micrographs picked", str(len(counts)))
    table.add_row("picks", f"{sum(counts)} of {result.cut.candidates} candidates, figure of merit >= {result.cut.threshold:g}")
    table.add_row("per micrograph", f"median {np.median(counts):.0f}, fewest {min(counts)}, most {max(counts)}")
    table.add_row("seconds", f"{result.seconds:.1f}")
    if result.failures:
        table.add_row("[red]not picked[/red]", str(len(result.failures)))
    console.print(table)
    for _, problem in result.failures:
        console.print(f"[red]not picked[/red] {problem}", highlight=False, soft_wrap=True)
