"""Reconstruction by direct Fourier inversion: every image is a central slice of the map's transform, weighted by its CTF.

The sum of CTF x image over the sum of CTF^2, on a grid twice as fine as the box; a value is shared by the eight voxels around
its place. Images come in parts, so memory holds two grids of (2 b)^3 / 2 voxels however many there are. What
relion_reconstruct does with --skip_gridding; it is an error of a percent or so against its iterations. Rotations of the point
group that map the grid onto itself (all of Cn and Dn for n = 1, 2 and 4) are applied to the sums, the others to every slice.
"""

from dataclasses import dataclass

import numba
import numpy as np
import torch
from scipy.fft import fftshift, ifftshift, irfftn, rfft2
from scipy.spatial.transform import Rotation
from torch_ctf import calculate_ctf_2d

from drpnet.errors import InputError
from drpnet.reconstruction.fsc import shells
from drpnet.reconstruction.symmetry import on_the_grid, symmetry_matrices

_PAD = 2
_FLOOR = 1e-3
_CHUNK = 32


@dataclass(frozen=True)
class Ctf:
    """The microscope's part of particles: defocus (n,) in Angstrom, its angle (rlnDefocusAngle) in degrees.

    `sign` is 1 where particles are white in focus, as RELION's extracted images, and -1 where they are dark.
    """

    defocus_u: np.ndarray
    defocus_v: np.ndarray
    defocus_angle: np.ndarray
    voltage_kv: float
    spherical_aberration_mm: float
    amplitude_contrast: float
    sign: float = 1.0

    def part(self, rows: slice) -> "Ctf":
        """The same for some of the particles; a single row stands for all of them."""
        if len(self.defocus_u) == 1:
            return self
        angles = self.defocus_u[rows], self.defocus_v[rows], self.defocus_angle[rows]
        return Ctf(*angles, self.voltage_kv, self.spherical_aberration_mm, self.amplitude_contrast, self.sign)

    def transfer(self, box: int, pixel_size: float) -> np.ndarray:
        """Transfer functions (n, box, box // 2 + 1) in rfft order."""
        u, v, angle = (torch.tensor(d) for d in (self.defocus_u, self.defocus_v, self.defocus_angle))
        ctf = calculate_ctf_2d(
            defocus=(u + v) / 2e4,
            astigmatism=(u - v) / 2e4,
            astigmatism_angle=angle,
            voltage=self.voltage_kv,
            spherical_aberration=self.spherical_aberration_mm,
            amplitude_contrast=self.amplitude_contrast,
            phase_shift=0.0,
            pixel_size=pixel_size,
            image_shape=(box, box),
            rfft=True,
            fftshift=False,
        )
        return self.sign * ctf.numpy()


