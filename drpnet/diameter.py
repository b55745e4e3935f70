"""Whether another particle diameter would find far more: the one number that a user gives may be wrong."""

from dataclasses import dataclass

import numpy as np

from drpnet.cascade import Picker
from drpnet.config import PRESETS
from drpnet.errors import InputError

FACTORS = (0.7, 1.4, 2.0)
FAR_MORE, LEAST = 1.5, 30.0
"""How many times as much another diameter must find, and how many particles at least, before it is worth a word."""


@dataclass(frozen=True)
class OtherDiameter:
    """A diameter in Angstrom that finds more, and the picks of a micrograph there and at the given one."""

    diameter: float
    picks: int
    given_picks: int


def better_diameter(
    picker: Picker, image: np.ndarray, pixel_size: float, diameter: float, threshold: float = PRESETS["balanced"]
) -> OtherDiameter | None:
    """Of the given diameter times `FACTORS`, the one that finds far more in a micrograph (h, w); None where none does.

    Picks reach the threshold, and are counted by their figures of merit. A smaller diameter must cover more of the micrograph,
    since there is room for more of anything that small; of a larger one more picks are enough. Left out are diameters too large
    for the image, and those of fewer px than the network sees: an enlarged image has nothing more to show.
    """
    given_picks, given = _found(picker, image, pixel_size, diameter, threshold)
    counted: dict[float, float] = {}
    picks: dict[float, int] = {}
    for factor in FACTORS:
        if factor * diameter / pixel_size < picker.model.preprocess.particle_diameter_px:
            continue
        try:
            picks[factor], particles = _found(picker, image, pixel_size, factor * diameter, threshold)
        except InputError:
            continue
        counted[factor] = particles * min(1.0, factor) ** 2
    most = max(counted.values(), default=0.0)
    if most <= max(FAR_MORE * given, LEAST):
        return None
    nearly = [factor for factor, number in counted.items() if number > 0.9 * most]
    factor = min(nearly, key=lambda one: abs(np.log(one)))
    return OtherDiameter(factor * diameter, picks[factor], given_picks)


def _found(picker: Picker, image: np.ndarray, pixel_size: float, diameter: float, threshold: float) -> tuple[int, float]:
    """How many picks, and how many of them are particles by their figures of merit."""
    merit = picker.pick(image, pixel_size, diameter).figure_of_merit
    kept = merit[merit >= threshold]
    return len(kept), float(kept.sum())
