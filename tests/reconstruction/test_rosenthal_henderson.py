"""The line through ln N and 1 / d^2, against numpy's and scipy's fits."""

import numpy as np
import pytest
from scipy.stats import linregress

from drpnet.errors import InputError
from drpnet.reconstruction.rosenthal_henderson import fit_rosenthal_henderson

PARTICLES = np.array([600, 1200, 2400, 4800, 9600, 20000])


def test_exact_points_give_their_b_factor():
    resolutions = 1 / np.sqrt(2 / 120 * np.log(PARTICLES) - 0.05)
    fit = fit_rosenthal_henderson(PARTICLES, resolutions)
    assert fit.b_factor == pytest.approx(120) and fit.intercept == pytest.approx(-0.05)
    np.testing.assert_allclose(fit.resolution(PARTICLES), resolutions)
    assert fit.resolution(np.array([2]))[0] == np.inf
    assert fit.b_factor_interval == pytest.approx((120, 120))


def test_noisy_points_give_scipys_line_and_interval():
    rng = np.random.default_rng(0)
    y = 2 / 120 * np.log(PARTICLES) - 0.05 + rng.normal(0, 0.004, len(PARTICLES))
    fit = fit_rosenthal_henderson(PARTICLES, 1 / np.sqrt(y))
    theirs = linregress(np.log(PARTICLES), y)
    assert (fit.slope, fit.intercept) == pytest.approx((theirs.slope, theirs.intercept))
    low, high = fit.b_factor_interval
    assert 2 / low - 2 / high == pytest.approx(2 * 2.776445 * theirs.stderr, rel=1e-5)


def test_what_has_no_line():
    with pytest.raises(InputError, match="needs two numbers of particles or more, got 1"):
        fit_rosenthal_henderson(np.array([100, 100]), np.array([4.0, 4.1]))
    with pytest.raises(InputError, match="does not improve with the number of particles"):
        fit_rosenthal_henderson(PARTICLES, np.linspace(4, 5, 6))
    assert fit_rosenthal_henderson(PARTICLES[:2], np.array([5.0, 4.0])).b_factor_interval is None
