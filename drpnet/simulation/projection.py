"""Projections of a structure, placed at sub-pixel centres in a frame."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.fft import irfft2, rfft2
from scipy.spatial.transform import Rotation
from torch_fourier_slice import project_3d_to_2d

from drpnet.simulation.structures import Structure

_FINEST_SAMPLING = 64
_CHUNK = 64


def project(structure: Structure, euler_angles: np.ndarray, pixel_size: float) -> np.ndarray:
    """Projections (n, b, b) float32 at `pixel_size`, centre of mass at pixel b // 2, b even.

    `euler_angles` (n, 3) are rot, tilt, psi in degrees, RELION's ZYZ convention. The density is sampled no
    finer than a 64th of the particle and the projections are enlarged in Fourier space.
    """
    size = structure.longest_dimension
    box = 2 * int(np.ceil((1.15 * size + 12.0) / pixel_size / 2 + 1))
    sampling = max(pixel_size, size / _FINEST_SAMPLING)
    coarse = min(box, 2 * int(np.ceil(box * pixel_size / sampling / 2)))
    voxel_size = box * pixel_size / coarse
    if len(euler_angles) == 0:
        return np.zeros((0, box, box), np.float32)
    volume = torch.from_numpy(structure.density(coarse, voxel_size))
    matrices = torch.from_numpy(
        Rotation.from_euler("ZYZ", euler_angles, degrees=True).as_matrix().astype(np.float32)
    )
    with _one_thread():
        projections = np.concatenate([project_3d_to_2d(volume, chunk).numpy() for chunk in matrices.split(_CHUNK)])
    return projections if coarse == box else enlarge(projections, box)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in an order that does not depend on how many threads there are: the same seed gives the same electrons."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def enlarge(images: np.ndarray, box: int) -> np.ndarray:
    """Band-limited enlargement of (n, a, a) to (n, box, box), both even; pixel a // 2 goes to box // 2."""
    small = images.shape[-1]
    spectrum = rfft2(np.fft.ifftshift(images, axes=(-2, -1)))
    half = small // 2
    padded = np.zeros((len(images), box, box // 2 + 1), spectrum.dtype)
    padded[:, :half, :half] = spectrum[:, :half, :half]
    padded[:, -half + 1 :, :half] = spectrum[:, -half + 1 :, :half]
    large = irfft2(padded, s=(box, box)) * (box / small) ** 2
    return np.fft.fftshift(large, axes=(-2, -1)).astype(np.float32)


def place(projections: np.ndarray, centres: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Frame (h, w) float32 with images (n, b, b) added, pixel b // 2 at their centres (n, 2) (y, x) px."""
    frame = np.zeros(shape, np.float32)
    box = projections.shape[-1]
    for start in range(0, len(projections), _CHUNK):
        some = centres[start : start + _CHUNK]
        whole = np.floor(some + 0.5).astype(int)
        fraction = some - whole
        ramp_y = np.exp(-2j * np.pi * fraction[:, :1] * np.fft.fftfreq(box))[:, :, None]
        ramp_x = np.exp(-2j * np.pi * fraction[:, 1:] * np.fft.rfftfreq(box))[:, None, :]
        ramps = (ramp_y * ramp_x).astype(np.complex64)
        moved = irfft2(rfft2(projections[start : start + _CHUNK]) * ramps, s=(box, box))
        for image, (top, left) in zip(moved, whole - box // 2, strict=True):
            part = frame[max(top, 0) : max(top + box, 0), max(left, 0) : max(left + box, 0)]
            y, x = max(-top, 0), max(-left, 0)
            part += image[y : y + part.shape[0], x : x + part.shape[1]]
    return frame
