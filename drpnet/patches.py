"""Square patches around centres."""

import numpy as np

from drpnet.errors import InputError


def patch_corners(centres: np.ndarray, size: int, shape: tuple[int, int]) -> np.ndarray:
    """Upper left corners (n, 2) int of patches around centres (n, 2) (y, x), moved inside an image of `shape`.

    The centre lies at index size // 2 of the patch. At the border the window is moved, where the released code would
    stretch a clipped crop. Raises InputError when the image is smaller than a patch.
    """
    if min(shape) < size:
        raise InputError(
            f"the image is {shape[0]} x {shape[1]} px in the network's frame, smaller than a {size} px patch; "
            "check the particle diameter and the pixel size, or use larger micrographs"
        )
    corners = np.floor(np.asarray(centres, float).reshape(-1, 2) + 0.5).astype(int) - size // 2
    return np.clip(corners, 0, np.asarray(shape) - size)


def extract_patches(image: np.ndarray, centres: np.ndarray, size: int) -> np.ndarray:
    """Patches (n, size, size) of an image (h, w) around centres (n, 2) (y, x), edges mirrored, centres kept central."""
    half = size // 2
    pad = min(half, min(image.shape) - 1)
    padded = np.pad(image, half, mode="reflect" if pad == half else "symmetric")
    centres = np.asarray(centres, float).reshape(-1, 2)
    if len(centres) == 0:
        return np.empty((0, size, size), np.float32)
    corners = np.clip(np.floor(centres + 0.5).astype(int), 0, np.asarray(image.shape) - 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return windows[corners[:, 0], corners[:, 1]].astype(np.float32)
