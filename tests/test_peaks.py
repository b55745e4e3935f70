import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import signal

from drpnet.config import DetectionConfig
from drpnet.peaks import find_peaks, smooth_map, smooth_with_even_kernel, suppress_neighbours
from drpnet.targets import cone_map

SHARP = DetectionConfig(smoothing_sigma_diameters=0, threshold=0.05, minimum_distance_diameters=0)


def test_cones_are_found_at_their_centres_strongest_first():
    centres = np.array([[20.0, 30.0], [50.0, 22.0], [40.0, 60.0]])
    heights = np.array([0.5, 1.0, 0.8])
    surface = np.max(
        [h * cone_map((80, 90), c[None], 8) for h, c in zip(heights, centres, strict=True)], axis=0
    )
    peaks = find_peaks(surface, 20, SHARP)
    np.testing.assert_allclose(peaks.centres, centres[[1, 2, 0]])
    np.testing.assert_allclose(peaks.heights, [1, 0.8, 0.5], atol=1e-6)
    smoothed = find_peaks(surface, 20, DetectionConfig())
    np.testing.assert_allclose(smoothed.centres, peaks.centres, atol=0.05)


def test_a_plateau_gives_its_centroid():
    surface = np.zeros((30, 30), np.float32)
    surface[10:13, 5:11] = 1
    np.testing.assert_allclose(find_peaks(surface, 10, SHARP).centres, [[11, 7.5]])


def test_levels_count_how_far_a_peak_stands_out():
    surface = np.zeros((20, 80), np.float32)
    rises = [0.04, 0.07, 0.12, 0.3]
    for i, rise in enumerate(rises):
        surface[10, 10 + 20 * i] = rise
    peaks = find_peaks(surface, 10, SHARP)
    order = np.argsort(peaks.centres[:, 1])
    # a maximum counts at k x 0.05 when it rises by more than that, else it is flattened into its surroundings
    assert peaks.levels[order].tolist() == [1, 2, 3]
    np.testing.assert_allclose(peaks.centres[order, 1], [30, 50, 70])
    at_two = DetectionConfig(
        smoothing_sigma_diameters=0, threshold=0.05, minimum_level=2, minimum_distance_diameters=0
    )
    assert len(find_peaks(surface, 10, at_two).heights) == 2


def test_a_shoulder_on_a_higher_peak_keeps_its_own_low_level():
    surface = np.maximum(cone_map((40, 60), np.array([[20.0, 20.0]]), 15), 0)
    surface[20, 30] += 0.15  # 0.083 above its neighbour on the slope
    peaks = find_peaks(surface, 20, SHARP)
    assert peaks.levels.tolist() == [3, 1]
    np.testing.assert_allclose(peaks.centres, [[20, 20], [20, 30]])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 2))
def test_candidates_keep_the_minimum_distance_and_the_strongest_stay(seed, minimum):
    rng = np.random.default_rng(seed)
    surface = rng.random((48, 40)).astype(np.float32)
    config = DetectionConfig(threshold=0.02, minimum_distance_diameters=minimum)
    peaks = find_peaks(surface, 8, config)
    assert (np.diff(peaks.heights) <= 0).all()
    apart = np.linalg.norm(peaks.centres[:, None] - peaks.centres[None], axis=2) + 1e9 * np.eye(
        len(peaks.centres)
    )
    assert len(peaks.centres) == 1 or apart.min() >= minimum * 8 * (1 - 1e-6)
    every = find_peaks(surface, 8, DetectionConfig(threshold=0.02, minimum_distance_diameters=0))
    assert peaks.heights[0] == every.heights[0]


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int64, st.tuples(st.integers(0, 12), st.just(2)), elements=st.integers(0, 1000)), st.integers(0, 600)
)
def test_suppression_equals_the_greedy_loop(hundredths, minimum_hundredths):
    centres, minimum = hundredths / 100, minimum_hundredths / 100
    kept: list[int] = []
    for i, centre in enumerate(centres):
        if all(np.hypot(*(centre - centres[j])) > minimum * (1 - 1e-9) for j in kept):
            kept.append(i)
    expected = np.isin(np.arange(len(centres)), kept if minimum > 0 else np.arange(len(centres)))
    np.testing.assert_array_equal(suppress_neighbours(centres, minimum), expected)


