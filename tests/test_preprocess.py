import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from drpnet.config import PreprocessConfig
from drpnet.errors import InputError
from drpnet.preprocess import (
    Frame,
    bin_by,
    clip_outliers,
    correct_illumination,
    network_frame,
    preprocess,
    released_scale,
    rescale,
    standardise,
    stretch_contrast,
)

RELEASED = PreprocessConfig(
    scale_rule="released",
    smoothing_before_px=2,
    stretch_percentiles=[1, 99],
    stretch_passes=2,
    mean_level=0.55,
    illumination_sigma_diameters=0,
    illumination_sigma_px=100,
    standardise=False,
    eight_bit=True,
    smoothing_after_px=3,
    smoothing_after_half_size_px=4,
    smoothing_reach_sigmas=2,
    half_size_pass=True,
)
PAPER = PreprocessConfig(
    particle_diameter_px=47.4,
    stretch_percentiles=[1, 99],
    stretch_passes=1,
    illumination_sigma_diameters=1,
    standardise=False,
)


def blob(shape, centre, sigma):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (2 * sigma**2)).astype(np.float32)


def centroid(image):
    return np.array(ndimage.center_of_mass(image.astype(np.float64)))


def noisy(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(200, 240), (201, 239), (199, 200)])
@pytest.mark.parametrize("factor", [0.5, 0.73, 1.0, 1.5, 2.0, 3.1, 4.0, 5.0, 8.0])
def test_a_blob_lands_where_the_convention_says(shape, factor):
    centre = np.array([88.3, 121.6])
    small, scale = rescale(blob(shape, centre, 12), pixel_size=1.5, target_pixel_size=1.5 * factor)
    expected = (centre + 0.5) / np.array(scale) - 0.5
    np.testing.assert_allclose(centroid(small), expected, atol=0.1)
    np.testing.assert_allclose(scale, np.array(shape) / small.shape)
    assert (np.abs(np.array(small.shape) - np.array(shape) / factor) <= 0.5 + 1e-9).all()
    assert small.dtype == np.float32 and small.flags.c_contiguous


@settings(max_examples=40, deadline=None)
@given(st.integers(40, 90), st.integers(40, 90), st.floats(0.4, 6))
def test_rescaling_keeps_a_constant_and_the_mean(height, width, factor):
    flat, _ = rescale(np.full((height, width), 3.5, np.float32), 1.0, factor)
    np.testing.assert_allclose(flat, 3.5, rtol=1e-5)
    slope = np.arange(height, dtype=np.float32)[:, None] * np.ones(width, np.float32)
    small, _ = rescale(slope, 1.0, factor)
    assert small.mean() == pytest.approx(slope.mean(), abs=0.1 * factor)


def test_rescaling_averages_instead_of_leaving_pixels_out():
    small, _ = rescale(noisy((400, 400)), 1.0, 4.0)
    assert small.std() < 0.4


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 9), st.floats(0.5, 9), st.floats(-100, 5000), st.floats(-100, 5000))
def test_frame_and_micrograph_coordinates_are_inverse(scale_y, scale_x, y, x):
    frame = Frame(np.zeros((4, 4), np.float32), 1.0, 20.0, (scale_y, scale_x))
    np.testing.assert_allclose(
        frame.to_micrograph(frame.from_micrograph(np.array([[y, x]]))), [[y, x]], atol=1e-6
    )
    assert frame.to_micrograph(np.empty((0, 2))).shape == (0, 2)


def test_a_corner_of_the_frame_is_a_corner_of_the_micrograph():
    frame = Frame(np.zeros((10, 10), np.float32), 3.0, 20.0, (3.0, 3.0))
    np.testing.assert_allclose(frame.to_micrograph(np.array([[-0.5, 0], [9.5, 4]])), [[-0.5, 1], [29.5, 13]])


