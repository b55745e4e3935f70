"""The contrast transfer function of a whole frame, signed so that particles are dark."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from torch_ctf import calculate_ctf_2d


@dataclass(frozen=True)
class Optics:
    """What the microscope did: defocus in Angstrom, `defocus_angle` (rlnDefocusAngle) in degrees."""

    defocus_u: float
    defocus_v: float
    defocus_angle: float
    voltage_kv: float
    spherical_aberration_mm: float
    amplitude_contrast: float
    b_factor: float


def transfer(optics: Optics, shape: tuple[int, int], pixel_size: float) -> np.ndarray:
    """CTF times envelope, float32 (h, w // 2 + 1) in rfft order; negative at low frequency: dense is dark."""
    ctf = calculate_ctf_2d(
        defocus=(optics.defocus_u + optics.defocus_v) / 2e4,
        astigmatism=(optics.defocus_u - optics.defocus_v) / 2e4,
        astigmatism_angle=optics.defocus_angle,
        voltage=optics.voltage_kv,
        spherical_aberration=optics.spherical_aberration_mm,
        amplitude_contrast=optics.amplitude_contrast,
        phase_shift=0.0,
        pixel_size=pixel_size,
        image_shape=shape,
        rfft=True,
        fftshift=False,
    ).numpy()
    square = np.fft.fftfreq(shape[0], pixel_size)[:, None] ** 2 + np.fft.rfftfreq(shape[1], pixel_size) ** 2
    envelope = np.exp(-optics.b_factor / 4 * square).astype(np.float32)
    return -ctf * envelope


def padded_shape(shape: tuple[int, int], margin: int) -> tuple[int, int]:
    """Even shape for fast transforms with at least `margin` px on every side of (h, w)."""
    height, width = (2 * next_fast_len((n + 1) // 2 + margin, real=True) for n in shape)
    return height, width


def apply_transfer(phase: np.ndarray, transfer_function: np.ndarray) -> np.ndarray:
    """Contrast (h, w) float32 of a weak phase map (h, w), whose edges are periodic."""
    return irfft2(rfft2(phase) * transfer_function, s=phase.shape).astype(np.float32, copy=False)
