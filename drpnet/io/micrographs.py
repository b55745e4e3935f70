"""Read and write single micrographs."""

import bz2
import gzip
import io
import warnings
import zlib
from pathlib import Path

import mrcfile
import numpy as np
from mrcfile.mrcinterpreter import MrcInterpreter

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.io.pictures import read_picture, read_picture_shape
from drpnet.io.regular import require_no_pipe

MRC_SUFFIXES = (".mrc", ".mrcs", ".map")
PICTURE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
COMPRESSED_SUFFIXES = {".gz": 1100, ".bz2": 60_000}  # and how many bytes one byte can hold at most
_HEADER_BYTES, _NSYMBT = 1024, 92
_REAL_MODES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}  # bytes per pixel
_IMOD_STAMP = 1146047817


def split_suffix(name: str) -> tuple[str, str]:
    """Stem and lower-case suffix (such as ".mrc.gz") of a micrograph's file name; "" for other files."""
    lower = name.lower()
    for suffix in (
        *(m + c for m in MRC_SUFFIXES for c in COMPRESSED_SUFFIXES),
        *MRC_SUFFIXES,
        *PICTURE_SUFFIXES,
    ):
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def require_suffix(path: Path) -> None:
    """Raise InputError for a file name that is no micrograph's."""
    if not split_suffix(path.name)[1]:
        raise InputError(
            f"{path} is no micrograph; use .mrc (also .gz, .bz2), .tif, .png, .jpg or a micrographs .star"
        )


def read_micrograph(path: Path) -> tuple[np.ndarray, float | None]:
    """Image (h, w) native float32, C-contiguous, row 0 first in the file, and its pixel size in Angstrom.

    Reads .mrc .mrcs .map (modes 0, 1, 2, 6, 12, either byte order, also .gz and .bz2), .tif, .png and .jpg
    (colour becomes luminance). The pixel size is None where the header has none, 0 or exactly 1. Raises
    InputError for what is no whole, single, real, finite image with contrast.
    """
    path = Path(path)
    suffix = _check_file(path)
    if suffix in PICTURE_SUFFIXES:
        image, pixel_size = read_picture(path), None
    else:
        image, pixel_size = _read_mrc(path)
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(image.size - np.count_nonzero(np.isfinite(image)))
        raise InputError(f"{path} has {bad} pixels that are NaN or infinite; repair it or leave it out")
    if low == high:
        raise InputError(f"{path} is constant (every pixel {low:g}); leave this micrograph out")
    return image, pixel_size


def read_shape(path: Path) -> tuple[int, int]:
    """Shape (h, w) from the header alone; InputError for what `read_micrograph` refuses by its header."""
    path = Path(path)
    if _check_file(path) in PICTURE_SUFFIXES:
        return read_picture_shape(path)
    header = _read_header(path)
    return int(header.ny), int(header.nx)


def read_pixel_size(path: Path) -> float | None:
    """Angstrom per pixel from the header alone, None where it has none; InputError as `read_shape`."""
    path = Path(path)
    return None if _check_file(path) in PICTURE_SUFFIXES else _pixel_size(_read_header(path))


def require_whole_mrc(path: Path) -> None:
    """Raise InputError unless an uncompressed MRC file, whatever its name, is as long as its header says."""
    _read_header(Path(path))


def write_micrograph(path: Path, image: np.ndarray, pixel_size: float) -> None:
    """Write an image (h, w) as a float32 MRC file (gzip or bzip2 for .gz and .bz2), whole or not at all.

    `pixel_size` in Angstrom goes into the header. The same image gives the same bytes in an uncompressed
    file.
    """
    image = np.ascontiguousarray(image, dtype=np.float32)
    if image.ndim != 2:
        raise ValueError(f"image must be (h, w), got shape {image.shape}")
    if not (np.isfinite(pixel_size) and pixel_size > 0):
        raise InputError(f"pixel_size is {pixel_size}; give Angstrom per pixel above 0")
    compression = {".gz": "gzip", ".bz2": "bzip2"}.get(Path(path).suffix.lower())
    with whole_file(path) as temporary, mrcfile.new(temporary, compression=compression) as mrc:
        mrc.set_data(image)
        mrc.voxel_size = pixel_size
        mrc.header.label[0] = b"drpnet"  # mrcfile's own label holds the time of day


