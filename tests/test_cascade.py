import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import expit
from torch import nn

from drpnet.calibration import FigureOfMerit, Scores
from drpnet.cascade import Picker, even_step
from drpnet.clarity import clarity
from drpnet.config import DetectionConfig, PatchConfig, PreprocessConfig
from drpnet.errors import InputError
from drpnet.measures.matching import match_one_to_one
from drpnet.model import Calibration, Model
from drpnet.networks import FCRN, PatchClassifier, UNet
from drpnet.preprocess import Frame, enlarge, network_frame

RAW = PreprocessConfig(illumination_sigma_diameters=0, standardise=False)
TWO_A_PIXEL = {"pixel_size": 2.0, "particle_diameter": 80.0}
"""A particle of 40 px, so that the default frame of 20 px is exactly half the micrograph."""


class DarkSpots(nn.Module):
    """Answers how dark the 9 x 9 px around a pixel are; a stand-in for a trained FCRN."""

    halo = 4

    def forward(self, x):
        return F.avg_pool2d(-x, 9, 1, padding=4, count_include_pad=False)


class MeanLogit(nn.Module):
    """Darker patch centres give higher logits."""

    def forward(self, x):
        return -x[:, 0, 28:36, 28:36].mean(dim=(1, 2))


def dark_blobs(shape, centres, sigma, noise=0.1, seed=0):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = noise * np.random.default_rng(seed).normal(size=shape)
    for y, x in centres:
        image -= np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
    return image.astype(np.float32)


def small_fcrn(seed=0):
    torch.manual_seed(seed)
    return FCRN(width=4).eval()


CENTRES = np.array([[60.0, 70.0], [200.5, 90.0], [130.0, 210.0], [240.0, 250.0], [90.0, 330.0]])
IMAGE = dark_blobs((301, 400), CENTRES, 10)


@pytest.mark.parametrize("shape", [(201, 187), (64, 129), (31, 400)])
def test_the_distance_map_does_not_depend_on_the_tile(shape):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    network = small_fcrn()
    with torch.inference_mode():
        whole = network(torch.from_numpy(image)[None, None])[0, 0].numpy()
    for tile in (64, 65, 100, 1000):
        tiled = Picker(Model(network), tile=tile).distance_map(image)
        np.testing.assert_allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("shape", [(201, 187), (64, 129), (31, 400)])
def test_a_network_of_several_scales_does_not_depend_on_the_tile(shape):
    """Tiles of whole coarse pixels, whatever the image's size."""
    torch.manual_seed(2)
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    network = UNet(width=4, depth=3).eval()
    with torch.inference_mode():
        whole = network(torch.from_numpy(image)[None, None])[0, 0].numpy()
    for tile in (64, 96, 1000):
        np.testing.assert_allclose(Picker(Model(network), tile=tile).distance_map(image), whole, atol=1e-5)


def test_a_network_without_a_halo_sees_the_whole_image():
    class Whole(nn.Module):
        def forward(self, x):
            return x - x.mean(dim=(2, 3), keepdim=True)

    image = np.random.default_rng(0).normal(size=(90, 70)).astype(np.float32)
    found = Picker(Model(Whole()), tile=32).distance_map(image)
    np.testing.assert_allclose(found, image - image.mean(), atol=1e-5)


