"""Read TIFF, PNG and JPEG pictures of micrographs."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from drpnet.errors import InputError

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_TIFF = (".tif", ".tiff")
_FAILURES = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)


def read_picture(path: Path) -> np.ndarray:
    """Image (h, w) float32 of a picture, row 0 at the top, colour as luminance; InputError if unreadable."""
    try:
        pixels = _read_tiff(path) if path.suffix.lower() in _TIFF else _read_pillow(path)
    except Image.DecompressionBombError as reason:
        raise InputError(f"{path} is too large for a picture ({reason}); convert it to .mrc") from reason
    except _FAILURES as reason:
        raise InputError(
            f"{path} cannot be read as a picture ({reason}); copy it again or convert it to .mrc"
        ) from reason
    if np.iscomplexobj(pixels):
        raise InputError(f"{path} is complex; give the real micrograph")
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        pixels = pixels[:, :, :3].astype(np.float32) @ _LUMINANCE
    if pixels.ndim != 2:
        raise InputError(f"{path} has shape {pixels.shape}; give a single grey or colour image")
    return np.ascontiguousarray(pixels, dtype=np.float32)


def read_picture_shape(path: Path) -> tuple[int, int]:
    """Shape (h, w) of a picture from its header; InputError when it cannot be read."""
    try:
        if path.suffix.lower() in _TIFF:
            with tifffile.TiffFile(path) as tiff:
                page = _single_page(path, tiff)
                return int(page.imagelength), int(page.imagewidth)
        with Image.open(path) as picture:
            return picture.height, picture.width
    except _FAILURES as reason:
        raise InputError(
            f"{path} cannot be read as a picture ({reason}); copy it again or convert it to .mrc"
        ) from reason


def _single_page(path: Path, tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    if len(tiff.pages) != 1:
        raise InputError(f"{path} holds {len(tiff.pages)} images, a movie or stack; give single micrographs")
    return tiff.pages.first


def _read_tiff(path: Path) -> np.ndarray:
    with tifffile.TiffFile(path) as tiff:
        page = _single_page(path, tiff)
        try:
            return page.asarray()
        except ValueError as reason:
            if "imagecodecs" not in str(reason):
                raise
    return _read_pillow(path)  # Pillow brings its own codecs


def _read_pillow(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path) as picture:
            if picture.mode in ("1", "LA", "La"):
                return np.asarray(picture.convert("L"))
            if picture.mode in ("L", "F", "I") or picture.mode.startswith("I;16"):
                return np.asarray(picture)
            return np.asarray(picture.convert("RGB"))
