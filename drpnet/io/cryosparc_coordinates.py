"""Read particle centres from cryoSPARC's .cs files: structured numpy arrays of locations."""

import re
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.text_coordinates import Coordinates

_X, _Y, _SHAPE = "location/center_x_frac", "location/center_y_frac", "location/micrograph_shape"
_PATH, _SCORE = "location/micrograph_path", "pick_stats/ncc_score"
_UID = re.compile(r"^\d{15,}_")  # cryoSPARC prefixes imported and corrected micrographs


def read_cs(path: Path) -> tuple[Coordinates, list[str] | None]:
    """Centres of a picking or extraction job's .cs, and the micrograph of every row (None: not recorded).

    Fractions of the .mrc that was picked, y counted from its last row: x = fx * nx, y = (1 - fy) * ny, as pyem
    converts them for RELION. (One movie corrected by MotionCor2 and by cryoSPARC gives two .mrc files that are
    upside down to one another: there the picks of one fit the other after `upside_down`.) The score is the
    correlation. 2D alignment shifts are not applied; the unique number before a micrograph's name is left out.
    Raises InputError for what is no such file.
    """
    table = _load(Path(path))
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
    return Coordinates(centres, scores), _names(table)


def _load(path: Path) -> np.ndarray:
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as reason:
        what = reason.strerror if isinstance(reason, OSError) and reason.strerror else "no structured numpy array"
        raise InputError(
            f"{path} cannot be read ({what}); give a .cs as cryoSPARC exports it, or a .star of pyem"
        ) from reason
    names = _fields(table)
    missing = [name for name in (_X, _Y, _SHAPE) if name not in names]
    if missing:
        raise InputError(
            f"{path} has no {missing[0]}; give the .cs of a picking or extraction job (or its passthrough)"
        )
    return np.atleast_1d(table)


def _fields(table: np.ndarray) -> tuple[str, ...]:
    return table.dtype.names or ()


def _names(table: np.ndarray) -> list[str] | None:
    """The micrographs' paths without the unique number; an old .cs has none."""
    if _PATH not in _fields(table):
        return None
    plain = [name.decode() if isinstance(name, bytes) else str(name) for name in table[_PATH].tolist()]
    parts = [name.lstrip(">").rpartition("/") for name in plain]
    return [folder + slash + _UID.sub("", name) for folder, slash, name in parts]
