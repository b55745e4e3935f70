"""The Laplacian-of-Gaussian baseline on drawn discs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.log_picker import blob_answer, log_candidates
from drpnet.measures.matching import match_one_to_one

PLACES = np.array([[40.0, 45.0], [52.5, 150.0], [130.3, 60.7], [150.0, 160.0], [210.0, 100.2], [90.0, 235.0]])


def discs(
    places: np.ndarray, shape: tuple[int, int], radius: float, noise: float = 0.0, depth: float = 1.0
) -> np.ndarray:
    """Dark discs with soft edges on a bright, sloping background."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = 5 + 0.002 * y - 0.001 * x + np.random.default_rng(1).normal(0, noise, shape)
    for centre in places:
        distance = np.hypot(y - centre[0], x - centre[1])
        image -= depth * np.clip(radius + 0.5 - distance, 0, 1)
    return image.astype(np.float32)


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("shape", [(260, 281), (255, 270)])
def test_discs_under_noise_are_the_best_candidates(scale, shape):
    places = PLACES * scale
    image = discs(places, (shape[0] * scale, shape[1] * scale), 15.0 * scale, noise=1.0)
    centres, scores = log_candidates(image, 2.0, 60.0 * scale)
    assert (np.diff(scores) <= 0).all()
    result = match_one_to_one(centres[: len(places)], places, 3.0 * scale)
    assert len(result.pick_index) == len(places)
    assert scores[len(places) - 1] > 1.5 * scores[len(places)]


def test_positions_are_finer_than_the_reduced_frame():
    image = discs(PLACES * 4, (1040, 1120), 60.0)
    centres, _ = log_candidates(image, 1.0, 120.0)
    # one pixel of the reduced frame is 7.5 px
    assert match_one_to_one(centres[: len(PLACES)], PLACES * 4, 20.0).distance.max() < 1.5


def test_bright_discs_are_no_particles():
    image = discs(PLACES, (260, 281), 15.0, depth=-1.0)
    centres, _ = log_candidates(image, 1.0, 30.0)
    assert len(match_one_to_one(centres, PLACES, 7.0).pick_index) == 0


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_the_filter_answers_most_to_discs_of_its_own_size(wrong):
    place = np.array([[100.0, 100.0]])
    own, other = (
        float(blob_answer(discs(place, (201, 201), r), 32.0)[0].max()) for r in (16.0, 16.0 * wrong)
    )
    assert own > 1.3 * other


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 1000), st.floats(-100, 100))
def test_contrast_and_brightness_do_not_change_the_result(gain, offset):
    image = discs(PLACES, (260, 281), 15.0, noise=0.5).astype(np.float64)
    centres, scores = log_candidates(image, 1.0, 30.0)
    same, same_scores = log_candidates((image + offset) * gain, 1.0, 30.0)
    assert np.allclose(same[:6], centres[:6], atol=0.1)
    assert np.allclose(same_scores[:6], scores[:6], rtol=2e-3)


def test_a_large_offset_changes_no_candidate():
    image = np.round(20 * discs(PLACES, (260, 281), 15.0, noise=0.5)).astype(np.float32)
    centres, scores = log_candidates(image, 1.0, 60.0)
    same, same_scores = log_candidates(image + np.float32(1e7), 1.0, 60.0)
    assert np.array_equal(same, centres) and np.array_equal(same_scores, scores)


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_picks_turn_with_the_image(turn):
    image = discs(PLACES, (270, 270), 15.0, noise=0.5)
    marks = np.zeros(image.shape)
    marks[tuple(np.round(PLACES).astype(int).T)] = 1
    turned, _ = log_candidates(np.ascontiguousarray(turn(image)), 1.0, 30.0)
    assert len(match_one_to_one(turned[:6], np.argwhere(turn(marks)), 3.0).pick_index) == 6


def test_picks_keep_their_distance():
    image = np.random.default_rng(0).normal(size=(200, 220)).astype(np.float32)
    centres, _ = log_candidates(image, 1.0, 20.0, 0.6)
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 1e3 * np.eye(len(centres))
    assert len(centres) > 20 and gaps.min() >= 12.0 * (1 - 1e-6)


def test_a_blank_micrograph_has_no_candidates():
    centres, scores = log_candidates(np.full((100, 120), 3.0, np.float32), 1.0, 20.0)
    assert centres.shape == (0, 2) and scores.shape == (0,)


@pytest.mark.parametrize(
    ("diameter", "pixel_size"), [(0, 1), (-5, 1), (20, 0), (np.nan, 1), (3, 1), (300, 1)]
)
def test_a_particle_that_cannot_be_seen_is_refused(diameter, pixel_size):
    with pytest.raises(InputError, match="particle of"):
        log_candidates(np.zeros((100, 120), np.float32), pixel_size, diameter)
