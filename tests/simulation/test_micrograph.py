"""A simulated micrograph is what its parameters and its truth say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist

from drpnet.simulation.ice import thickness_map
from drpnet.simulation.micrograph import (
    SimulatedMicrograph,
    disc_mask,
    draw_orientations,
    simulate_micrograph,
)
from drpnet.simulation.parameters import SimulationParameters

CLEAN = SimulationParameters(
    particle_diameter=173.0,
    height=400,
    width=360,
    pixel_size=5.0,
    particles_per_micrograph=25,
    snr_range=[0.1, 0.1],
    carbon_probability=0.0,
    contamination_probability=0.0,
    gradient=0.0,
)


def measured_snr(micrograph: SimulatedMicrograph, parameters: SimulationParameters) -> float:
    """SNR from the written electrons alone, given the noise-free particles."""
    discs = np.zeros(micrograph.image.shape, bool)
    y, x = np.mgrid[: parameters.height, : parameters.width]
    for cy, cx in micrograph.centres:
        discs |= np.hypot(y - cy, x - cx) <= parameters.particle_diameter / parameters.pixel_size / 2
    relative = micrograph.image / (parameters.dose * parameters.pixel_size**2)
    noise = (relative - micrograph.signal)[discs]
    return float(micrograph.signal[discs].var() / noise.var())


def contrast_at(image: np.ndarray, centres: np.ndarray) -> float:
    y, x = np.round(centres).astype(int).T
    return float(image[y, x].mean())


@pytest.mark.parametrize("snr", [0.03, 0.3])
@pytest.mark.parametrize("solvent_fraction", [0.0, 0.7])
def test_snr_is_as_requested(snr: float, solvent_fraction: float) -> None:
    parameters = replace(CLEAN, snr_range=[snr, snr], solvent_fraction=solvent_fraction)
    micrograph = simulate_micrograph(parameters, 0)
    assert measured_snr(micrograph, parameters) == pytest.approx(snr, rel=0.1)
    assert micrograph.snr == pytest.approx(snr, rel=0.1)


def test_snr_holds_beside_carbon_and_contamination() -> None:
    parameters = replace(CLEAN, carbon_probability=1.0, contamination_probability=1.0, gradient=0.1)
    for index in range(3):
        assert simulate_micrograph(parameters, index).snr == pytest.approx(0.1, rel=0.1)


def test_shot_noise_is_that_of_the_dose() -> None:
    parameters = replace(CLEAN, particles_per_micrograph=0, solvent_fraction=0.0, dose=20.0)
    image = simulate_micrograph(parameters, 0).image
    assert image.dtype == np.float32 and image.shape == (400, 360)
    assert image.mean() == pytest.approx(500.0, rel=0.01)
    assert image.var() == pytest.approx(500.0, rel=0.02)


def test_structural_noise_is_its_part_and_has_the_thon_rings() -> None:
    parameters = replace(CLEAN, particles_per_micrograph=0, solvent_fraction=0.6, defocus_range=[2.0, 2.0])
    micrograph = simulate_micrograph(parameters, 0)
    electrons = parameters.dose * parameters.pixel_size**2
    assert (micrograph.image / electrons).var() == pytest.approx(1 / electrons / 0.4, rel=0.05)
    power = np.abs(np.fft.fft2(micrograph.image - micrograph.image.mean())) ** 2
    k = np.hypot(np.fft.fftfreq(400, 5.0)[:, None], np.fft.fftfreq(360, 5.0))
    peak, zero = np.sqrt(0.5 / (0.019687 * 2e4)), np.sqrt(1 / (0.019687 * 2e4))
    ring, valley = (power[np.abs(k - at) < 0.002].mean() for at in (peak, zero))
    assert ring > 2 * valley


def test_the_same_electrons_however_many_threads_there_are() -> None:
    parameters = replace(CLEAN, structures=["random"], carbon_probability=1.0, contamination_probability=1.0)
    before, images = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            images.append([simulate_micrograph(parameters, number).image.tobytes() for number in range(3)])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert images[0] == images[1] == images[2]


def test_same_bytes_twice_and_others_elsewhere() -> None:
    parameters = replace(CLEAN, structures=["random"], carbon_probability=0.5, contamination_probability=0.5)
    first, again = simulate_micrograph(parameters, 3), simulate_micrograph(parameters, 3)
    assert first.image.tobytes() == again.image.tobytes()
    np.testing.assert_array_equal(first.centres, again.centres)
    np.testing.assert_array_equal(first.euler_angles, again.euler_angles)
    others = (simulate_micrograph(parameters, 4), simulate_micrograph(replace(parameters, seed=1), 3))
    assert all(not np.array_equal(first.image, other.image) for other in others)
    assert len({micrograph.optics.defocus_u for micrograph in (first, *others)}) == 3


def test_mottled_ice_changes_nothing_but_the_background() -> None:
    plain = simulate_micrograph(replace(CLEAN, empty_probability=1.0), 1)
    mottled = simulate_micrograph(replace(CLEAN, empty_probability=1.0, mottle_probability=1.0), 1)
    assert mottled.optics == plain.optics
    difference = mottled.image - plain.image
    smooth = gaussian_filter(difference, 4)
    # far beyond what as much shot noise leaves after the same smoothing
    assert smooth.std() > 2 * gaussian_filter(np.random.default_rng(0).permuted(difference), 4).std()


def test_micrograph_does_not_depend_on_how_many_are_made() -> None:
    one, many = (simulate_micrograph(replace(CLEAN, micrographs=n), 1) for n in (1, 50))
    assert one.image.tobytes() == many.image.tobytes()


@pytest.mark.parametrize("structure", ["trpv1", "beta_galactosidase", "random", "hollow"])
def test_particles_are_dark_where_the_truth_says(structure: str) -> None:
    parameters = replace(CLEAN, structures=[structure], snr_range=[0.2, 0.2])
    micrograph = simulate_micrograph(parameters, 2)
    smooth = gaussian_filter(micrograph.image, 5)
    rng = np.random.default_rng(0)
    shuffled = rng.uniform(0, 1, (400, 2)) * (np.array(smooth.shape) - 1)
    flipped = (np.array(smooth.shape) - 1) - micrograph.centres
    here = contrast_at(smooth, micrograph.centres)
    assert here < contrast_at(smooth, shuffled) - 0.5 * smooth.std()
    assert here < contrast_at(smooth, flipped) - 0.5 * smooth.std()


def test_one_noise_free_particle_lies_at_its_centre() -> None:
    parameters = replace(CLEAN, structures=["beta_galactosidase"], particles_per_micrograph=1, b_factor=0.0)
    for index in range(20):
        micrograph = simulate_micrograph(parameters, index)
        centre = micrograph.centres[0]
        if not np.all((centre > 100) & (centre < 260)):
            continue
        y, x = np.mgrid[:400, :360]
        weight = micrograph.signal.astype(float)
        assert weight.sum() < 0
        found = np.array([(y * weight).sum(), (x * weight).sum()]) / weight.sum()
        np.testing.assert_allclose(found, centre, atol=0.1)
        return
    pytest.fail("no central particle in twenty micrographs")


def test_distances_and_counts() -> None:
    for distance in (0.6, 1.1):
        parameters = replace(CLEAN, min_distance=distance)
        centres = simulate_micrograph(parameters, 0).centres
        assert len(centres) == 25
        assert pdist(centres).min() >= distance * 173.0 / 5.0


def test_crowding_differs_from_micrograph_to_micrograph() -> None:
    made = [
        simulate_micrograph(replace(CLEAN, particles_per_micrograph=20, crowding_range=[0.2, 1.0]), index) for index in range(6)
    ]
    counts = [len(micrograph.centres) for micrograph in made]
    assert max(counts) <= 20 and min(counts) >= 4 and max(counts) - min(counts) > 3


def test_no_particle_on_carbon_or_under_contamination() -> None:
    parameters = replace(CLEAN, carbon_probability=1.0, contamination_probability=1.0)
    for index in range(4):
        micrograph = simulate_micrograph(parameters, index)
        assert micrograph.carbon is not None and micrograph.contaminants
        assert 0 < len(micrograph.centres) < 25
        assert np.all(micrograph.carbon.depth(*micrograph.centres.T) < -173.0 / 5.0 / 2)
        ice = thickness_map(micrograph.contaminants, micrograph.image.shape)
        assert contrast_at(ice, micrograph.centres) == 0


def test_carbon_is_darker_and_grainier_than_the_hole() -> None:
    parameters = replace(CLEAN, particles_per_micrograph=0, carbon_probability=1.0)
    micrograph = simulate_micrograph(parameters, 1)
    assert micrograph.carbon is not None
    y, x = np.mgrid[:400, :360]
    depth = micrograph.carbon.depth(y, x)
    inside, carbon = micrograph.image[depth < -20], micrograph.image[depth > 20]
    assert min(inside.size, carbon.size) > 0.05 * depth.size
    assert carbon.mean() < inside.mean()
    assert carbon.std() > 1.1 * inside.std()


def test_contamination_is_dark_with_a_bright_fringe() -> None:
    parameters = replace(CLEAN, particles_per_micrograph=0, contamination_probability=1.0)
    for index in range(10):
        micrograph = simulate_micrograph(parameters, index)
        ice = thickness_map(micrograph.contaminants, micrograph.image.shape)
        if (ice > 0.15).sum() < 200:
            continue
        far = gaussian_filter((ice > 0).astype(float), 8) < 1e-3
        rim = (gaussian_filter((ice > 0.15).astype(float), 1.5) > 0.05) & (ice == 0)
        assert micrograph.image[ice > 0.15].mean() < 0.95 * micrograph.image[far].mean()
        assert micrograph.image[rim].mean() > 1.01 * micrograph.image[far].mean()
        return
    pytest.fail("no contamination worth measuring in ten micrographs")


def test_gradient_is_there_when_asked_for() -> None:
    flat, sloped = (
        simulate_micrograph(replace(CLEAN, particles_per_micrograph=0, gradient=g), 0) for g in (0.0, 0.3)
    )
    smooth = [gaussian_filter(m.image, 20) / m.image.mean() for m in (flat, sloped)]
    assert np.ptp(smooth[0]) < 0.01
    assert 0.15 < np.ptp(smooth[1]) < 0.6


def test_empty_and_denoised() -> None:
    empty = simulate_micrograph(replace(CLEAN, empty_probability=1.0), 0)
    assert empty.centres.shape == (0, 2) and empty.euler_angles.shape == (0, 3)
    assert empty.snr == 0 and not empty.signal.any()
    noisy, denoised = (simulate_micrograph(replace(CLEAN, denoise=p), 0) for p in (0.0, 1.0))
    assert denoised.denoised and not noisy.denoised
    assert denoised.image.std() < 0.5 * noisy.image.std()
    np.testing.assert_array_equal(noisy.centres, denoised.centres)


def test_orientations_are_uniform_on_the_sphere() -> None:
    angles = np.radians(draw_orientations(np.random.default_rng(0), 20_000))
    axis = np.stack(
        [
            np.sin(angles[:, 1]) * np.cos(angles[:, 0]),
            np.sin(angles[:, 1]) * np.sin(angles[:, 0]),
            np.cos(angles[:, 1]),
        ]
    )
    np.testing.assert_allclose(axis @ axis.T / len(angles), np.eye(3) / 3, atol=0.01)


def test_disc_mask_equals_the_slow_definition() -> None:
    centres = np.array([[3.2, 4.9], [18.0, 0.4], [9.5, 17.0]])
    y, x = np.mgrid[:20, :18]
    slow = np.min([np.hypot(y - a, x - b) for a, b in centres], axis=0) <= 4.3
    np.testing.assert_array_equal(disc_mask(centres, 4.3, (20, 18)), slow)