@pytest.mark.parametrize(
    ("size", "most"), [(521, 320), (641, 320), (320, 320), (31, 320), (301, 97), (340, 64), (100, 20)]
)
def test_tiles_are_about_alike(size, most):
    step = even_step(size, most)
    assert 0 < step <= most and (step % 32 == 0 or step == most)
    pieces = -(-size // step)
    assert pieces <= -(-size // most) + 1
    assert size - (pieces - 1) * step > (0 if most < 64 else step - 32 * pieces)


def test_picks_do_not_depend_on_tile_and_batch():
    model = Model(DarkSpots(), PatchClassifier(widths=(4, 4, 4, 4), hidden=8).eval())
    whole = Picker(model, tile=10_000).pick(IMAGE, **TWO_A_PIXEL)
    tiled = Picker(model, tile=64, batch_size=2).pick(IMAGE, **TWO_A_PIXEL)
    assert len(whole.centres) >= len(CENTRES)
    np.testing.assert_allclose(tiled.centres, whole.centres, atol=1e-9)
    for score in ("figure_of_merit", "detection_score", "classifier_score"):
        np.testing.assert_allclose(getattr(tiled, score), getattr(whole, score), atol=1e-5)


def test_the_dark_blobs_are_the_best_candidates_in_the_micrographs_own_pixels():
    found = Picker(Model(DarkSpots(), MeanLogit())).pick(IMAGE, **TWO_A_PIXEL)
    best = found.centres[: len(CENTRES)]
    matching = match_one_to_one(best, CENTRES, 2)
    assert len(matching.pick_index) == len(CENTRES)
    assert (np.diff(found.figure_of_merit) <= 0).all()
    assert ((found.classifier_score > 0) & (found.classifier_score < 1)).all()


@pytest.mark.parametrize(("down", "right"), [(0, 8), (6, 0), (14, 22)])
def test_picks_move_with_the_image(down, right):
    model = Model(small_fcrn(3), None, RAW, DetectionConfig(threshold=1e-4))
    large = dark_blobs((330, 330), np.random.default_rng(5).uniform(20, 300, (40, 2)), 10)
    picker = Picker(model)
    here = picker.pick(large[30:290, 30:290], **TWO_A_PIXEL)
    there = picker.pick(large[30 - down : 290 - down, 30 - right : 290 - right], **TWO_A_PIXEL)
    expected = here.centres + (down, right)

    def interior(centres):
        return sorted(map(tuple, np.round(centres[((centres > 60) & (centres < 205)).all(axis=1)], 6)))

    assert len(interior(expected)) >= 4
    assert interior(expected) == interior(there.centres)


@pytest.mark.parametrize("profile", [PreprocessConfig(), PreprocessConfig(outlier_deviations=5)])
def test_negative_stain_picks_are_those_of_the_inverted_image(profile):
    inverted = PreprocessConfig(outlier_deviations=profile.outlier_deviations, negative_stain=True)
    dark = Picker(Model(DarkSpots(), MeanLogit(), profile)).pick(IMAGE, **TWO_A_PIXEL)
    bright = Picker(Model(DarkSpots(), MeanLogit(), inverted)).pick(-IMAGE, **TWO_A_PIXEL)
    np.testing.assert_allclose(bright.centres, dark.centres, atol=1e-6)
    np.testing.assert_allclose(bright.figure_of_merit, dark.figure_of_merit, atol=1e-5)


@pytest.mark.parametrize("offset", [1e6, -1e7])
@pytest.mark.parametrize(
    "profile",
    [
        PreprocessConfig(),
        PreprocessConfig(stretch_percentiles=[1, 99], stretch_passes=2, mean_level=0.55, eight_bit=True),
    ],
)
def test_a_large_offset_changes_no_pick(profile, offset):
    """Whole grey levels, which float32 holds at these offsets; averaged there, they would lose their digits."""
    image = np.round(20 * IMAGE)
    moved = (image + np.float32(offset)).astype(np.float32)
    assert (moved - np.float32(offset) == image).all()
    picker = Picker(Model(DarkSpots(), MeanLogit(), profile))
    near, far = picker.pick(image, **TWO_A_PIXEL), picker.pick(moved, **TWO_A_PIXEL)
    assert len(near.centres) >= len(CENTRES)
    np.testing.assert_array_equal(far.centres, near.centres)
    np.testing.assert_array_equal(far.figure_of_merit, near.figure_of_merit)


@pytest.mark.parametrize("minimum", [0.3, 0.6, 1.5])
def test_candidates_keep_the_minimum_distance(minimum):
    noise = np.random.default_rng(1).normal(size=(300, 260)).astype(np.float32)
    detection = DetectionConfig(threshold=1e-3, minimum_distance_diameters=minimum)
    found = Picker(Model(small_fcrn(), None, detection=detection)).pick(noise, **TWO_A_PIXEL).centres
    apart = np.linalg.norm(found[:, None] - found[None], axis=2) + 1e9 * np.eye(len(found))
    assert len(found) > 5
    assert apart.min() >= minimum * 40 * (1 - 1e-6)


def test_candidates_keep_the_border():
    noise = np.random.default_rng(1).normal(size=(300, 260)).astype(np.float32)
    detection = DetectionConfig(threshold=1e-3, border_diameters=0.75)
    found = Picker(Model(small_fcrn(), None, detection=detection)).pick(noise, **TWO_A_PIXEL).centres
    assert len(found) and found.min() >= 29 and (found <= np.array([299, 259]) - 29).all()


@pytest.mark.parametrize("shape", [(300, 256), (301, 257)])
def test_the_half_size_pass_sees_the_image_at_half_its_size(shape):
    image = dark_blobs(shape, CENTRES[:3], 12)
    frame = Frame(image, 1.0, 64.0, (1, 1), half_size_pass=True)
    half = enlarge(Picker(Model(DarkSpots())).distance_map(network_frame(frame).image), shape)
    assert half.shape == shape
    # 9 px at half size are 18 px of the full one
    kernel = F.avg_pool2d(torch.from_numpy(-image)[None, None], 19, 1, padding=9, count_include_pad=False)
    np.testing.assert_allclose(half[20:-20, 20:-20], kernel[0, 0].numpy()[20:-20, 20:-20], atol=0.06)
    peak = np.array(np.unravel_index(half.argmax(), shape))
    assert np.abs(CENTRES[:3] - peak).max(axis=1).min() <= 2


def test_the_released_profile_makes_the_half_size_pass_for_large_particles():
    config = PreprocessConfig(scale_rule="released", half_size_pass=True, illumination_sigma_diameters=0)
    picker = Picker(Model(DarkSpots(), None, config))
    image = dark_blobs((400, 400), np.array([[200.0, 180.0]]), 12)
    large = picker.detect(image, pixel_size=1.0, particle_diameter=64)
    assert large.frame.half_size_pass
    halved = picker.distance_map(network_frame(large.frame).image)
    assert halved.shape == (200, 200) and large.distance_map.shape == (400, 400)
    np.testing.assert_array_equal(large.distance_map, enlarge(halved, (400, 400)))
    box = picker.detect(image, pixel_size=3.6468, particle_diameter=233)  # 63.9 px: the authors' box is 64
    assert box.frame.half_size_pass and box.frame.scale == (1, 1)
    small = picker.detect(image, pixel_size=1.0, particle_diameter=60)
    assert not small.frame.half_size_pass
    np.testing.assert_array_equal(small.distance_map, picker.distance_map(small.frame.image))


@pytest.mark.parametrize("classifier", [None, MeanLogit()])
def test_a_map_without_peaks_gives_no_candidates(classifier):
    class Flat(nn.Module):
        def forward(self, x):
            return 0 * x + 0.3

    found = Picker(Model(Flat(), classifier)).pick(IMAGE, **TWO_A_PIXEL)
    assert found.centres.shape == (0, 2)
    assert len(found.figure_of_merit) == len(found.detection_score) == len(found.classifier_score) == 0


def test_noise_alone_is_no_obstacle():
    noise = np.random.default_rng(2).normal(size=(200, 210)).astype(np.float32)
    found = Picker(Model(DarkSpots(), MeanLogit())).pick(noise, **TWO_A_PIXEL)
    assert np.isfinite(found.figure_of_merit).all()


def test_a_constant_image_is_an_error_in_words():
    with pytest.raises(InputError, match="constant"):
        Picker(Model(DarkSpots())).pick(np.full((200, 200), 7, np.float32), **TWO_A_PIXEL)


def test_the_figure_of_merit_rises_with_both_scores():
    model = Model(DarkSpots(), MeanLogit())
    heights, logits = np.meshgrid(np.linspace(0, 1, 9), np.linspace(-6, 6, 9), indexing="ij")
    merit = Picker(model).figure_of_merit(Scores(heights, logits, 0.0, 0.3))
    assert (np.diff(merit, axis=0) > 0).all() and (np.diff(merit, axis=1) > 0).all()
    assert merit.min() > 0 and merit.max() < 1
    assert merit[4, 4] == pytest.approx(1 / (1 + np.exp(4 - 10 * 0.5)))


def test_the_same_score_means_more_in_a_micrograph_with_many_good_candidates():
    calibration = Calibration(FigureOfMerit(-4, (12, 12), crowding=(1.5, 1.5)))
    model = Model(DarkSpots(), calibration=calibration)
    found = Picker(model).pick(IMAGE, **TWO_A_PIXEL)
    area = IMAGE.size * (2.0 / TWO_A_PIXEL["particle_diameter"]) ** 2
    good = expit((found.detection_score - 0.25) / 0.03).sum() / area
    expected = 1 / (1 + np.exp(4 - 1.5 * np.log(good + 0.003) - 12 * found.detection_score))
    np.testing.assert_allclose(found.figure_of_merit, expected, rtol=0.01)


def test_the_same_score_means_more_in_a_faint_micrograph():
    model = Model(DarkSpots(), calibration=Calibration(FigureOfMerit(-4, (24, 8))))
    picker = Picker(model)
    found = picker.pick(IMAGE, **TWO_A_PIXEL)
    frame = picker.detect(IMAGE, **TWO_A_PIXEL).frame
    clear = clarity(frame.image, frame.particle_diameter_px)
    assert clear > 0.9
    np.testing.assert_allclose(found.figure_of_merit, expit(-4 + (24 - 16 * clear) * found.detection_score))
    noisy = IMAGE + np.random.default_rng(0).normal(0, 3 * IMAGE.std(), IMAGE.shape).astype(np.float32)
    _, scores = picker.scored(noisy, **TWO_A_PIXEL)
    assert scores.clarity < clear - 0.3


def test_without_a_classifier_the_detection_score_decides_alone():
    found = Picker(Model(DarkSpots())).pick(IMAGE, **TWO_A_PIXEL)
    assert np.isnan(found.classifier_score).all()
    np.testing.assert_allclose(found.figure_of_merit, 1 / (1 + np.exp(4 - 12 * found.detection_score)))


def test_the_patches_lie_around_the_centres_at_their_own_scale():
    model = Model(DarkSpots(), MeanLogit(), patches=PatchConfig(size_px=48, particle_diameter_px=24))
    patches = Picker(model).patches(IMAGE, 2.0, 80.0, CENTRES)
    assert patches.shape == (len(CENTRES), 48, 48)
    # blobs of sigma 10 px become 6 px wide
    weights = np.clip(patches.max() / 2 - patches, 0, None)
    inner = -patches[:, 20:29, 20:29].mean(axis=(1, 2))
    outer = -patches[:, :6].mean(axis=(1, 2))
    assert (inner > outer + 1).all() and np.isfinite(weights).all()