class Reconstruction:
    """Sums of slices for a map of `box` voxels (even) at `pixel_size` Angstrom with a point group."""

    def __init__(self, box: int, pixel_size: float, symmetry: str = "C1") -> None:
        if box < 8 or box % 2:
            raise InputError(
                f"the box of a reconstruction must be even and at least 8, got {box}; crop or pad the images"
            )
        self.box, self.pixel_size = box, pixel_size
        self.grid_turns, self.slice_turns = on_the_grid(symmetry_matrices(symmetry))
        self.particles = 0
        size = _PAD * box
        self._data = np.zeros((size, size, size // 2 + 1), np.complex128)
        self._weight = np.zeros((size, size, size // 2 + 1))

    def add(
        self, images: np.ndarray, euler_angles: np.ndarray, ctf: Ctf | None, shifts: np.ndarray | None = None
    ) -> None:
        """Add images (n, b, b), their rot, tilt, psi (n, 3) in degrees and, if any, shifts (n, 2) in (y, x) px.

        A shift is what moves the particle's centre to pixel b // 2 (rlnOriginY, rlnOriginX). Without a CTF images count
        as they are. Raises InputError for images of another box.
        """
        if images.shape[1:] != (self.box, self.box):
            raise InputError(
                f"images are {images.shape[1:]} px, the reconstruction's box is {self.box}; give images of one box"
            )
        matrices = Rotation.from_euler("ZYZ", euler_angles, degrees=True).as_matrix()
        for start in range(0, len(images), _CHUNK):
            rows = slice(start, start + _CHUNK)
            slices = self._slices(images[rows], None if shifts is None else shifts[rows])
            size = _PAD * self.box
            transfer = np.ones((1, *slices.shape[1:])) if ctf is None else ctf.part(rows).transfer(size, self.pixel_size)
            turned = np.einsum("kij,njl->nkil", self.slice_turns, matrices[rows])
            _insert(slices, transfer, turned, self._data, self._weight)
        self.particles += len(images)

    def volume(self) -> np.ndarray:
        """The map (b, b, b) float32 in (z, y, x) of what was added; zeros where nothing was."""
        size = _PAD * self.box
        data, weight = np.zeros_like(self._data), np.zeros_like(self._weight)
        _turn(self._data, self._weight, self.grid_turns.astype(np.int64), data, weight)
        number = shells(size)
        mean = np.bincount(number.ravel(), weight.ravel()) / np.bincount(number.ravel())
        spectrum = data / np.maximum(np.maximum(weight, _FLOOR * mean[number]), 1e-12)
        spectrum[number > size // 2] = 0
        padded = fftshift(irfftn(spectrum.astype(np.complex64), s=(size,) * 3))
        edge = (size - self.box) // 2
        inside = slice(edge, edge + self.box)
        fall = np.sinc((np.arange(size) - size // 2)[inside] / size) ** 2  # of the triangle that shares values
        return (padded[inside, inside, inside] / (fall[:, None, None] * fall[:, None] * fall)).astype(np.float32)

    def _slices(self, images: np.ndarray, shifts: np.ndarray | None) -> np.ndarray:
        """Transforms (n, 2 b, b + 1) of the padded images with pixel b // 2 of the box at the origin."""
        size, edge = _PAD * self.box, (_PAD - 1) * self.box // 2
        padded = np.pad(images.astype(np.float32), ((0, 0), (edge, edge), (edge, edge)))
        spectrum = rfft2(ifftshift(padded, axes=(1, 2)))
        if shifts is None:
            return spectrum
        along_y = np.exp(-2j * np.pi * shifts[:, :1] * np.fft.fftfreq(size))[:, :, None]
        along_x = np.exp(-2j * np.pi * shifts[:, 1:] * np.fft.rfftfreq(size))[:, None, :]
        return spectrum * along_y.astype(np.complex64) * along_x.astype(np.complex64)


@numba.njit(cache=True)
def _insert(slices: np.ndarray, transfer: np.ndarray, turns: np.ndarray, data: np.ndarray, weight: np.ndarray) -> None:
    """Add slices (n, s, s // 2 + 1), turned by (n, k, 3, 3), to the half transform of a map, weighted by their CTF.

    `transfer` (n or 1, s, s // 2 + 1) is the CTF of each or of all.
    """
    size = data.shape[0]
    half = size // 2
    for n in range(len(slices)):
        ctf = transfer[n if len(transfer) > 1 else 0]
        for turn in turns[n]:
            for row in range(size):
                v = row if row < half else row - size
                for u in range(half):
                    if u * u + v * v >= half * half or (u == 0 and v < 0):
                        continue  # v < 0 at u = 0 is the conjugate of v > 0
                    x = turn[0, 0] * u + turn[0, 1] * v
                    y = turn[1, 0] * u + turn[1, 1] * v
                    z = turn[2, 0] * u + turn[2, 1] * v
                    value = slices[n, row, u] * ctf[row, u]
                    power = ctf[row, u] ** 2
                    if x < 0:
                        x, y, z = -x, -y, -z
                        value = np.conj(value)
                    x0, y0, z0 = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
                    for k in range(2):
                        share_z = 1 - abs(z - z0 - k)
                        c = z0 + k if z0 + k >= 0 else z0 + k + size
                        for j in range(2):
                            share_y = share_z * (1 - abs(y - y0 - j))
                            b = y0 + j if y0 + j >= 0 else y0 + j + size
                            for i in range(2):
                                share = share_y * (1 - abs(x - x0 - i))
                                data[c, b, x0 + i] += share * value
                                weight[c, b, x0 + i] += share * power


@numba.njit(cache=True)
def _turn(data: np.ndarray, weight: np.ndarray, turns: np.ndarray, whole: np.ndarray, total: np.ndarray) -> None:
    """Add the half transform of a map and its weights, turned by (k, 3, 3) integer matrices, to `whole` and `total`.

    The plane x = 0 of what was inserted holds k and -k, which are each other's conjugates: both count.
    """
    size = data.shape[0]
    half = size // 2
    for a in range(size):
        z = a if a <= half else a - size
        for b in range(size):
            y = b if b <= half else b - size
            for x in range(half + 1):
                if x * x + y * y + z * z > half * half + half:
                    continue
                for turn in turns:  # the inverse of a rotation is its transpose
                    x0 = turn[0, 0] * x + turn[1, 0] * y + turn[2, 0] * z
                    y0 = turn[0, 1] * x + turn[1, 1] * y + turn[2, 1] * z
                    z0 = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2] * z
                    if x0 >= 0:
                        whole[a, b, x] += data[z0 % size, y0 % size, x0]
                        total[a, b, x] += weight[z0 % size, y0 % size, x0]
                    if x0 <= 0:
                        whole[a, b, x] += np.conj(data[-z0 % size, -y0 % size, -x0])
                        total[a, b, x] += weight[-z0 % size, -y0 % size, -x0]
