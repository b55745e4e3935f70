import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from drpnet.clarity import clarity
from drpnet.config import PreprocessConfig
from drpnet.preprocess import preprocess

NOISE = np.random.default_rng(0).normal(size=(300, 340)).astype(np.float32)


def blobs(seed: int = 0, number: int = 150, size: float = 20.0) -> np.ndarray:
    """Dark discs of `size` px, without noise."""
    rng = np.random.default_rng(seed)
    places = np.zeros((300, 340))
    places[tuple(rng.integers((0, 0), (300, 340), (number, 2)).T)] = 1
    reach = int(size // 2)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return -ndimage.convolve(places, (np.hypot(rows, columns) <= size / 2).astype(float)).astype(np.float32)


def test_white_noise_is_faint_and_particles_without_noise_are_clear():
    assert clarity(NOISE, 20) < 0.1
    assert clarity(blobs() + 0.05 * NOISE, 20) > 0.9


def test_clarity_rises_with_contrast():
    levels = [clarity(strength * blobs() + NOISE, 20) for strength in (0, 0.2, 0.5, 1, 3)]
    assert (np.diff(levels) >= 0).all()
    assert levels[0] < 0.1 < 0.2 < levels[3] < levels[4]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 1e3), st.floats(-10, 10), st.integers(0, 3), st.booleans())
def test_units_orientation_and_sign_do_not_matter(factor, offset, turns, mirror):
    image = (0.5 * blobs() + NOISE)[:256, :256]
    other = (np.rot90(image, turns)[:, :: -1 if mirror else 1] + np.float32(offset)) * np.float32(factor)
    assert clarity(other, 20) == pytest.approx(clarity(image, 20), abs=0.02)


def test_an_edge_of_carbon_decides_nothing():
    image = 0.5 * blobs() + NOISE
    with_edge = image.copy()
    with_edge[:, :60] -= 40
    assert clarity(with_edge, 20) == pytest.approx(clarity(image, 20), abs=0.12)


@pytest.mark.parametrize("diameter", [4, 5.6, 11.9])
def test_particles_of_too_few_pixels_have_none(diameter):
    assert clarity(blobs() + 0.05 * NOISE, diameter) == 0


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (30, 30), (63, 65)])
def test_images_smaller_than_a_tile_have_a_clarity_too(shape):
    assert 0 <= clarity(NOISE[: shape[0], : shape[1]], 20) <= 1
    assert 0 <= clarity(np.zeros(shape, np.float32), 20) <= 1


def test_the_pixel_size_of_the_micrograph_hardly_matters():
    """The same particles at half the size in a frame of the same scale."""
    large = ndimage.zoom(2 * blobs(), 2, order=1).astype(np.float32)
    large += 0.5 * np.random.default_rng(1).normal(size=large.shape).astype(np.float32)
    frames = [preprocess(large[::step, ::step], step, 40, PreprocessConfig()) for step in (1, 2)]
    first, second = (clarity(frame.image, frame.particle_diameter_px) for frame in frames)
    assert first == pytest.approx(second, abs=0.3)  # half of the pixels are half of the signal
    assert first >= second
