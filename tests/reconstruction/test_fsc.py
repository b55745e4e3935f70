"""FSC against teamtomo's, cases with a known answer, a sum over every voxel, and relion_postprocess."""

import numpy as np
import pytest
import torch
from scipy.fft import fftn, rfftn
from torch_fourier_shell_correlation import fourier_shell_correlation

from drpnet.errors import InputError
from drpnet.io.refinement import read_postprocess
from drpnet.io.volumes import write_volume
from drpnet.reconstruction.fsc import (
    correct,
    fsc_of_ssnr,
    half_map_fsc,
    randomise_phases,
    resolution,
    shell_correlation,
    shells,
    ssnr,
)


def halves(box=32, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    radius = np.sqrt(((np.mgrid[:box, :box, :box] - box // 2) ** 2).sum(axis=0))
    signal = np.exp(-((radius / 4) ** 2)) * (1 + 0.5 * rng.normal(size=(box,) * 3))
    scale = noise * signal.std()
    return signal + rng.normal(0, scale, (box,) * 3), signal + rng.normal(0, scale, (box,) * 3)


def soft_ball(box, radius=10.0, edge=4.0):
    distance = np.sqrt(((np.mgrid[:box, :box, :box] - box // 2) ** 2).sum(axis=0))
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((radius + edge - distance) / edge, 0, 1))


@pytest.mark.parametrize("box", [32, 33])
def test_it_is_teamtomos_within_its_interpolation(box):
    first, second = halves(box)
    ours = half_map_fsc(first, second, 1.0).unmasked
    theirs = fourier_shell_correlation(torch.tensor(first), torch.tensor(second)).numpy()
    apart = np.abs(ours - theirs[: len(ours)])[1:]
    assert np.median(apart) < 0.02 and apart.max() < 0.1  # most where the curve is steep


def test_a_shell_is_every_voxel_of_the_half_transform_whose_distance_rounds_to_it():
    first, second = halves(12)
    a, b = fftn(first), fftn(second)
    sums = np.zeros((7, 3))
    for z, y, x in np.ndindex(12, 12, 7):
        k = [n if n <= 6 else n - 12 for n in (z, y, x)]
        shell = round(float(np.linalg.norm(k)))
        if shell <= 6:
            p, q = a[z, y, x], b[z, y, x]
            sums[shell] += (p * q.conjugate()).real, abs(p) ** 2, abs(q) ** 2
    slow = sums[:, 0] / np.sqrt(sums[:, 1] * sums[:, 2])
    np.testing.assert_allclose(half_map_fsc(first, second, 1.0).unmasked, slow, atol=1e-12)


def test_known_answers():
    first, second = halves()
    np.testing.assert_allclose(half_map_fsc(first, 3 * first, 1.0).unmasked, 1)
    np.testing.assert_allclose(half_map_fsc(first, -first, 1.0).unmasked, -1)
    rng = np.random.default_rng(0)
    noise = half_map_fsc(rng.normal(size=(48,) * 3), rng.normal(size=(48,) * 3), 1.0).unmasked
    assert np.abs(noise[5:]).max() < 0.2
    signal = rng.normal(size=(48,) * 3)
    pair = [signal + rng.normal(0, 1 / np.sqrt(3), signal.shape) for _ in range(2)]
    expected = fsc_of_ssnr(np.array(3.0), halves=False)  # signal to noise 3 in each half: FSC 0.75
    assert half_map_fsc(*pair, 1.0).unmasked[5:].mean() == pytest.approx(float(expected), abs=0.01)


def test_signal_to_noise_is_equations_6_and_7():
    curve = np.array([0.0, 0.143, 0.5, 0.75])
    np.testing.assert_allclose(ssnr(curve, halves=False), curve / (1 - curve))
    np.testing.assert_allclose(ssnr(curve), 2 * curve / (1 - curve))
    for split in (True, False):
        np.testing.assert_allclose(fsc_of_ssnr(ssnr(curve, halves=split), halves=split), curve)
    assert ssnr(np.array([-0.2, 1.0])).tolist() == [0.0, np.inf]


def test_where_the_curve_crosses():
    frequency = np.arange(6) / 60
    curve = np.array([1, 0.9, 0.6, 0.2, 0.1, 0.5])
    assert resolution(curve, frequency, 0.143) == pytest.approx(20)  # shell 3
    assert resolution(curve, frequency, 0.5) == pytest.approx(30)
    crossing = resolution(curve, frequency, 0.5, interpolate=True)
    assert 1 / crossing == pytest.approx((2 + 0.1 / 0.4) / 60)
    assert resolution(np.ones(6), frequency, 0.143) == pytest.approx(12)
    assert resolution(np.array([1, 0.1, 0.9]), frequency[:3], 0.143) == np.inf


def test_random_phases_keep_amplitudes_and_the_shells_below():
    transform = rfftn(halves()[0])
    found = randomise_phases(transform, 6, np.random.default_rng(0))
    np.testing.assert_allclose(np.abs(found), np.abs(transform))
    axis = np.fft.fftfreq(32, 1 / 32)
    below = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[:17] ** 2) < 6
    assert (found[below] == transform[below]).all() and (found[~below] != transform[~below]).mean() > 0.99
    assert np.abs(shell_correlation(found, transform)[8:]).max() < 0.2


def test_the_correction_is_the_formula_and_repeats_itself():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 32, 32, 32))
    mask = soft_ball(32, 4)
    found = half_map_fsc(first, second, 1.0, mask)
    wanted = (found.masked - found.randomised) / (1 - found.randomised)
    np.testing.assert_allclose(found.corrected[found.randomised_from + 2 :], wanted[found.randomised_from + 2 :])
    np.testing.assert_array_equal(found.corrected[:3], found.masked[:3])
    again = half_map_fsc(first, second, 1.0, mask)
    np.testing.assert_array_equal(found.corrected, again.corrected)


def test_boxes_that_do_not_fit():
    first, second = halves(16)
    with pytest.raises(InputError, match="boxes .16, 16, 16. and .12, 16, 16."):
        half_map_fsc(first, second[2:-2], 1.0)
    with pytest.raises(InputError, match="needs a cube"):
        half_map_fsc(first[2:-2], second[2:-2], 1.0)
    with pytest.raises(InputError, match="the mask has box .8, 8, 8."):
        half_map_fsc(first, second, 1.0, np.ones((8, 8, 8)))


@pytest.mark.relion
def test_curves_and_resolution_are_those_of_relion_postprocess(relion, tmp_path):
    first, second = (half.astype(np.float32) for half in halves(48, 0.2))
    mask = soft_ball(48, 12).astype(np.float32)
    for name, volume in (("half1", first), ("half2", second), ("mask", mask)):
        write_volume(tmp_path / f"{name}.mrc", volume, 2.0)
    (tmp_path / "post").mkdir()
    words = ["--i", "half1.mrc", "--i2", "half2.mrc", "--mask", "mask.mrc", "--angpix", "2", "--adhoc_bfac", "0"]
    # it writes its .star before it draws, and fails there without ghostscript
    relion(tmp_path, "relion_postprocess", *words, "--force_mask", "--o", "post/postprocess", complete=False)
    theirs = read_postprocess(tmp_path / "post" / "postprocess.star")
    ours = half_map_fsc(first, second, 2.0, mask)
    np.testing.assert_allclose(ours.frequency, theirs.frequency, atol=1e-6)
    np.testing.assert_allclose(ours.unmasked, theirs.unmasked, atol=1e-4)
    np.testing.assert_allclose(ours.masked, theirs.masked, atol=1e-4)
    start = ours.randomised_from
    np.testing.assert_allclose(correct(theirs.masked, theirs.randomised, start), theirs.corrected, atol=1e-4)
    np.testing.assert_allclose(ours.randomised, theirs.randomised, atol=0.1)  # other random numbers
    assert resolution(theirs.corrected, theirs.frequency, 0.143) == pytest.approx(theirs.final_resolution, abs=1e-4)
    assert resolution(ours.corrected, ours.frequency, 0.143) == pytest.approx(theirs.final_resolution, rel=0.1)
    assert shells(48).max() > 24
