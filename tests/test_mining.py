import functools
from dataclasses import replace

import numpy as np
import pytest
import torch.nn.functional as F
from torch import nn

from drpnet.cascade import Picker
from drpnet.config import DetectionConfig, PatchConfig, SelectionConfig
from drpnet.errors import InputError
from drpnet.mining import Mined, mine_samples
from drpnet.model import Model
from drpnet.peaks import find_peaks

DIAMETER = 80.0
RADIUS_PX = 20.0


class DarkSpots(nn.Module):
    """Answers how dark the 9 x 9 px around a pixel are; a stand-in for a trained FCRN."""

    halo = 4

    def forward(self, x):
        return F.avg_pool2d(-x, 9, 1, padding=4, count_include_pad=False)


class Flat(nn.Module):
    def forward(self, x):
        return 0 * x


@functools.cache
def micrographs(n=3, per_micrograph=6, seed=0):
    """Dark blobs of sigma 10 px on noise, (image, pixel size, centres)."""
    rng, made = np.random.default_rng(seed), []
    rows, columns = np.mgrid[:240, :260]
    for _ in range(n):
        image, centres = 0.15 * rng.normal(size=(240, 260)), []
        while len(centres) < per_micrograph:
            centre = rng.uniform((25, 25), (215, 235))
            if all(np.hypot(*(centre - other)) > 55 for other in centres):
                centres.append(centre)
                image -= np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / 200)
        made.append(Mined(image.astype(np.float32), 2.0, np.array(centres)))
    return tuple(made)


def picker(network=None, threshold=0.15):
    model = Model(
        network or DarkSpots(), None, detection=DetectionConfig(threshold=threshold), patches=PatchConfig(32, 20)
    )
    return Picker(model)


def darkness(patches):
    """How much darker the middle of a patch is than its rim."""
    rim = np.concatenate([patches[:, :4].reshape(len(patches), -1), patches[:, -4:].reshape(len(patches), -1)], axis=1)
    return rim.mean(axis=1) - patches[:, 12:20, 12:20].mean(axis=(1, 2))


@pytest.mark.parametrize("labels", ["truth", "confidence"])
def test_positives_are_the_particles(labels):
    samples = mine_samples(picker(), micrographs(), DIAMETER, SelectionConfig(labels=labels))
    assert samples.patches.shape == (len(samples.labels), 32, 32) and samples.patches.dtype == np.float32
    assert set(samples.labels) == {0, 1} and set(samples.micrograph) <= {0, 1, 2}
    dark = darkness(samples.patches)
    assert (dark[samples.labels == 1] > 0.7).mean() > 0.9
    assert np.median(dark[samples.labels == 1]) > np.median(dark[samples.labels == 0]) + 1


def test_truth_makes_every_found_particle_a_positive():
    samples = mine_samples(picker(), micrographs(), DIAMETER, SelectionConfig(labels="truth", background_share=0))
    assert (samples.labels == 1).sum() == 3 * 6
    assert darkness(samples.patches[samples.labels == 0]).max() < darkness(samples.patches[samples.labels == 1]).min()


def test_a_doubtful_place_is_neither():
    """Of six particles two have labels and two are in doubt: the others count as false, and the doubtful as nothing."""
    partly = [m._replace(truth=m.truth[:2], doubtful=m.truth[2:4] + 3) for m in micrographs()]
    samples = mine_samples(picker(), partly, DIAMETER, SelectionConfig(labels="truth", background_share=0))
    whole = mine_samples(picker(), micrographs(), DIAMETER, SelectionConfig(labels="truth", background_share=0))
    assert (samples.labels == 1).sum() == 3 * 2
    assert len(whole.labels) - len(samples.labels) == 3 * 2
    # the two that nobody labelled and nobody doubts
    assert (darkness(samples.patches[samples.labels == 0]) > 0.7).sum() == 3 * 2


def test_deviation_makes_the_patterned_patches_positive():
    config = SelectionConfig(labels="deviation", positive_quantile=0.75, negative_quantile=0.25, background_share=0)
    samples = mine_samples(picker(), micrographs(), DIAMETER, config)
    deviations = samples.patches.std(axis=(1, 2))
    assert deviations[samples.labels == 1].min() > deviations[samples.labels == 0].max()


