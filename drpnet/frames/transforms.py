"""Ways in which written coordinates can differ from the pixels of their micrograph: flips, swaps, scales, offsets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

Shape = tuple[int, int]
WHOLE_FACTORS = (2, 3, 4, 5, 6, 8)
"""Binning factors that people use."""
USUAL_FACTORS = (*WHOLE_FACTORS, 1 / 2, 1 / 3, 1 / 4, 1.5, 2 / 3)


@dataclass(frozen=True)
class Transform:
    """How written centres become places in the micrograph: swap, scale, flip, then offset.

    A scale keeps pixel areas, not corners, aligned: `p -> (p - first + 0.5) * scale - 0.5`, as everywhere in drpnet.
    """

    swap: bool = False
    """x and y are exchanged."""
    flip_y: bool = False
    """Rows are counted from the last one."""
    flip_x: bool = False
    """Columns are counted from the last one."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Micrograph pixels per written unit along (y, x)."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Micrograph pixels to add along (y, x), after everything else."""
    first: int = 0
    """The number of the first pixel: 0, or 1 as MATLAB counts."""
    unit: str = field(default="", compare=False)
    """What is written in place of pixels, where the scale is one that has a name."""

    def apply(self, centres: np.ndarray, shape: Shape | np.ndarray) -> np.ndarray:
        """Written centres (n, 2) (y, x) in the pixels of a micrograph of `shape` (h, w), or of their own ones (n, 2)."""
        places = np.asarray(centres, float).reshape(-1, 2)
        places = places[:, ::-1] if self.swap else places
        places = (places - self.first + 0.5) * self.scale - 0.5
        return self._flipped(places, shape) + self.offset

    def inverse(self, places: np.ndarray, shape: Shape | np.ndarray) -> np.ndarray:
        """What would be written for places (n, 2) (y, x) of a micrograph of `shape` (h, w): undoes `apply`."""
        centres = self._flipped(np.asarray(places, float).reshape(-1, 2) - self.offset, shape)
        centres = (centres + 0.5) / self.scale - 0.5 + self.first
        return centres[:, ::-1] if self.swap else centres

    def _flipped(self, places: np.ndarray, shape: Shape | np.ndarray) -> np.ndarray:
        flips = np.array([self.flip_y, self.flip_x])
        return np.where(flips, np.asarray(shape) - 1 - places, places)

    @property
    def turned(self) -> bool:
        """Whether it swaps or flips."""
        return self.swap or self.flip_y or self.flip_x

    def words(self) -> str:
        """What it undoes, in a few words; "as written" for the identity."""
        parts = []
        if self.swap:
            parts.append("x and y swapped")
        if self.flip_y and self.flip_x:
            parts.append("both axes flipped")
        elif self.flip_y or self.flip_x:
            parts.append(f"{'y' if self.flip_y else 'x'} flipped")
        y, x = self.scale
        if self.unit:
            parts.append(f"in {self.unit}")
        elif y != x:
            parts.append(f"scaled (y {y:.4g}, x {x:.4g})")
        elif y != 1:
            parts.append(f"binned {y:g}x" if y in WHOLE_FACTORS else f"scale {y:.4g}")
        if self.first:
            parts.append("counted from 1")
        if any(self.offset):
            parts.append(f"offset (y {self.offset[0]:+.0f}, x {self.offset[1]:+.0f}) px")
        return ", ".join(parts) or "as written"


IDENTITY = Transform()
TURNS = tuple(
    Transform(swap=swap, flip_y=flip_y, flip_x=flip_x)
    for swap in (False, True)
    for flip_y in (False, True)
    for flip_x in (False, True)
)
"""The eight ways to turn and mirror a micrograph; the first is the identity."""


def single_faults(shapes: Sequence[Shape], diameter_px: float, pixel_size: float | None = None) -> list[Transform]:
    """One fault at a time: a turn, a usual scale, or a corner in place of the centre; the identity is not among them.

    With micrographs that are not square also the frame of a picture squeezed to a square; with `pixel_size` also
    coordinates in Angstrom; always fractions of the micrograph.
    """
    found = [*TURNS[1:], *(Transform(scale=s, unit=unit) for s, unit in _usual_scales(shapes, pixel_size).items())]
    return found + [Transform(offset=offset) for offset in corner_offsets(diameter_px)]


def double_faults(shapes: Sequence[Shape], diameter_px: float, pixel_size: float | None = None) -> list[Transform]:
    """Two or three faults at once: turns, usual scales and corners together, and corners of flipped boxes."""
    scales = {(1.0, 1.0): "", **_usual_scales(shapes, pixel_size)}
    offsets = [(0.0, 0.0), *corner_offsets(diameter_px), *corner_offsets(diameter_px, across=True)]
    single = set(single_faults(shapes, diameter_px, pixel_size)) | {IDENTITY}
    every = (
        Transform(turn.swap, turn.flip_y, turn.flip_x, scale, offset, unit=unit)
        for turn in TURNS
        for scale, unit in scales.items()
        for offset in offsets
    )
    return [transform for transform in every if transform not in single]


def any_scale(largest: float, step: float) -> Iterator[Transform]:
    """Every turn with every scale from 0.4 of the `largest` up to it, `step` apart in its logarithm."""
    count = int(np.ceil(np.log(1 / 0.4) / step)) + 1
    for scale in np.geomspace(0.4 * largest, largest, count):
        for turn in TURNS:
            yield Transform(turn.swap, turn.flip_y, turn.flip_x, (float(scale), float(scale)))


def corner_offsets(diameter_px: float, across: bool = False) -> list[tuple[float, float]]:
    """Half of the box from corner to centre, both ways, for boxes of 0.7 to 2.5 diameters; `across` the other diagonal."""
    sign = -1.0 if across else 1.0
    halves = np.arange(0.35, 1.26, 0.075) * diameter_px
    return [(way * sign * half, way * half) for half in halves.tolist() for way in (1.0, -1.0)]


def _usual_scales(shapes: Sequence[Shape], pixel_size: float | None) -> dict[tuple[float, float], str]:
    """Scales (y, x) that people use, with what is written in place of pixels where that has a name."""
    scales = {(factor, factor): "" for factor in USUAL_FACTORS}
    if pixel_size is not None and abs(pixel_size - 1) > 0.01:
        scales[1 / pixel_size, 1 / pixel_size] = "Angstrom"
    if len(set(shapes)) == 1:
        (height, width), *_ = shapes
        scales[float(height), float(width)] = "fractions of the micrograph"
        if height != width:
            sides = (512, 1024, 2048, 4096)
            scales.update({(height / side, width / side): f"a picture of {side} x {side} px" for side in sides})
    return scales
