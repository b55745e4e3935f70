"""The CTF against its textbook formula."""

import numpy as np
import pytest

from drpnet.simulation.ctf import Optics, apply_transfer, padded_shape, transfer

WAVELENGTH_300_KV = 0.019687


def formula(k: np.ndarray, defocus: float, cs_mm: float, contrast: float) -> np.ndarray:
    """-sin(chi) with chi = pi L dz k^2 - pi/2 Cs L^3 k^4 + asin(A): negative at low frequency."""
    chi = np.pi * WAVELENGTH_300_KV * defocus * k**2 - np.pi / 2 * cs_mm * 1e7 * WAVELENGTH_300_KV**3 * k**4
    return -np.sin(chi + np.arcsin(contrast))


@pytest.mark.parametrize(("angle", "along_x"), [(0.0, 22000.0), (90.0, 18000.0)])
def test_ctf_along_both_axes_with_astigmatism(angle: float, along_x: float) -> None:
    optics = Optics(22000.0, 18000.0, angle, 300.0, 2.7, 0.1, 0.0)
    ctf = transfer(optics, (512, 512), 2.0)
    k = np.fft.rfftfreq(512, 2.0)
    np.testing.assert_allclose(ctf[0], formula(k, along_x, 2.7, 0.1), atol=2e-3)
    np.testing.assert_allclose(ctf[:256, 0], formula(k[:256], 40000 - along_x, 2.7, 0.1), atol=2e-3)


def test_first_zero_lies_where_the_formula_says() -> None:
    optics = Optics(20000.0, 20000.0, 0.0, 300.0, 2.7, 0.1, 100.0)
    row = transfer(optics, (1024, 1024), 2.0)[0]
    first = np.flatnonzero(np.diff(np.sign(row)))[0]
    expected = np.sqrt((np.pi - np.arcsin(0.1)) / (np.pi * WAVELENGTH_300_KV * 20000.0))
    assert np.fft.rfftfreq(1024, 2.0)[first] == pytest.approx(expected, abs=1.5 / 2048)


def test_envelope_is_the_b_factor() -> None:
    bare, damped = (transfer(Optics(15e3, 15e3, 0, 300, 2.7, 0.1, b), (64, 64), 3.0) for b in (0.0, 120.0))
    k2 = np.fft.fftfreq(64, 3.0)[:, None] ** 2 + np.fft.rfftfreq(64, 3.0) ** 2
    np.testing.assert_allclose(damped, bare * np.exp(-30.0 * k2), atol=1e-5)


def test_density_becomes_dark() -> None:
    y, x = np.mgrid[:128, :128]
    blob = np.exp(-((y - 64) ** 2 + (x - 64) ** 2) / (2 * 8.0**2)).astype(np.float32)
    ctf = transfer(Optics(20e3, 20e3, 0, 300, 2.7, 0.1, 0), (128, 128), 4.0)
    contrast = apply_transfer(blob, ctf)
    assert contrast.dtype == np.float32
    assert contrast[64, 64] < -0.09
    assert contrast.sum() == pytest.approx(-0.1 * blob.sum(), rel=0.01)


@pytest.mark.parametrize("shape", [(100, 101), (37, 64)])
def test_padding_leaves_the_margin(shape: tuple[int, int]) -> None:
    padded = padded_shape(shape, 15)
    assert all(p % 2 == 0 and p - n >= 30 for p, n in zip(padded, shape, strict=True))
