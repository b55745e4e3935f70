"""What is asked of a refinement: its parts, and the numbers on which its measures depend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.reconstruction.efficiency import B_FACTOR, BOX


@dataclass(frozen=True)
class Run:
    """One refinement and what belongs to it."""

    name: str
    path: Path
    """Its folder or its particles .star."""
    postprocess: Path | None = None
    """The .star or folder of its PostProcess job."""
    without_symmetry: Path | None = None
    """The same particles refined in C1: the numbers in parentheses of Table 3."""
    subsets: str | None = None
    """Refinements of random subsets: a glob of their folders, or a .csv of particles and resolution."""
    picked: int | None = None
    """How many particles were picked before the 2D and 3D classifications."""


@dataclass(frozen=True)
class Settings:
    """What every run is measured with."""

    symmetry: str | None = None
    """The point group; None takes that of the refinement."""
    mask: Path | None = None
    box: int = BOX
    """Of the efficiency, in voxels."""
    b_factor: float = B_FACTOR
    """Of the efficiency, in voxels squared."""
    seed: int = 0
    """Of the random phases and of the particles drawn in the scatter plot."""
    kilodalton: float | None = None
    """Mass whose volume the isosurfaces enclose; None takes the volume that Otsu's threshold finds in the first map."""


_FIELDS = {"--postprocess": "postprocess", "--c1": "without_symmetry", "--subsets": "subsets", "--picked": "picked"}


def named_runs(texts: Sequence[str], parts: Mapping[str, Sequence[str]]) -> list[Run]:
    """Runs from `NAME=PATH` or `PATH`, which is called by its last part, and what options say of them as `NAME=VALUE`.

    Raises InputError for a name that is given twice, or that no run has.
    """
    paths: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        name, path = (name, path) if equals else (Path(text).name, text)
        if not name or not path or name in paths or "/" in name:
            raise InputError(f"run {text!r}: give NAME=PATH, every name once")
        paths[name] = Path(path)
    fields: dict[str, dict[str, Any]] = {name: {} for name in paths}
    for option, words in parts.items():
        for text in words:
            name, equals, value = text.partition("=")
            if not equals or not value or name not in paths or _FIELDS[option] in fields[name]:
                raise InputError(f"{option} {text!r}: give NAME=VALUE once a run; the runs are {', '.join(paths)}")
            fields[name][_FIELDS[option]] = _value(option, text, value)
    return [Run(name, path, **fields[name]) for name, path in paths.items()]


def _value(option: str, text: str, value: str) -> Path | str | int:
    if option == "--subsets":
        return value
    if option != "--picked":
        return Path(value)
    if not value.isdecimal():
        raise InputError(f"{option} {text!r}: the number of picked particles must be a whole number")
    return int(value)