def test_levels_are_two_detections_with_settings_of_their_own():
    """Recomputed from the picker's own map: positives at one level and smoothing, negatives at another, R/3 apart."""
    config = SelectionConfig(
        labels="levels", positive_level=3, positive_sigma_px=3.0, positive_threshold=0.1, positive_deviation_quantile=0,
        negative_level=1, negative_sigma_px=1.0, negative_threshold=0.05, background_share=0,
    )  # fmt: skip
    samples = mine_samples(picker(), micrographs(), DIAMETER, config)
    expected = {0: 0, 1: 0}
    for image, pixel_size, *_ in micrographs():
        seen = picker().detect(image, pixel_size, DIAMETER)
        settings = picker().model.detection
        positive = replace(settings, smoothing_sigma_px=3.0, threshold=0.1, levels=3, minimum_level=3)
        negative = replace(settings, smoothing_sigma_px=1.0, threshold=0.05, levels=1, minimum_level=1)
        found = [
            seen.frame.to_micrograph(find_peaks(seen.distance_map, 20, one).centres) for one in (positive, negative)
        ]
        apart = [min(np.hypot(*(one - other)) for other in found[0]) >= RADIUS_PX / 3 for one in found[1]]
        expected = {0: expected[0] + sum(apart), 1: expected[1] + len(found[0])}
    assert {value: int((samples.labels == value).sum()) for value in (0, 1)} == expected
    assert expected[1] >= 18 and expected[0] > 20


def test_the_centres_are_not_looked_at_without_labels_truth():
    here = mine_samples(picker(), micrographs(), DIAMETER, SelectionConfig())
    unlabelled = [m._replace(truth=None) for m in micrographs()]
    there = mine_samples(picker(), unlabelled, DIAMETER, SelectionConfig())
    np.testing.assert_array_equal(here.patches, there.patches)
    np.testing.assert_array_equal(here.labels, there.labels)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_share_of_background_among_the_negatives(share):
    plain = mine_samples(picker(), micrographs(), DIAMETER, SelectionConfig(labels="truth", background_share=0))
    mixed = mine_samples(picker(), micrographs(), DIAMETER, SelectionConfig(labels="truth", background_share=share))
    negatives = (plain.labels == 0).sum()
    background = (mixed.labels == 0).sum() - negatives
    assert background == pytest.approx(negatives * share / (1 - share), abs=1)
    # they are no detections: their places depend on the seed
    other = mine_samples(
        picker(), micrographs(), DIAMETER, SelectionConfig(labels="truth", background_share=share), seed=1
    )
    same = np.array_equal(other.patches, mixed.patches)
    assert same is (share == 0)


def test_truth_without_labels_is_an_error():
    unlabelled = [m._replace(truth=None) for m in micrographs(1)]
    with pytest.raises(InputError, match="selection.labels=truth needs labelled micrographs"):
        mine_samples(picker(), unlabelled, DIAMETER, SelectionConfig(labels="truth"))


@pytest.mark.parametrize("labels", ["truth", "confidence", "levels", "deviation"])
@pytest.mark.parametrize("network", [Flat(), DarkSpots()])
def test_too_few_detections_are_an_error_in_words(labels, network):
    none_found = picker(network, threshold=1e3)
    with pytest.raises(InputError, match="only 0 positive samples"):
        mine_samples(none_found, micrographs(2), DIAMETER, SelectionConfig(labels=labels))


def test_no_micrographs_are_an_error_in_words():
    with pytest.raises(InputError, match="no micrographs"):
        mine_samples(picker(), [], DIAMETER, SelectionConfig())


def test_a_micrograph_without_particles_gives_no_positives_under_truth():
    image = np.random.default_rng(1).normal(size=(300, 300)).astype(np.float32)
    with_empty = [*micrographs(2), Mined(image, 2.0, np.empty((0, 2)))]
    samples = mine_samples(picker(), with_empty, DIAMETER, SelectionConfig(labels="truth"))
    assert 2 not in samples.micrograph[samples.labels == 1]
    assert 2 in samples.micrograph
