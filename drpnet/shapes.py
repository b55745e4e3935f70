"""Where the size of a micrograph is found when only its coordinates were given."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from drpnet.errors import InputError
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_shape
from drpnet.io.paths import MANIFEST

Shapes = dict[str, Path | tuple[int, int]]
"""(h, w) by stem and by tree/stem, or the file that knows it."""


def micrograph_shapes(
    names: Sequence[str], picks: Path, truth: Path, micrographs: Path | None = None, *, required: bool = True
) -> dict[str, tuple[int, int]]:
    """(h, w) of the named micrographs; those of unknown size are left out unless they are `required`.

    From the folder `micrographs`; without it from run.json among the picks, else from a folder named
    micrographs beside the picks, beside the labels, or one or two levels above them. InputError when `micrographs`
    is no folder of micrographs, and for a required micrograph that is in none.
    """
    guessed = () if required or micrographs is not None else (InputError,)
    shapes = _from_folder(micrographs) if micrographs is not None else _from_neighbours(picks, truth)
    run = (picks if picks.is_dir() else picks.parent) / MANIFEST
    if micrographs is None and run.is_file():
        with suppress(*guessed):
            shapes |= _from_run(run)
    found = {}
    for name in names:
        shape = shapes.get(name, shapes.get(Path(name).name))
        if isinstance(shape, Path):
            with suppress(*guessed):
                found[name] = read_shape(shape)
        elif shape is not None:
            found[name] = shape
        elif required:
            nowhere = f"neither run.json nor a folder micrographs near {picks} tells the size of"
            place = f"{micrographs} has no micrograph" if micrographs else nowhere
            raise InputError(f"{place} {name}, which the border needs; give its folder with --micrographs")
    return found


def _from_folder(folder: Path) -> Shapes:
    entries = find_micrographs(str(folder)).entries
    return _by_name([(entry.tree, entry.stem, entry.path) for entry in entries])


def _by_name(places: Sequence[tuple[Path, str, Path | tuple[int, int]]]) -> Shapes:
    """Sizes by tree/stem, and by the stem alone where only one micrograph has it."""
    count = Counter(stem for _, stem, _ in places)
    shapes: Shapes = {stem: shape for _, stem, shape in places if count[stem] == 1}
    return shapes | {str(tree / stem): shape for tree, stem, shape in places}


def _from_neighbours(picks: Path, truth: Path) -> Shapes:
    shapes: Shapes = {}
    for source in (truth, picks):
        # the nearest folder is merged last, so it wins
        for above in reversed(source.resolve().parents[:3]):
            if (above / "micrographs").is_dir():
                with suppress(InputError):
                    shapes |= _from_folder(above / "micrographs")
    return shapes


def _from_run(run: Path) -> Shapes:
    try:
        entries = json.loads(run.read_text(encoding="utf-8"))["micrographs"]
        places = [(Path(e.get("tree", "")), str(e["stem"]), (int(e["shape"][0]), int(e["shape"][1]))) for e in entries]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise InputError(
            f"{run} does not list the sizes of the micrographs; give their folder with --micrographs"
        ) from None
    return _by_name(places)
