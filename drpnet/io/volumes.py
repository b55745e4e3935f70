"""Read and write density maps."""

from pathlib import Path

import mrcfile
import numpy as np

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.io.regular import require_no_pipe


def read_volume(path: Path) -> tuple[np.ndarray, float]:
    """Density (d, h, w) native float32 in (z, y, x) and its voxel size in Angstrom.

    Reads .mrc and .map, plain, .gz or .bz2. Raises InputError for a file that is no whole real map or has no
    voxel size.
    """
    require_no_pipe(path)
    try:
        with mrcfile.open(path) as mrc:
            data, voxel_size = mrc.data, float(mrc.voxel_size.x)
    except (ValueError, OSError, EOFError) as reason:
        raise InputError(
            f"{path} cannot be read as an MRC map ({reason}); give a whole .mrc or .map"
        ) from reason
    if data.ndim != 3 or min(data.shape) < 8 or np.iscomplexobj(data):
        raise InputError(
            f"{path} is {data.dtype} {data.shape}; give a real density map of at least 8 x 8 x 8 voxels"
        )
    if not voxel_size > 0:
        raise InputError(f"{path} has no voxel size in its header; write it there (Angstrom per voxel)")
    volume = np.ascontiguousarray(data, dtype=np.float32)
    if not np.isfinite(volume).all():
        raise InputError(f"{path} has voxels that are not finite; give a repaired map")
    return volume, voxel_size


def write_volume(path: Path, volume: np.ndarray, voxel_size: float, *, stack: bool = False) -> None:
    """Write a map (d, h, w) in (z, y, x), or a stack of images, as float32 .mrc with its voxel size, whole or not at all."""
    with whole_file(path) as temporary, mrcfile.new(temporary, overwrite=True) as mrc:
        mrc.set_data(np.ascontiguousarray(volume, dtype=np.float32))
        if stack:
            mrc.set_image_stack()
        mrc.voxel_size = voxel_size
