"""Read particle centres and exposures from cryoSPARC's .cs files: structured numpy arrays."""

import re
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np

from drpnet.errors import InputError
from drpnet.io.regular import require_no_pipe
from drpnet.io.text_coordinates import Coordinates

_X, _Y, _SHAPE = "location/center_x_frac", "location/center_y_frac", "location/micrograph_shape"
_PATH, _SCORE = "location/micrograph_path", "pick_stats/ncc_score"
_UID = re.compile(r"^\d{15,}_")  # cryoSPARC prefixes imported and corrected micrographs
_BLOB_PATH, _BLOB_SHAPE, _BLOB_SIZE = "micrograph_blob/path", "micrograph_blob/shape", "micrograph_blob/psize_A"

_DAMAGED = (OSError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError, TokenError)
"""What numpy raises for headers that it did not write."""


@dataclass(frozen=True)
class Exposure:
    """A micrograph as a .cs of exposures lists it: path, shape (h, w), Angstrom/px (None: not recorded), number."""

    path: str
    shape: tuple[int, int]
    pixel_size: float | None
    uid: int


def read_exposures(path: Path) -> list[Exposure]:
    """The micrographs of an import, motion-correction or CTF job's .cs; InputError for what is no such file."""
    table = _load(Path(path), ("uid", _BLOB_PATH, _BLOB_SHAPE), "micrographs (imported_micrographs.cs ...)")
    sizes = table[_BLOB_SIZE].astype(float) if _BLOB_SIZE in _fields(table) else np.zeros(len(table))
    shapes = table[_BLOB_SHAPE].astype(int).reshape(len(table), -1)
    if shapes.shape[1] != 2 or (shapes < 1).any():
        raise InputError(f"{path} has micrographs without a size; give the exposures of an import or motion correction job")
    return [
        Exposure(_text(Path(path), name), (int(h), int(w)), float(size) if size > 0 else None, int(uid))
        for name, (h, w), size, uid in zip(table[_BLOB_PATH].tolist(), shapes, sizes, table["uid"], strict=True)
    ]


def without_uid(name: str) -> str:
    """A micrograph's name without the unique number that cryoSPARC puts before it."""
    return _UID.sub("", name)


def read_cs(path: Path) -> tuple[Coordinates, list[str] | None]:
    """Centres of a picking or extraction job's .cs, and the micrograph of every row (None: not recorded).

    Fractions of the .mrc that was picked, y counted from its last row: x = fx * nx, y = (1 - fy) * ny, as pyem
    converts them for RELION. (One movie corrected by MotionCor2 and by cryoSPARC gives two .mrc files that are
    upside down to one another: there the picks of one fit the other after `upside_down`.) The score is the
    correlation. 2D alignment shifts are not applied; the unique number before a micrograph's name is left out.
    Raises InputError for what is no such file.
    """
    table = _load(Path(path), (_X, _Y, _SHAPE), "a picking or extraction job (or its passthrough)")
    x, y = (table[name].astype(float) for name in (_X, _Y))
    shape = table[_SHAPE].astype(float)
    bad = ~(np.isfinite(x) & np.isfinite(y) & (shape.reshape(len(table), -1) >= 1).all(axis=1))
    if bad.any() or shape.shape != (len(table), 2):
        row = int(np.argmax(bad)) + 1
        raise InputError(f"{path}: row {row} has no location; give the .cs of a picking or extraction job")
    centres = np.stack([(1 - y) * shape[:, 0], x * shape[:, 1]], axis=1)
    scores = table[_SCORE].astype(float) if _SCORE in _fields(table) else None
    if scores is not None and not np.isfinite(scores).all():
        scores = None
    return Coordinates(centres, scores), _names(Path(path), table)


def _load(path: Path, needed: tuple[str, ...], job: str) -> np.ndarray:
    require_no_pipe(path)
    try:
        # mapped first: a header that asks for more than the file holds is refused before any memory is taken
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray):
            raise ValueError("an archive")
        table = np.array(mapped)
    except _DAMAGED as reason:
        what = reason.strerror if isinstance(reason, OSError) and reason.strerror else "no structured numpy array"
        raise InputError(
            f"{path} cannot be read ({what}); give a .cs as cryoSPARC exports it, or a .star of pyem"
        ) from reason
    names = _fields(table)
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path} has no {missing[0]}; give the .cs of {job}")
    return np.atleast_1d(table)


def _fields(table: np.ndarray) -> tuple[str, ...]:
    return table.dtype.names or ()


def _names(path: Path, table: np.ndarray) -> list[str] | None:
    """The micrographs' paths without the unique number; an old .cs has none."""
    if _PATH not in _fields(table):
        return None
    parts = [_text(path, name).rpartition("/") for name in table[_PATH].tolist()]
    return [folder + slash + without_uid(name) for folder, slash, name in parts]


def _text(path: Path, name: bytes | str) -> str:
    try:
        return (name.decode() if isinstance(name, bytes) else str(name)).lstrip(">")
    except UnicodeDecodeError:
        raise InputError(f"{path} names the micrograph {name!r}, which is no UTF-8 text; rename it in cryoSPARC") from None
