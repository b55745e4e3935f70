"""Views and HEALPix pixels against the published formulas, brute force and the paper's arithmetic."""

import numpy as np
import pytest
from astropy_healpix import healpy
from scipy.spatial import cKDTree

from drpnet.reconstruction.symmetry import fold, in_unit, parse_symmetry
from drpnet.reconstruction.views import (
    ViewCounts,
    attainable,
    directions,
    expected_occupied,
    pixel_centres,
    pixels,
    rot_and_tilt,
    upper,
)


def random_angles(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-180, 180, count), np.rad2deg(np.arccos(rng.uniform(-1, 1, count)))


def ring_pixel(nside, z, phi):
    """Gorski et al. 2005, in the ring scheme, one view at a time."""
    za, tt = abs(z), (phi % (2 * np.pi)) / (np.pi / 2)
    if za <= 2 / 3:
        up = int(np.floor(nside * (0.5 + tt) - nside * 0.75 * z))
        down = int(np.floor(nside * (0.5 + tt) + nside * 0.75 * z))
        ring = nside + 1 + up - down
        shift = 1 - ring % 2
        place = (up + down - nside + shift + 1) // 2 % (4 * nside)
        return 2 * nside * (nside - 1) + (ring - 1) * 4 * nside + place
    part = tt - np.floor(tt)
    root = nside * np.sqrt(3 * (1 - za))
    up, down = int(np.floor(part * root)), int(np.floor((1 - part) * root))
    ring = up + down + 1
    place = int(np.floor(tt * ring)) % (4 * ring)
    return 2 * ring * (ring - 1) + place if z > 0 else 12 * nside**2 - 2 * ring * (ring + 1) + place


@pytest.mark.parametrize("nside", [1, 4, 32])
def test_pixels_are_those_of_the_published_formulas(nside):
    rot, tilt = random_angles(2000)
    found = healpy.nest2ring(nside, pixels(directions(rot, tilt), nside))
    slow = [ring_pixel(nside, np.cos(np.deg2rad(t)), np.deg2rad(r)) for r, t in zip(rot, tilt, strict=True)]
    np.testing.assert_array_equal(found, slow)


def test_a_pixel_is_near_its_centre_and_all_have_one_area():
    views = directions(*random_angles(200_000))
    number = pixels(views)
    away = np.rad2deg(np.arccos(np.clip((views * pixel_centres()[number]).sum(axis=1), -1, 1)))
    assert away.max() < 1.9
    assert (cKDTree(pixel_centres()).query(views)[1] == number).mean() > 0.9
    counts = np.bincount(number, minlength=12288)
    assert counts.var() == pytest.approx(counts.mean(), rel=0.05)  # Poisson


def test_angles_and_views_are_each_others_inverse():
    rot, tilt = random_angles(100)
    np.testing.assert_allclose(rot_and_tilt(directions(rot, tilt)), (rot, tilt), atol=1e-6)
    np.testing.assert_allclose(directions(np.array([0.0, 90.0]), np.array([90.0, 90.0])), [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_the_attainable_minima_are_those_of_the_papers_arithmetic():
    """C4 and D2 of Table 3: 9,152 and 9,168 views are missing whatever is picked."""
    assert 12288 - np.count_nonzero(attainable("C4")) == 9152
    assert 12288 - np.count_nonzero(attainable("D2")) == 9168
    rot, _ = rot_and_tilt(pixel_centres()[in_unit(pixel_centres(), "D2")])
    assert np.count_nonzero((rot > -1) & (rot < 179.9)) == 3104  # without the equivalents at 180
    for name, order in {"C1": 1, "C4": 4, "D2": 4, "T": 12, "O": 24, "I": 60}.items():
        assert attainable(parse_symmetry(name)).sum() == pytest.approx(12288 / order, rel=0.01)


@pytest.mark.parametrize("name", ["C4", "D2", "O"])
def test_particles_fill_only_what_is_attainable(name):
    counts = ViewCounts(name)
    rot, tilt = rot_and_tilt(fold(directions(*random_angles(400_000)), name))
    for part in np.array_split(np.arange(len(rot)), 3):
        counts.add(rot[part], tilt[part])
    found = counts.missing()
    assert found.raw == pytest.approx(found.attainable_minimum, abs=3)
    assert found.in_unit <= 3 and found.unit_total == 12288 - found.attainable_minimum
    assert counts.particles == 400_000


@pytest.mark.parametrize(("particles", "missing"), [(23_147, 1868), (49_582, 217), (41_914, 406)])
def test_random_views_leave_what_poisson_says(particles, missing):
    counts = ViewCounts("C1")
    counts.add(*random_angles(particles, seed=3))
    found = counts.missing()
    assert found.uniform == pytest.approx(missing, abs=1)
    assert found.raw == found.in_unit == pytest.approx(missing, abs=5 * np.sqrt(missing))


def test_rarefaction_is_the_mean_of_random_subsets():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, 60)
    members = np.repeat(np.arange(60), counts)
    for size in (1, 20, len(members)):
        drawn = [len(np.unique(rng.choice(members, size, replace=False))) for _ in range(2000)]
        assert expected_occupied(counts, size) == pytest.approx(np.mean(drawn), abs=0.15)


def test_a_view_and_its_opposite_are_one_plane():
    views = np.array([[0, 0, -1.0], [0, -1, 0], [-1, 0, 0], [0.6, 0, -0.8], [0, 0, 1]])
    np.testing.assert_allclose(upper(views), [[0, 0, 1], [0, 1, 0], [1, 0, 0], [-0.6, 0, 0.8], [0, 0, 1]])
    np.testing.assert_allclose(upper(-views), upper(views))
