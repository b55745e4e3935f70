"""Recall by view: what is lost shows, what only the ice took does not."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from drpnet.maps.view_recall import canonical_pixels, recall_by_view, recall_map, uniformity, view_pixels
from drpnet.reconstruction.symmetry import symmetry_matrices
from drpnet.reconstruction.views import directions, rot_and_tilt
from drpnet.simulation.micrograph import draw_orientations


@pytest.fixture(scope="module")
def crowd(simulation):
    """As if the simulation had 2,000 particles."""
    rng = np.random.default_rng(0)
    angles = draw_orientations(rng, 2000)
    return replace(simulation, angles=angles, micrograph=np.arange(2000) % len(simulation.names), centres=np.zeros((2000, 2)))


def test_a_picker_that_loses_side_views_is_found_out(crowd):
    height = np.abs(np.cos(np.deg2rad(crowd.angles[:, 1])))
    found = np.random.default_rng(1).random(len(height)) < 0.6 + 0.3 * height
    recall = recall_by_view(crowd, found, "C4")
    low, high = recall.side_minus_axis_interval
    assert low < -0.15 < high < 0 and recall.p_uniform < 0.01
    assert recall.recall[0] < recall.recall[-1] and sum(recall.particles) == 2000
    expected = [found[(height >= i / 5) & (height < (i + 1) / 5)].mean() for i in range(5)]
    np.testing.assert_allclose(recall.recall, expected)


def test_what_a_whole_micrograph_loses_is_no_matter_of_views(crowd):
    rng = np.random.default_rng(2)
    found = (crowd.micrograph != 3) & (rng.random(len(crowd.angles)) < 0.8)
    recall = recall_by_view(crowd, found, "C4")
    assert recall.side_minus_axis_interval[0] < 0 < recall.side_minus_axis_interval[1]
    assert recall.p_uniform > 0.05
    assert uniformity(np.zeros(10, int), np.zeros(10, int), np.arange(10) > 4) == 1.0


def test_p_is_that_of_all_exchanges():
    pixel, found = np.array([0, 0, 0, 1, 1, 1, 2, 2]), np.array([1, 1, 1, 0, 0, 0, 1, 0], bool)

    def unevenness(hits):
        return sum((hits[pixel == p].mean() - 0.5) ** 2 * (pixel == p).sum() for p in range(3))

    draws = []
    for chosen in combinations(range(8), 4):
        hits = np.zeros(8)
        hits[list(chosen)] = 1
        draws.append(unevenness(hits) >= unevenness(found.astype(float)) - 1e-9)
    assert uniformity(pixel, np.zeros(8, int), found) == pytest.approx(np.mean(draws), abs=0.03)


@pytest.mark.parametrize("symmetry", ["C1", "C4", "D2"])
def test_copies_and_opposites_are_one_direction(symmetry):
    angles = draw_orientations(np.random.default_rng(0), 300)
    view = directions(*angles[:, :2].T)
    own = view_pixels(angles, symmetry)
    for matrix in symmetry_matrices(symmetry):
        for sign in (1, -1):
            rot, tilt = rot_and_tilt(sign * view @ matrix.T)
            np.testing.assert_array_equal(view_pixels(np.stack([rot, tilt, 0 * rot], 1), symmetry), own)
    copies = 2 * len(symmetry_matrices(symmetry))
    assert 192 / copies <= len(np.unique(canonical_pixels(symmetry))) <= 192 / copies + 20


def test_the_map_counts_every_particle_in_all_pixels_of_its_direction(crowd):
    found = np.arange(2000) % 3 > 0
    total, hits = recall_map(crowd, found, "C4")
    first = np.unique(canonical_pixels("C4"))
    assert total[first].sum() == 2000 and hits[first].sum() == found.sum()
    np.testing.assert_array_equal(total, total[canonical_pixels("C4")])
