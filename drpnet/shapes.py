"""Where the size of a micrograph is found when only its coordinates were given."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from drpnet.errors import InputError
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_shape

Shapes = dict[str, Path | tuple[int, int]]
"""(h, w) by stem and by tree/stem, or the file that knows it."""


def micrograph_shapes(
    names: Sequence[str], picks: Path, truth: Path, micrographs: Path | None = None
) -> dict[str, tuple[int, int]]:
    """(h, w) of the named micrographs.

    From the folder `micrographs`; without it from run.json among the picks, else from a folder named
    micrographs beside the picks, beside the labels, or one or two levels above them. InputError for a
    micrograph that is in none.
    """
    shapes = _from_folder(micrographs) if micrographs is not None else _from_surroundings(picks, truth)
    found = {}
    for name in names:
        shape = shapes.get(name, shapes.get(Path(name).name))
        if shape is None:
            place = (
                f"{micrographs} has no micrograph"
                if micrographs
                else f"nothing near {picks} tells the size of"
            )
            raise InputError(f"{place} {name}, which the border needs; give its folder with --micrographs")
        found[name] = read_shape(shape) if isinstance(shape, Path) else shape
    return found


def _from_folder(folder: Path) -> Shapes:
    entries = find_micrographs(str(folder)).entries
    shapes: Shapes = {entry.stem: entry.path for entry in entries}
    return shapes | {str(entry.tree / entry.stem): entry.path for entry in entries}


def _from_surroundings(picks: Path, truth: Path) -> Shapes:
    shapes: Shapes = {}
    for source in (truth, picks):
        # the nearest folder is merged last, so it wins
        for above in reversed(source.resolve().parents[:3]):
            if (above / "micrographs").is_dir():
                with suppress(InputError):
                    shapes |= _from_folder(above / "micrographs")
    run = (picks if picks.is_dir() else picks.parent) / "run.json"
    return shapes | _from_run(run) if run.is_file() else shapes


def _from_run(run: Path) -> Shapes:
    shapes: Shapes = {}
    try:
        for entry in json.loads(run.read_text(encoding="utf-8"))["micrographs"]:
            height, width = entry["shape"]
            for name in (entry["stem"], str(Path(entry.get("tree", "")) / entry["stem"])):
                shapes[name] = (int(height), int(width))
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{run} does not list the sizes of the micrographs; give their folder with --micrographs"
        ) from None
    return shapes
