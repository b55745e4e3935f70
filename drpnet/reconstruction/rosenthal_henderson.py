"""Rosenthal-Henderson plot: inverse squared resolution against the logarithm of the number of particles.

J Mol Biol 333:721 (2003); as RELION's bfactor_plot.py, 1 / d^2 = slope ln N + intercept and B = 2 / slope (paper, 3.4.3).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from drpnet.errors import InputError


@dataclass(frozen=True)
class RosenthalHenderson:
    """A fit to `points` pairs of particles and resolution; `slope` in 1 / Angstrom^2 per e-fold of particles."""

    slope: float
    intercept: float
    b_factor: float
    """2 / slope, in Angstrom^2."""
    b_factor_interval: tuple[float, float] | None
    """95 %, from the standard error of the slope; None for two points, an end is inf where the slope may be 0."""
    points: int

    def resolution(self, particles: np.ndarray) -> np.ndarray:
        """Resolution in Angstrom that the line gives for a number of particles; inf where it has none."""
        inverse_square = self.slope * np.log(particles) + self.intercept
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(inverse_square > 0, 1 / np.sqrt(inverse_square), np.inf)


def fit_rosenthal_henderson(particles: np.ndarray, resolutions: np.ndarray) -> RosenthalHenderson:
    """The least-squares line through (ln N, 1 / d^2); `particles` and `resolutions` (Angstrom) are (n,).

    Raises InputError for fewer than two different numbers of particles, and for a line that does not rise: then more
    particles did not help and there is no B-factor.
    """
    x, y = np.log(np.asarray(particles, float)), 1 / np.asarray(resolutions, float) ** 2
    if len(np.unique(x)) < 2:
        raise InputError(f"a Rosenthal-Henderson fit needs two numbers of particles or more, got {len(np.unique(x))}")
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    intercept = float(y.mean() - slope * x.mean())
    if slope <= 0:
        raise InputError(
            f"resolution does not improve with the number of particles (slope {slope:.3g} 1/A^2); there is no B-factor: "
            "check that the subsets are random and of one refinement"
        )
    interval = None
    if len(x) > 2:
        residual = y - slope * x - intercept
        error = np.sqrt(residual @ residual / (len(x) - 2) / (centred @ centred))
        reach = float(student.ppf(0.975, len(x) - 2) * error)
        interval = 2 / (slope + reach), 2 / (slope - reach) if slope > reach else np.inf
    return RosenthalHenderson(slope, intercept, 2 / slope, interval, len(x))