@pytest.mark.parametrize("shape", [(256, 300), (257, 301)])
@pytest.mark.parametrize("sigma", [5, 20, 40])
def test_eq_1_equals_the_full_gaussian(shape, sigma):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = (noisy(shape) + 3 * rows / shape[0] + np.sin(columns / 60)).astype(np.float32) + 10
    background = ndimage.gaussian_filter(image.astype(np.float64), sigma, mode="reflect", truncate=5)
    expected = image - background + background.mean()
    found = correct_illumination(image, sigma)
    # the noise has a deviation of 1: the block-averaged background may be off by hundredths of it
    inner = (slice(sigma, -sigma), slice(sigma, -sigma))
    assert np.abs(found - expected)[inner].max() < 0.03
    assert np.abs(found - expected).max() < 0.1
    assert found.mean() == pytest.approx(image.mean(), abs=1e-4)
    assert found.dtype == np.float32


def test_eq_1_levels_a_gradient_and_keeps_small_things():
    shape = (240, 240)
    slope = np.linspace(0, 50, shape[0], dtype=np.float32)[:, None] * np.ones(shape[1], np.float32)
    spot = blob(shape, (120, 120), 4)
    found = correct_illumination(slope + spot, 30)
    middle = found[80:160, 80:160]
    assert np.ptp(middle[:, 0]) < 0.2
    assert middle[40, 40] - middle[40, 0] == pytest.approx(1, abs=0.05)


def test_a_crystal_wears_no_halo():
    rows, columns = np.mgrid[:300, :300]
    crystal = np.hypot(rows - 150, columns - 150) < 50
    beside = (np.hypot(rows - 150, columns - 150) < 80) & ~crystal
    image = noisy((300, 300)) - 20 * crystal
    plain, robust = correct_illumination(image, 30), correct_illumination(image, 30, 4.0)
    far = robust[:, :40].mean()
    assert plain[beside].mean() - plain[:, :40].mean() > 2
    assert abs(robust[beside].mean() - far) < 0.1
    assert robust[crystal].mean() - far < -19


def test_without_outliers_the_robust_average_is_eq_1():
    image = noisy((200, 210)) + np.linspace(0, 1, 210, dtype=np.float32)
    assert np.abs(correct_illumination(image, 25, 50.0) - correct_illumination(image, 25)).max() < 1e-3


def test_the_stretch_is_that_of_percentiles():
    image = noisy((80, 90)) * 30 + 100
    ordered = np.sort(image.ravel())
    low, high = ordered[round(0.01 * (ordered.size - 1))], ordered[round(0.99 * (ordered.size - 1))]
    found = stretch_contrast(image, 1, 99)
    np.testing.assert_allclose(found, np.clip((image - low) / (high - low), 0, 1), atol=2e-3)
    assert (found == 0).mean() == pytest.approx(0.01, abs=1e-3)


def test_a_blank_image_cannot_be_stretched():
    image = np.zeros((50, 50), np.float32)
    image[0, 0] = 1
    with pytest.raises(InputError, match="no contrast between its percentiles 1 and 99"):
        stretch_contrast(image, 1, 99)


def test_standardising_is_not_moved_by_a_dark_carbon_edge():
    image = noisy((300, 300)) * 4 + 50
    image[:, :60] -= 400
    found = standardise(image)
    assert np.median(found[:, 60:]) == pytest.approx(0.3, abs=0.15)
    assert found[:, 60:].std() == pytest.approx(0.8, abs=0.25)


def test_outliers_are_clipped_at_robust_deviations():
    image = noisy((200, 200))
    image[3, 4], image[100, 100] = 1e4, -1e4
    clipped = clip_outliers(image, 6)
    assert np.abs(clipped).max() < 6.5
    untouched = np.abs(image) < 5.5
    np.testing.assert_array_equal(clipped[untouched], image[untouched])


@pytest.mark.parametrize(("brightness", "contrast"), [(0, 0.01), (0, 300), (1e4, 10), (-1e4, 300)])
def test_the_default_frame_does_not_depend_on_brightness_and_contrast(brightness, contrast):
    image = noisy((240, 260))
    plain = preprocess(image, 2.0, 80.0, PreprocessConfig(outlier_deviations=6))
    other = preprocess(image * contrast + brightness, 2.0, 80.0, PreprocessConfig(outlier_deviations=6))
    np.testing.assert_allclose(other.image, plain.image, atol=0.02)


