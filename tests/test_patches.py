import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.patches import extract_patches, patch_corners


def mirrored(index, length):
    """The index of a mirrored image without repeated edge, one step out of bounds at a time."""
    while not 0 <= index < length:
        index = -index if index < 0 else 2 * (length - 1) - index
    return index


@settings(max_examples=80, deadline=None)
@given(st.integers(12, 25), st.integers(12, 25), st.sampled_from([8, 12, 20]), st.integers(0, 10_000))
def test_extract_patches_equals_a_loop_over_mirrored_pixels(height, width, size, seed):
    rng = np.random.default_rng(seed)
    image = rng.random((height, width)).astype(np.float32)
    centres = rng.uniform((-0.49, -0.49), (height - 0.51, width - 0.51), (3, 2))
    patches = extract_patches(image, centres, size)
    for patch, (y, x) in zip(patches, centres, strict=True):
        top, left = int(np.floor(y + 0.5)) - size // 2, int(np.floor(x + 0.5)) - size // 2
        rows = [mirrored(top + i, height) for i in range(size)]
        columns = [mirrored(left + i, width) for i in range(size)]
        np.testing.assert_array_equal(patch, image[np.ix_(rows, columns)])


def test_the_centre_lies_at_half_the_size_also_at_the_border():
    image = np.arange(100.0, dtype=np.float32).reshape(10, 10)
    centres = np.array([[0, 0], [4, 5], [9, 9], [0, 9]])
    patches = extract_patches(image, centres, 6)
    assert patches.shape == (4, 6, 6) and patches.dtype == np.float32
    np.testing.assert_array_equal(patches[:, 3, 3], image[tuple(centres.T)])


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (5, 6), (1, 1)])
def test_an_image_smaller_than_a_patch_still_gives_patches(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    centre = np.array([[shape[0] // 2, shape[1] // 2]])
    patch = extract_patches(image, centre, 16)
    assert patch.shape == (1, 16, 16)
    assert patch[0, 8, 8] == image[tuple(centre[0])]
    assert set(np.unique(patch)) <= set(np.unique(image))


def test_no_centres_give_no_patches():
    assert extract_patches(np.ones((20, 20), np.float32), np.empty((0, 2)), 8).shape == (0, 8, 8)


def test_corners_put_the_centre_at_half_the_size_and_stay_inside():
    centres = np.array([[10, 12], [0, 0], [29, 39], [10.6, 12.4]])
    corners = patch_corners(centres, 8, (30, 40))
    np.testing.assert_array_equal(corners, [[6, 8], [0, 0], [22, 32], [7, 8]])


def test_corners_of_a_patch_that_fills_the_image():
    np.testing.assert_array_equal(patch_corners(np.array([[3.0, 60.0]]), 64, (64, 64)), [[0, 0]])


def test_an_image_smaller_than_a_training_patch_is_an_error():
    with pytest.raises(InputError, match="63 x 200 px in the network's frame, smaller than a 64 px patch"):
        patch_corners(np.zeros((1, 2)), 64, (63, 200))