def _check_file(path: Path) -> str:
    """The suffix of a readable, not empty file."""
    suffix = split_suffix(path.name)[1]
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a micrograph file in it")
    require_no_pipe(path)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path") from None
    except OSError as reason:
        raise InputError(f"{path} cannot be opened ({reason.strerror}); check its permissions") from reason
    if not suffix:
        raise InputError(
            f"{path} has no suffix of a micrograph; use .mrc (also .gz, .bz2), .tif, .png or .jpg"
        )
    if empty:
        raise InputError(f"{path} is empty (0 bytes); copy it again")
    return suffix


def _open(path: Path) -> io.BufferedIOBase:
    suffix = path.suffix.lower()
    return gzip.open(path) if suffix == ".gz" else bz2.open(path) if suffix == ".bz2" else path.open("rb")


def _read_header(path: Path) -> np.recarray:
    """The header of a file that, as far as it tells, holds one whole real image."""
    try:
        with _open(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = file.read(_HEADER_BYTES)
            # Without its length of the extended header, for which mrcfile would reserve memory unseen.
            bare = raw[:_NSYMBT] + bytes(4) + raw[_NSYMBT + 4 :]
            header = MrcInterpreter(io.BytesIO(bare), permissive=True, header_only=True).header
    except (EOFError, zlib.error) as reason:
        raise InputError(f"{path} is cut short or damaged ({reason}); copy it again") from reason
    except (ValueError, OSError) as reason:
        raise InputError(
            f"{path} is no MRC file ({reason}); copy it again or name it as what it is"
        ) from reason
    mode, nx, ny, nz = (int(header[name]) for name in ("mode", "nx", "ny", "nz"))
    extended = int(np.frombuffer(raw, header.dtype["nsymbt"], 1, _NSYMBT)[0])
    if mode in (3, 4):
        raise InputError(
            f"{path} is complex (MRC mode {mode}), a Fourier transform; give the real micrograph"
        )
    if mode == 101:
        raise InputError(
            f"{path} has 4-bit pixels (MRC mode 101); convert it to float32, e.g. with IMOD's newstack"
        )
    if mode not in _REAL_MODES or min(nx, ny, nz) < 1 or extended < 0:
        raise InputError(
            f"{path} is no MRC file (size {nx} x {ny} x {nz}, mode {mode}); name it as what it is"
        )
    needed = _HEADER_BYTES + extended + nx * ny * nz * _REAL_MODES[mode]
    size = path.stat().st_size
    if size * COMPRESSED_SUFFIXES.get(path.suffix.lower(), 1) < needed:
        stamped = bytes(header.map)[:3] == b"MAP"
        what = "is cut short" if stamped else "is cut short or no MRC file"
        raise InputError(f"{path} {what}: {size} bytes for an image of {needed}; copy it again")
    if nz > 1:
        raise InputError(
            f"{path} holds {nz} images ({nx} x {ny}), a movie, stack or volume; give single micrographs"
        )
    return header


def _read_mrc(path: Path) -> tuple[np.ndarray, float | None]:
    header = _read_header(path)
    compressed = path.suffix.lower() in COMPRESSED_SUFFIXES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with (mrcfile.open if compressed else mrcfile.mmap)(path, permissive=True) as mrc:
                data = mrc.data
                if data is None:
                    raise EOFError("fewer pixels than the header says")
                data = data.reshape(data.shape[-2:])
                if _is_unsigned_imod(header) and data.dtype == np.int8:
                    data = data.view(np.uint8)
                image = np.array(data, dtype=np.float32, order="C")
    except (EOFError, ValueError, OSError, MemoryError, zlib.error) as reason:
        raise InputError(f"{path} is cut short or damaged ({reason}); copy it again") from reason
    return image, _pixel_size(header)


def _is_unsigned_imod(header: np.recarray) -> bool:
    """Whether IMOD wrote bytes 0..255: imodStamp and imodFlags of its mrc_format.txt."""
    raw = header.tobytes()
    stamp, flags = (int(np.frombuffer(raw, header.dtype["mode"], 1, start)[0]) for start in (152, 156))
    return stamp == _IMOD_STAMP and not flags & 1


def _pixel_size(header: np.recarray) -> float | None:
    """Angstrom per pixel along x; 0 and 1 are what programs write that do not know it."""
    sampling = int(header.mx)
    length = float(header.cella.x)
    if sampling < 1 or not (np.isfinite(length) and length > 0):
        return None
    pixel_size = round(length / sampling, 6)  # float32 in the header: 1.77, not 1.7699999809
    return pixel_size if pixel_size not in (0.0, 1.0) else None
