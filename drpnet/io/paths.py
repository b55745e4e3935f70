"""Where the files of a project lie: what is below a folder, what a star's name means, where outputs go."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from drpnet.io.micrographs import split_suffix

MANIFEST = "run.json"
"""In a pick folder: what was picked and how."""
OVERLAYS = "overlays"
"""In a pick folder: the pictures."""
_JOB = re.compile(r"job\d{3,}")


def walk(folder: Path) -> Iterator[Path]:
    """Files below a folder in sorted order, through symbolic links, without hidden ones."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            yield from (Path(root, name) for name in sorted(files) if not name.startswith("."))
        seen.add(real)


def own_pictures(folder: Path) -> bool:
    """Whether a folder holds pictures that drpnet made: overlays of a pick folder, or those of a training's run."""
    if folder.name == OVERLAYS:
        with suppress(OSError), (folder.parent / MANIFEST).open("rb") as file:
            return b'"drpnet"' in file.read(100)
    return (folder / ".hydra").is_dir() and (folder / "weights.safetensors").is_file()


def tree_and_stem(name: str) -> tuple[Path, str]:
    """Where RELION puts the outputs of a micrograph name: its folder without a job prefix, and its stem."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
    if len(parts) > 2 and _JOB.fullmatch(parts[1]):
        parts = parts[2:]
    return Path(*parts[:-1]), split_suffix(parts[-1])[0] if parts else ""


def locate(name: str, listed_in: Path) -> Path | None:
    """The file that a star means by `name`: below the current folder, else the star's or one above."""
    for base in (Path(), listed_in.parent, *listed_in.resolve().parents):
        with suppress(OSError, ValueError):  # a name that no file can have
            if (base / name).is_file():
                return base / name
    return None