@pytest.mark.parametrize(
    ("shape", "pixel_size", "diameter"), [((512, 640), 1.77, 191), ((401, 377), 2.4, 150)]
)
def test_the_particle_becomes_as_wide_as_asked(shape, pixel_size, diameter):
    frame = preprocess(noisy(shape), pixel_size, diameter, PreprocessConfig(particle_diameter_px=20))
    assert frame.particle_diameter_px == pytest.approx(20, rel=0.01)
    assert frame.pixel_size * frame.particle_diameter_px == pytest.approx(diameter)
    for length, small, scale in zip(shape, frame.image.shape, frame.scale, strict=True):
        assert small * scale == pytest.approx(length)
        assert frame.pixel_size == pytest.approx(pixel_size * scale, rel=0.01)


@pytest.mark.parametrize(
    "config", [PreprocessConfig(), PreprocessConfig(outlier_deviations=6), PAPER, RELEASED]
)
def test_negative_stain_is_the_frame_of_the_inverted_image(config):
    inverted = PreprocessConfig(**{**vars(config), "negative_stain": True})
    image = noisy((300, 330)) + 100
    here, there = preprocess(image, 2.0, 100.0, config), preprocess(-image, 2.0, 100.0, inverted)
    np.testing.assert_allclose(there.image, here.image, atol=1e-3)
    assert there.scale == here.scale


@pytest.mark.parametrize(
    ("box", "width", "expected"),
    [
        (192, 3710, (3, 32)),  # EMPIAR-10005
        (140, 4096, (3, 23)),  # EMPIAR-10017
        (768, 7676, (8, 48)),  # EMPIAR-10061
        (108, 4096, (6, 9)),  # 10017 by its diameter instead of the authors' box: 2 x ceil(4096 / 1800)
        (60, 1024, (1, 30)),
        (66, 1024, (2, 16)),
    ],
)
def test_released_scale_factors(box, width, expected):
    assert released_scale(box, width) == expected


@pytest.mark.parametrize(
    ("box", "width", "half"), [(192, 3710, True), (140, 4096, False), (768, 7676, True), (60, 1024, False)]
)
def test_the_released_half_size_pass_is_for_large_particles(box, width, half):
    config = PreprocessConfig(scale_rule="released", half_size_pass=True)
    frame = preprocess(noisy((800, width)), 1.0, box, config)
    assert frame.half_size_pass is half
    assert not preprocess(
        noisy((800, width)), 1.0, box, PreprocessConfig(scale_rule="released")
    ).half_size_pass


@pytest.mark.parametrize("shape", [(120, 96), (121, 97)])
def test_the_networks_frame_is_half_as_large_and_knows_its_way_back(shape):
    frame = Frame(noisy(shape), 3.0, 64.0, (3.0, 3.5), half_size_pass=True)
    seen = network_frame(frame)
    assert seen.image.shape == (60, 48)
    assert seen.pixel_size == pytest.approx(6, rel=0.02)
    assert seen.particle_diameter_px * seen.pixel_size == pytest.approx(64 * 3)
    centres = np.array([[0.0, 0.0], [100.5, 200.0]])
    np.testing.assert_allclose(seen.to_micrograph(seen.from_micrograph(centres)), centres, atol=1e-9)
    # the corners of both frames lie on the corners of the micrograph
    np.testing.assert_allclose(
        seen.to_micrograph(np.array(seen.image.shape) - 0.5), frame.to_micrograph(np.array(shape) - 0.5)
    )
    plain = Frame(frame.image, 3.0, 64.0, (3.0, 3.5))
    assert network_frame(plain) is plain


