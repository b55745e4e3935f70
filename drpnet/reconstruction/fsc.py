"""Fourier shell correlation of two half maps: raw, masked, corrected for the mask; resolution and signal-to-noise ratio.

Maps are (b, b, b) in any axis order, both the same. Shell i holds the Fourier voxels whose distance from the origin rounds to
i, i = 0 .. b // 2, and is the spatial frequency i / (b * voxel_size). Shells, their sums over the half transform, and
the correction are RELION's (postprocessing.cpp), so that the numbers can be compared to the digit.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfftn, rfftn

from drpnet.errors import InputError

GOLD_STANDARD = 0.143
"""Threshold for independently refined halves; 0.5 for halves of one refinement (paper, 3.4.2)."""
_RANDOMISE_BELOW = 0.8


@dataclass(frozen=True)
class Fsc:
    """Curves (b // 2 + 1,) by shell; without a mask `unmasked` and `corrected` are the same and the others None."""

    frequency: np.ndarray
    """1 / Angstrom."""
    unmasked: np.ndarray
    masked: np.ndarray | None
    randomised: np.ndarray | None
    corrected: np.ndarray
    randomised_from: int | None
    """First shell whose phases were drawn at random."""


def shells(box: int) -> np.ndarray:
    """Shell number (b, b, b // 2 + 1) of every voxel of a half transform."""
    full = np.fft.fftfreq(box, 1 / box)
    half = np.fft.rfftfreq(box, 1 / box)
    return np.rint(np.sqrt(full[:, None, None] ** 2 + full[:, None] ** 2 + half**2)).astype(np.int32)


def shell_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """FSC (b // 2 + 1,) of two half transforms (b, b, b // 2 + 1); 0 where a shell of either is empty (Eq. 5)."""
    box = len(first)
    number = shells(box).ravel()

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(number, values.ravel().astype(float))[: box // 2 + 1]

    power = total(np.abs(first) ** 2) * total(np.abs(second) ** 2)
    cross = total((first * second.conj()).real)
    return np.divide(cross, np.sqrt(power), out=np.zeros_like(cross), where=power > 0)


def half_map_fsc(
    first: np.ndarray, second: np.ndarray, voxel_size: float, mask: np.ndarray | None = None, seed: int = 0
) -> Fsc:
    """FSC of two half maps, `voxel_size` in Angstrom; with a mask (0 to 1) also masked and corrected.

    The correction masks a second pair of maps whose phases are random from where the unmasked FSC falls below 0.8
    (Chen et al., Ultramicroscopy 135:24, 2013): what they still correlate comes from the mask. Raises InputError for
    maps or masks of different boxes, or of a box that is not a cube.
    """
    box = _same_cube(first, second, mask)
    transforms = [rfftn(volume) for volume in (first, second)]
    frequency = np.arange(box // 2 + 1) / (box * voxel_size)
    unmasked = shell_correlation(*transforms)
    if mask is None:
        return Fsc(frequency, unmasked, None, None, unmasked, None)
    masked = shell_correlation(*(rfftn(volume * mask) for volume in (first, second)))
    below = np.flatnonzero(unmasked[1:] < _RANDOMISE_BELOW)
    start = int(below[0]) + 1 if len(below) else len(unmasked)
    rng = np.random.default_rng(seed)
    noise = [irfftn(randomise_phases(transform, start, rng), s=(box,) * 3) for transform in transforms]
    randomised = shell_correlation(*(rfftn(volume * mask) for volume in noise))
    return Fsc(frequency, unmasked, masked, randomised, correct(masked, randomised, start), start)


def randomise_phases(transform: np.ndarray, start: int, rng: np.random.Generator) -> np.ndarray:
    """The half transform (b, b, b // 2 + 1) with random phases at |k| >= `start`, amplitudes kept."""
    box = len(transform)
    full, half = np.fft.fftfreq(box, 1 / box), np.fft.rfftfreq(box, 1 / box)
    beyond = full[:, None, None] ** 2 + full[:, None] ** 2 + half**2 >= start**2
    phases = rng.uniform(0, 2 * np.pi, np.count_nonzero(beyond))
    randomised = transform.copy()
    randomised[beyond] = np.abs(transform[beyond]) * np.exp(1j * phases)
    return randomised


def correct(masked: np.ndarray, randomised: np.ndarray, start: int) -> np.ndarray:
    """FSC without the mask's part: the masked one below shell `start` + 2, (m - r) / (1 - r) from there."""
    corrected = masked.copy()
    m, r = masked[start + 2 :], randomised[start + 2 :]
    corrected[start + 2 :] = (m - r) / np.maximum(1 - r, 1e-12)
    return corrected


def resolution(curve: np.ndarray, frequency: np.ndarray, threshold: float, *, interpolate: bool = False) -> float:
    """Resolution in Angstrom where a curve first falls below the threshold, from shell 1 on.

    As RELION: that of the last shell before; interpolated: of the straight line between the two. Nyquist where it never
    falls; inf where it starts below.
    """
    below = np.flatnonzero(curve[1:] < threshold)
    if not len(below):
        return float(1 / frequency[-1])
    after = int(below[0]) + 1
    place = frequency[after - 1]
    if interpolate and after > 1:
        drop = curve[after - 1] - curve[after]
        place = place + (frequency[after] - place) * (curve[after - 1] - threshold) / drop
    return float(1 / place) if place > 0 else np.inf


def ssnr(curve: np.ndarray, *, halves: bool = True) -> np.ndarray:
    """Spectral signal-to-noise ratio of an FSC: 2 FSC / (1 - FSC) of the whole from its halves (Eq. 7), else Eq. 6.

    Zero where the FSC is negative, inf where it is 1.
    """
    positive = np.clip(curve, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        return (2.0 if halves else 1.0) * positive / (1 - positive)


def fsc_of_ssnr(ratio: np.ndarray, *, halves: bool = True) -> np.ndarray:
    """The inverse of `ssnr`."""
    signal = np.asarray(ratio, float)
    return signal / (signal + (2.0 if halves else 1.0))


def weighted_mean(first: np.ndarray, second: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The mean of half maps (b, b, b) weighted by C_ref = sqrt(2 FSC / (1 + FSC)) up to where `curve` falls below 0.143.

    Rosenthal and Henderson's figure of merit (J Mol Biol 333:721, 2003): a map shows what it knows and no more.
    """
    box = _same_cube(first, second, None)
    positive = np.clip(curve, 0, 1)
    below = np.flatnonzero(curve[1:] < GOLD_STANDARD)
    weight = np.zeros(int(shells(box).max()) + 1)
    known = int(below[0]) + 1 if len(below) else len(curve)
    weight[:known] = np.sqrt(2 * positive / (1 + positive))[:known]
    return irfftn(rfftn((first + second) / 2) * weight[shells(box)], s=(box,) * 3).astype(np.float32)


def _same_cube(first: np.ndarray, second: np.ndarray, mask: np.ndarray | None) -> int:
    if first.shape != second.shape:
        raise InputError(
            f"the half maps have boxes {first.shape} and {second.shape}; give two halves of one refinement"
        )
    if len(set(first.shape)) != 1:
        raise InputError(f"the half maps are {first.shape} voxels; FSC needs a cube")
    if mask is not None and mask.shape != first.shape:
        raise InputError(f"the mask has box {mask.shape}, the half maps {first.shape}; give a mask made for them")
    return len(first)
