"""Maps from known poses: the structure comes back, wrong centres blur it as they must, false picks harm it."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import rfftn
from scipy.special import j0

from drpnet.errors import InputError
from drpnet.maps.false_orientations import at_random, best_aligned, best_template, turned, windowed
from drpnet.maps.half_maps import extract, half_maps, has_whole_box
from drpnet.maps.known_poses import posed, truth
from drpnet.maps.measure import Reference, measure, soft_ball
from drpnet.reconstruction.fsc import shells, weighted_mean
from drpnet.simulation.projection import project

BOX = 36


@pytest.fixture(scope="module")
def reference(simulation):
    volume = simulation.structure.density(BOX, simulation.pixel_size)
    return Reference(volume, soft_ball(BOX, simulation.particle_diameter / simulation.pixel_size / 2), simulation.pixel_size)


@pytest.fixture(scope="module")
def particles(simulation):
    every = truth(simulation)
    return every.at(has_whole_box(every.centres, BOX, simulation.shape))


def made(simulation, picks, recentred=True, seed=0):
    return half_maps(simulation, picks, BOX, "C4", recentred=recentred, rng=np.random.default_rng(seed))


def false_picks(simulation, places, count):
    number = np.arange(len(simulation.names))
    centres = [places(simulation, i, count) for i in number]
    micrograph = np.repeat(number, [len(some) for some in centres])
    centres = np.concatenate(centres)
    found = posed(simulation, micrograph, centres, np.full(len(centres), np.nan), 1.0)
    assert not found.is_true.any()
    return found


def joined(first, second):
    return type(first)(**{name: np.concatenate([value, vars(second)[name]]) for name, value in vars(first).items()})


def test_all_true_poses_give_the_structure_back(simulation, particles, reference):
    found = measure(made(simulation, particles), reference, 0)
    assert found.truth[found.frequency < 1 / 20].min() > 0.9
    assert found.halves[found.frequency < 1 / 25].min() > 0.9
    assert found.resolution_truth < 19 and found.resolution_halves < 19
    whole = sum(made(simulation, particles)) * reference.mask
    assert np.corrcoef(whole.ravel(), (reference.volume * reference.mask).ravel())[0, 1] > 0.9


def test_wrong_centres_blur_the_map_by_the_envelope_of_their_spread_and_recentring_restores_it(
    simulation, particles, reference
):
    spread_px = 1.0
    moved = particles.centres + np.random.default_rng(1).normal(0, spread_px, particles.centres.shape)
    shifted = replace(particles, centres=moved)
    sharp, blurred = (sum(made(simulation, picks, recentred=False)) for picks in (particles, shifted))
    number = shells(BOX).ravel()
    first, second = (rfftn(volume).ravel() for volume in (sharp, blurred))
    ratio = np.bincount(number, (second * first.conj()).real) / np.bincount(number, np.abs(first) ** 2)
    frequency = np.arange(len(ratio)) / BOX  # 1 / px
    distance = np.linalg.norm(moved - particles.centres, axis=1)
    expected = np.array([j0(2 * np.pi * one * distance).mean() for one in frequency])  # the phases, over all directions
    np.testing.assert_allclose(expected[:8], np.exp(-2 * np.pi**2 * (spread_px * frequency[:8]) ** 2), atol=0.1)
    np.testing.assert_allclose(ratio[1:10], expected[1:10], atol=0.06)
    for whole, again in zip(made(simulation, particles), made(simulation, shifted), strict=True):
        np.testing.assert_array_equal(whole, again)  # the recentred map is that of exact centres
    lost = measure((blurred, blurred), reference, 0).truth
    kept = measure((sharp, sharp), reference, 0).truth
    assert lost[10:14].mean() < kept[10:14].mean()


def test_false_picks_at_random_harm_and_aligned_ones_alone_look_like_the_structure(
    simulation, particles, reference, places_without_particles
):
    false = false_picks(simulation, places_without_particles, 8)
    rng = np.random.default_rng(0)
    few = particles.at(np.arange(0, len(particles.micrograph), 4))
    alone = measure(made(simulation, few), reference, 0)
    harmed = measure(made(simulation, joined(few, at_random(false, rng))), reference, 0)
    assert harmed.truth[4:12].mean() < alone.truth[4:12].mean()
    # Einstein from noise: nothing but the search for the best orientation makes these boxes correlate with the structure
    drawn = measure(made(simulation, at_random(false, rng)), reference, 0)
    aligned = measure(made(simulation, best_aligned(simulation, false, BOX, "C4")), reference, 0)
    assert aligned.truth[3:9].mean() > 0.5
    assert aligned.truth[3:9].mean() > drawn.truth[3:9].mean() + 0.3
    assert aligned.halves[3:9].mean() > drawn.halves[3:9].mean() + 0.2


def test_the_best_template_is_the_one_that_a_box_shows(simulation):
    rng = np.random.default_rng(0)
    angles = np.stack([rng.uniform(-180, 180, 40), rng.uniform(0, 180, 40), 15 * rng.integers(0, 24, 40)], axis=1)
    images = windowed(project(simulation.structure, angles, simulation.pixel_size), BOX)
    flat = windowed(project(simulation.structure, angles * [1, 1, 0], simulation.pixel_size), BOX)
    seen = np.stack([turned(image, psi) for image, psi in zip(flat, angles[:, 2], strict=True)])
    for image, other in zip(images, seen, strict=True):
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] > 0.99
    spectra = np.fft.rfft2(seen).astype(np.complex64)
    transfer = np.ones(spectra.shape[1:], np.float32)
    noise = rng.normal(0, 0.1 * images.std(), images.shape)
    np.testing.assert_array_equal(best_template(images + noise - images.mean(), spectra, transfer), np.arange(40))


def test_true_picks_keep_their_pose(simulation, particles):
    for found in (at_random(particles, np.random.default_rng(0)), best_aligned(simulation, particles, BOX, "C4")):
        np.testing.assert_array_equal(found.angles, particles.angles)


def test_boxes_are_whole_centred_and_normalised():
    image = np.random.default_rng(0).normal(5, 2, (40, 50)).astype(np.float32)
    centres = np.array([[20.3, 24.6], [8.0, 8.0], [2.0, 49.0]])
    boxes, shifts = extract(image, centres, 16)
    np.testing.assert_array_equal(has_whole_box(centres, 16, image.shape), [True, True, False])
    np.testing.assert_allclose(shifts[:2], [[-0.3, 0.4], [0, 0]], atol=1e-12)
    np.testing.assert_allclose(shifts[2], [6.0, -7.0])  # pixel (8, 8) of the box is (8, 42)
    np.testing.assert_allclose(boxes.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(boxes.std(axis=(1, 2)), 1, rtol=1e-4)
    assert np.corrcoef(boxes[1].ravel(), image[:16, :16].ravel())[0, 1] == pytest.approx(1)


def test_memory_does_not_depend_on_the_number_of_picks(simulation, particles):
    few = particles.at(particles.micrograph < 2)
    peaks = []
    for picks in (few, particles):
        tracemalloc.start()
        made(simulation, picks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(particles.micrograph) > 3 * len(few.micrograph)
    assert peaks[1] < 1.05 * peaks[0]


def test_two_picks_are_needed(simulation, particles):
    with pytest.raises(InputError, match="1 picks give no two half maps"):
        made(simulation, particles.at(np.arange(1)))


def test_the_weighted_mean_ends_where_the_halves_part():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 16, 16, 16))
    curve = np.array([1, 1, 0.5, 0.3, 0.1, 0.9, 0, 0, 0])
    found = np.fft.rfftn(weighted_mean(first, second, curve))
    mean = np.fft.rfftn((first + second) / 2)
    number = shells(16)
    np.testing.assert_allclose(found[number == 2], np.sqrt(2 / 3) * mean[number == 2], rtol=1e-3, atol=1e-3)
    assert np.abs(found[number >= 4]).max() < 1e-3
