"""Write cryoSPARC's .cs of picked particles: a structured numpy array of locations, no pickle in it."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes
from drpnet.io.named_coordinates import NamedCoordinates


def write_cs(path: Path, micrographs: Sequence[NamedCoordinates]) -> None:
    """Write the slots `location` and, where every micrograph has scores, `pick_stats` as a picking job has them.

    Fractions of the .mrc, y counted from its last row, as `read_cs` reads them: fx = x / nx, fy = 1 - y / ny (float32).
    A micrograph's uid is that of the exposures it was matched with, else made from its name, so the same
    input gives the same bytes. Raises InputError for a micrograph without a size or a name.
    """
    scored = all(micrograph.coordinates.scores is not None for micrograph in micrographs)
    names = [_name(micrograph) for micrograph in micrographs]
    sized = bool(micrographs) and all(micrograph.pixel_size is not None for micrograph in micrographs)
    fields = [
        ("uid", "<u8"),
        ("location/micrograph_uid", "<u8"),
        ("location/exp_group_id", "<u4"),
        ("location/micrograph_path", f"S{max((len(name) for name in names), default=1)}"),
        ("location/micrograph_shape", "<u4", (2,)),
        ("location/center_x_frac", "<f4"),
        ("location/center_y_frac", "<f4"),
        *([("location/micrograph_psize_A", "<f4")] if sized else []),
        *([("pick_stats/ncc_score", "<f4")] if scored else []),
    ]
    parts = [np.empty(0, dtype=fields)]
    for micrograph, name in zip(micrographs, names, strict=True):
        parts.append(_rows(micrograph, name, np.dtype(fields)))
    content = io.BytesIO()  # into a file np.save writes past Python, and a full disk would not say that it is full
    np.save(content, np.concatenate(parts), allow_pickle=False)
    write_bytes(path, content.getvalue())


def _rows(micrograph: NamedCoordinates, name: bytes, fields: np.dtype) -> np.ndarray:
    if micrograph.shape is None:
        raise InputError(
            f"the size of micrograph {name.decode()} is unknown, and a .cs holds fractions of it; "
            "give the micrographs with --micrographs"
        )
    centres = micrograph.coordinates.centres
    table = np.zeros(len(centres), dtype=fields)
    table["uid"] = [_uid(name + b" " + str(row).encode()) for row in range(len(centres))]
    table["location/micrograph_uid"] = micrograph.uid if micrograph.uid is not None else _uid(name)
    table["location/exp_group_id"] = micrograph.optics_group
    table["location/micrograph_path"] = name
    table["location/micrograph_shape"] = micrograph.shape
    table["location/center_x_frac"] = centres[:, 1] / micrograph.shape[1]
    table["location/center_y_frac"] = 1 - centres[:, 0] / micrograph.shape[0]
    if "location/micrograph_psize_A" in (fields.names or ()):
        table["location/micrograph_psize_A"] = micrograph.pixel_size
    if "pick_stats/ncc_score" in (fields.names or ()):
        table["pick_stats/ncc_score"] = micrograph.coordinates.scores
    return table


def _name(micrograph: NamedCoordinates) -> bytes:
    if micrograph.name is None:
        raise InputError(
            f"a .cs names its micrographs, and nothing says which file {micrograph.tree / micrograph.stem} is; "
            "give the micrographs with --micrographs"
        )
    return micrograph.name.encode()


def _uid(text: bytes) -> int:
    """A number of 64 bits that depends on the text alone."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