@pytest.mark.parametrize("shape", [(90, 120), (91, 122)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_binning_equals_the_cubic_sum_of_matlabs_imresize(shape, factor):
    """Keys' kernel with a = -0.5, widened by the factor, around the middle of every block (away from the edges)."""

    def cubic(x):
        x = np.abs(x)
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x <= 1, near, np.where(x <= 2, far, 0))

    image = noisy(shape)
    small, scale = bin_by(image, factor)
    assert small.shape == (shape[0] // factor, shape[1] // factor) and scale == (factor, factor)
    for y, x in [(10, 10), (14, 21), (17, 12)]:
        weights = [cubic((np.arange(n) - (at + 0.5) * factor + 0.5) / factor) for n, at in zip(shape, (y, x), strict=True)]
        expected = weights[0] @ image @ weights[1] / weights[0].sum() / weights[1].sum()
        assert small[y, x] == pytest.approx(expected, abs=1e-5)


def test_the_released_scale_is_a_whole_factor_and_a_whole_radius():
    frame = preprocess(noisy((700, 901)), 1.77, 248, RELEASED)
    assert frame.scale == (3, 3) and frame.pixel_size == pytest.approx(5.31)
    assert frame.image.shape == (233, 300) and frame.particle_diameter_px == 46


@pytest.mark.parametrize(("box", "sigma"), [(60, 3), (64, 4)])
def test_large_particles_are_smoothed_more_before_the_half_size_pass(box, sigma):
    quiet = {"eight_bit": False, "illumination_sigma_px": 0, "mean_level": 0}
    image = noisy((300, 320))
    plain = {**vars(RELEASED), **quiet, "smoothing_after_px": 0, "smoothing_after_half_size_px": 0}
    before = preprocess(image, 1.0, box, PreprocessConfig(**plain))
    after = preprocess(image, 1.0, box, PreprocessConfig(**{**vars(RELEASED), **quiet}))
    assert after.half_size_pass is (sigma == 4)
    # MATLAB's imgaussfilt: 2 ceil(2 sigma) + 1 weights, edges repeated
    places = np.arange(-2 * sigma, 2 * sigma + 1)
    weights = np.exp(-(places**2) / (2 * sigma**2))
    padded = np.pad(before.image.astype(float), 2 * sigma, mode="edge")
    for axis in (0, 1):
        padded = np.apply_along_axis(np.convolve, axis, padded, weights / weights.sum(), "valid")
    np.testing.assert_allclose(after.image, padded, atol=1e-5)


def test_a_second_stretch_changes_nothing():
    image = noisy((300, 320)) ** 3
    once = stretch_contrast(image, 1, 99)
    np.testing.assert_allclose(stretch_contrast(once, 1, 99), once, atol=1e-4)  # 1 of 256 levels is 4e-3


def test_the_released_frame_has_its_grey_levels():
    frame = preprocess(noisy((700, 900)) * 20 + 500, 1.0, 140.0, RELEASED)
    assert frame.image.shape == (233, 300)
    assert frame.image.min() >= 0 and frame.image.max() <= 1
    assert 0.45 < frame.image.mean() < 0.65


def test_eight_bit_leaves_256_levels():
    config = PreprocessConfig(
        stretch_passes=1,
        stretch_percentiles=[1, 99],
        standardise=False,
        illumination_sigma_diameters=0,
        eight_bit=True,
    )
    levels = np.unique(preprocess(noisy((300, 300)), 2.0, 80.0, config).image) * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert 200 < len(levels) <= 256


def test_the_input_is_left_as_it_was():
    image = noisy((200, 200))
    before = image.copy()
    for config in (
        PreprocessConfig(),
        PAPER,
        RELEASED,
        PreprocessConfig(negative_stain=True, outlier_deviations=3),
    ):
        preprocess(image, 1.0, 20.0, config)
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("diameter", "pixel_size", "message"),
    [
        (500, 1.0, "larger than the 200 x 300 image"),
        (3, 1.0, "only 3.0 px"),
        (100, 0.1, "1000 px at 0.1 A/px"),
    ],
)
def test_an_impossible_diameter_is_an_error(diameter, pixel_size, message):
    with pytest.raises(InputError, match=message):
        preprocess(noisy((200, 300)), pixel_size, diameter, PreprocessConfig())


@pytest.mark.parametrize(
    "config", [PreprocessConfig(), PreprocessConfig(outlier_deviations=6), PAPER, RELEASED]
)
def test_a_constant_micrograph_is_an_error(config):
    with pytest.raises(InputError, match="constant|no contrast"):
        preprocess(np.full((300, 300), 12.0, np.float32), 2.0, 100.0, config)