def test_candidates_near_an_edge_go_when_a_border_is_asked_for():
    surface = np.zeros((60, 70), np.float32)
    for y, x in [(4, 30), (30, 5), (56, 30), (30, 64), (30, 35), (10, 10), (49, 59)]:
        surface[y, x] = 1
    border = DetectionConfig(smoothing_sigma_diameters=0, border_diameters=0.5)
    assert sorted(map(tuple, find_peaks(surface, 20, border).centres)) == [(10, 10), (30, 35), (49, 59)]
    assert len(find_peaks(surface, 20, SHARP).centres) == 7


def test_a_candidate_outside_the_border_suppresses_nobody_inside():
    surface = np.zeros((40, 40), np.float32)
    surface[20, 4], surface[20, 6] = 1, 0.9
    config = DetectionConfig(smoothing_sigma_diameters=0, border_diameters=0.25, minimum_distance_diameters=1)
    np.testing.assert_allclose(find_peaks(surface, 20, config).centres, [[20, 6]])


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.2, -3.0])
def test_a_flat_map_has_no_candidates(normalise, value):
    config = DetectionConfig(normalise_map=normalise)
    peaks = find_peaks(np.full((50, 40), value, np.float32), 20, config)
    assert peaks.centres.shape == (0, 2) and len(peaks.heights) == len(peaks.levels) == 0


def test_faint_noise_has_no_candidates_unless_each_map_is_normalised():
    noise = 0.003 * np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    assert len(find_peaks(noise, 20, DetectionConfig()).heights) == 0
    assert len(find_peaks(noise, 20, DetectionConfig(normalise_map=True)).heights) > 0


@pytest.mark.parametrize("sigma", [0.2, 2, 4, 5.5])
def test_the_even_kernel_equals_the_full_convolution_cut_as_matlab_cuts_it(sigma):
    """MATLAB: fspecial('gaussian', n, sigma) with n = 6 sigma, then conv2(map, kernel, 'same')."""
    image = np.random.default_rng(0).random((40, 53))
    n = 2 * max(1, round(3 * sigma))
    rows, columns = np.mgrid[:n, :n] - (n - 1) / 2
    kernel = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
    full = signal.convolve2d(image, kernel / kernel.sum())
    start = n // 2  # ceil((n - 1) / 2), counted from 0
    found = smooth_with_even_kernel(image, sigma)
    np.testing.assert_allclose(found, full[start : start + 40, start : start + 53], atol=1e-12)


def test_the_even_kernel_moves_a_spot_by_half_a_pixel():
    surface = np.zeros((60, 60), np.float32)
    surface[30, 25] = 1
    config = DetectionConfig(smoothing_sigma_px=3, even_kernel=True, normalise_map=True, threshold=1e-4)
    np.testing.assert_allclose(find_peaks(surface, 20, config).centres, [[29.5, 24.5]], atol=1e-6)


def test_the_map_is_normalised_and_rounded_before_it_is_smoothed():
    surface = np.full((50, 50), -0.02, np.float32)
    surface[10, 12], surface[30, 31] = 0.25, 0.1
    rounding = DetectionConfig(normalise_map=True, eight_bit=True, smoothing_sigma_diameters=0)
    found = smooth_map(surface, 20, rounding)
    assert found[10, 12] == 1 and found[30, 31] == pytest.approx(102 / 255) and np.count_nonzero(found) == 2
    smoothing = DetectionConfig(normalise_map=True, eight_bit=True, smoothing_sigma_px=4, first_smoothing_px=2)
    peak = smooth_map(surface, 20, smoothing)[10, 12]
    assert peak == pytest.approx(1 / (2 * np.pi * (4**2 + 2**2)), rel=0.02)
    assert smooth_map(surface, 20, DetectionConfig(smoothing_sigma_diameters=0)).min() == np.float32(-0.02)


def test_the_threshold_in_pixels_of_smoothing_overrides_diameters():
    rng = np.random.default_rng(1)
    surface = rng.random((60, 60)).astype(np.float32)
    by_px = find_peaks(surface, 20, DetectionConfig(smoothing_sigma_px=3, smoothing_sigma_diameters=0.7))
    by_diameter = find_peaks(surface, 20, DetectionConfig(smoothing_sigma_diameters=0.15))
    np.testing.assert_allclose(by_px.centres, by_diameter.centres)
