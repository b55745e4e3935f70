"""What is known of micrographs beside where their particles are: defocus, views, pixel size, signal to noise."""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.paths import MANIFEST, tree_and_stem
from drpnet.io.star import numbers, read_star

Blocks = Mapping[str, Any]
"""The tables of a star by the names of its blocks."""
_LISTS = ("micrographs_ctf.star", "micrographs.star", "particles.star")
"""Names of stars that are looked for beside the labels and the picks."""


@dataclass(frozen=True)
class Conditions:
    """By the stem of a micrograph: mean defocus in Angstrom, tilts (k,) in degrees of its labels, signal-to-noise ratio.

    `pixel_size` is Angstrom/px where one holds for all.
    """

    defocus: dict[str, float] = field(default_factory=dict)
    tilts: dict[str, np.ndarray] = field(default_factory=dict)
    snr: dict[str, float] = field(default_factory=dict)
    pixel_size: float | None = None


def read_conditions(truth: Path, picks: Path, star: Path | None = None) -> Conditions:
    """What the labels' own star, `star`, and the stars and records beside labels and picks say.

    Tilts and signal-to-noise ratios are those of a simulation, whose simulation.json lies beside the labels. Only a named
    `star` must be readable and hold a defocus, else InputError; a stem that occurs in several folders is left out.
    """
    folder = truth if truth.is_dir() else truth.parent
    near = dict.fromkeys([truth, *(place / name for place in (folder, folder.parent, _folder(picks)) for name in _LISTS)])
    blocks: dict[Path, Blocks] = {}
    for path in near:
        if path.suffix.lower() == ".star" and path.is_file():
            with suppress(InputError):
                blocks[path] = read_star(path)
    defocus: dict[str, float] = {}
    sizes: set[float] = set()
    for path in reversed(blocks):  # the labels' own star is the last and wins
        with suppress(InputError):
            defocus |= _defocus(path, blocks[path])
        with suppress(InputError):
            sizes |= _pixel_sizes(path, blocks[path])
    if star is not None:
        defocus = _defocus(star, read_star(star))
        if not defocus:
            raise InputError(f"{star} has no columns rlnMicrographName and rlnDefocusU; give a star with the CTF")
    record = _json(folder / "simulation.json")
    own = truth if truth.is_file() else folder / "particles.star"
    tilts: dict[str, np.ndarray] = {}
    if record and own in blocks:
        with suppress(InputError):
            tilts = _tilts(own, blocks[own])
    sizes = _run_sizes(_folder(picks)) or sizes
    return Conditions(defocus, tilts, _snr(record), sizes.pop() if len(sizes) == 1 else None)


def _folder(source: Path) -> Path:
    return source if source.is_dir() else source.parent


def _defocus(star: Path, blocks: Blocks) -> dict[str, float]:
    """Mean of defocus U and V in Angstrom, over the particles of a micrograph where they are listed."""
    for table in blocks.values():
        if {"rlnMicrographName", "rlnDefocusU"} <= set(table.columns):
            value = numbers(star, table, "rlnDefocusU")
            if "rlnDefocusV" in table:
                value = (value + numbers(star, table, "rlnDefocusV")) / 2
            return {name: float(value[rows].mean()) for name, rows in _by_stem(table["rlnMicrographName"]).items()}
    return {}


def _tilts(star: Path, blocks: Blocks) -> dict[str, np.ndarray]:
    for table in blocks.values():
        if {"rlnMicrographName", "rlnCoordinateX", "rlnAngleTilt"} <= set(table.columns):
            tilt = numbers(star, table, "rlnAngleTilt")
            return {name: tilt[rows] for name, rows in _by_stem(table["rlnMicrographName"]).items()}
    return {}


def _pixel_sizes(star: Path, blocks: Blocks) -> set[float]:
    optics = blocks.get("optics")
    if optics is None or "rlnMicrographPixelSize" not in optics:
        return set()
    return set(numbers(star, optics, "rlnMicrographPixelSize").tolist())


def _by_stem(names: Any) -> dict[str, np.ndarray]:
    """Rows by the stem of their micrograph, without stems of several micrographs."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(str(name), []).append(row)
    stems = Counter(tree_and_stem(name)[1] for name in rows)
    return {
        tree_and_stem(name)[1]: np.array(own) for name, own in rows.items() if stems[tree_and_stem(name)[1]] == 1
    }


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _snr(record: Any) -> dict[str, float]:
    try:
        rows = [(tree_and_stem(str(row["name"]))[1], row["snr"]) for row in record["micrographs"]]
        return {stem: float(snr) for stem, snr in rows if snr is not None}
    except (TypeError, KeyError, ValueError):
        return {}


def _run_sizes(folder: Path) -> set[float]:
    """Pixel sizes that run.json of a pick folder tells."""
    try:
        return {float(row["pixel_size"]) for row in _json(folder / MANIFEST)["micrographs"]}
    except (TypeError, KeyError, ValueError):
        return set()
