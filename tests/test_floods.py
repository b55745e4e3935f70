import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction

from drpnet import floods
from drpnet.floods import graded_maxima

EIGHT = np.ones((3, 3))


def neighbours(shape, y, x):
    for v in range(max(0, y - 1), min(shape[0], y + 2)):
        for u in range(max(0, x - 1), min(shape[1], x + 2)):
            if (v, u) != (y, x):
                yield v, u


def looped_maxima(image, height):
    """Regional maxima of the h-maxima transform, 8-connected, by loops over pixels."""
    image = [[float(value) for value in row] for row in image]
    shape = len(image), len(image[0])
    pixels = [(y, x) for y in range(shape[0]) for x in range(shape[1])]
    low = [[value - height for value in row] for row in image]
    changed = True
    while changed:
        changed = False
        for y, x in pixels:
            best = max([low[y][x], *(low[v][u] for v, u in neighbours(shape, y, x))])
            if min(best, image[y][x]) > low[y][x]:
                low[y][x] = min(best, image[y][x])
                changed = True
    result, seen = np.zeros(shape, bool), set()
    for start in pixels:
        if start in seen:
            continue
        plateau, todo, is_maximum = [], [start], True
        seen.add(start)
        while todo:
            y, x = todo.pop()
            plateau.append((y, x))
            for v, u in neighbours(shape, y, x):
                if low[v][u] > low[y][x]:
                    is_maximum = False
                elif low[v][u] == low[y][x] and (v, u) not in seen:
                    seen.add((v, u))
                    todo.append((v, u))
        if is_maximum:
            result[tuple(np.transpose(plateau))] = True
    return result


def reconstructed_maxima(image, height):
    """The same by grey reconstruction."""
    image = image.astype(np.float64)
    return local_maxima(reconstruction(image - height, image, footprint=EIGHT), connectivity=2)


def graded_by_reconstruction(image, threshold, lowest, highest):
    """What `graded_maxima` promises, one level after the other, region by region."""
    regions, count = ndimage.label(reconstructed_maxima(image, lowest * threshold), structure=EIGHT)
    centres, heights, levels = np.empty((count, 2)), np.empty(count), np.full(count, lowest)
    larger = {
        level: ndimage.label(reconstructed_maxima(image, level * threshold), structure=EIGHT)[0]
        for level in range(lowest + 1, highest + 1)
    }
    for i in range(count):
        places = np.argwhere(regions == i + 1)
        values = image[tuple(places.T)]
        centres[i], heights[i] = places.mean(axis=0), values.max()
        top = tuple(places[values.argmax()])
        for level in range(lowest + 1, highest + 1):
            region = larger[level]
            if not region[top] or image[region == region[top]].max() > heights[i]:
                break
            levels[i] = level
    return centres, heights, levels


def assert_same(found, expected):
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, other)


@settings(max_examples=150, deadline=None)
@given(
    arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 6)),
    st.sampled_from([1, 2, 3]),
)
def test_the_two_oracles_agree(image, height):
    expected = looped_maxima(image, height)
    assume(not expected.all())  # a flat transform is one plateau, which is no maximum for skimage
    np.testing.assert_array_equal(reconstructed_maxima(image, height), expected)


def test_extended_maxima_by_eye():
    image = np.array([[0, 0, 0, 0, 0, 0, 0], [0, 5, 5, 0, 3, 0, 1], [0, 5, 4, 3, 2, 0, 0.0]])
    # lowered by 2, the 5s become a plateau of 3 with the 4 and the 3s beside it, down to the one at (1, 4)
    assert looped_maxima(image, 2).nonzero()[1].tolist() == [1, 2, 4, 1, 2, 3]
    centres, heights, levels = graded_maxima(image, 2, 1, 3)
    np.testing.assert_allclose(centres, [[1.5, 13 / 6]])
    assert heights.tolist() == [5] and levels.tolist() == [2]
    # the 3 at (1, 4) is on the slope of the 5s
    assert graded_maxima(image, 0.5, 1, 3)[1].tolist() == [5, 1]
    for height in (0.5, 1, 2, 4):
        assert_same(graded_maxima(image, height, 1, 3), graded_by_reconstruction(image, height, 1, 3))


LEVELS = st.sampled_from([(1, 1), (1, 3), (2, 3), (2, 2), (1, 5)])


@settings(max_examples=300, deadline=None)
@given(
    arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 7)),
    st.sampled_from([0.4, 0.5, 1, 1.5, 2]),
    LEVELS,
)
@example(np.array([[3, 0, 3], [0, 0, 0], [3, 0, 3]]), 1, (1, 5))
@example(np.array([[5, 4, 5, 1, 5]]), 1, (1, 3))
def test_ties_and_plateaus_are_graded_as_by_reconstruction(image, threshold, levels):
    assert_same(graded_maxima(image, threshold, *levels), graded_by_reconstruction(image, threshold, *levels))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 100_000),
    st.tuples(st.integers(1, 45), st.integers(1, 45)),
    st.floats(0.5, 4),
    st.floats(0.01, 3),
    LEVELS,
    st.sampled_from(["noise", "clipped", "slope", "rounded"]),
)
def test_smooth_fields_are_graded_as_by_reconstruction(seed, shape, sigma, threshold, levels, kind):
    image = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma).astype(np.float32)
    image /= image.std() or 1
    if kind == "clipped":
        image = np.clip(image, -0.5, 1)
    elif kind == "slope":
        image += np.linspace(0, 5, shape[1], dtype=np.float32)
    elif kind == "rounded":
        image = np.round(4 * image) / 4
    assert_same(graded_maxima(image, threshold, *levels), graded_by_reconstruction(image, threshold, *levels))


@pytest.mark.parametrize("threshold", [1 / 3, 0.1, 0.1 + 2**-24, np.float64(np.float32(0.1))])
def test_a_saddle_exactly_at_the_threshold_flattens_a_maximum(threshold):
    top = np.float32(threshold)
    image = np.zeros((5, 9), np.float32)
    image[2, 2], image[2, 6] = top, 1
    found = graded_maxima(image, threshold, 1, 1)
    assert_same(found, graded_by_reconstruction(image, threshold, 1, 1))
    assert len(found[1]) == (2 if float(top) - threshold > 0 else 1)


@pytest.mark.parametrize("value", [0.0, -3.5, np.nan])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (20, 31)])
def test_a_flat_image_has_no_maxima(value, shape):
    centres, heights, levels = graded_maxima(np.full(shape, value, np.float32), 0.1, 1, 3)
    assert centres.shape == (0, 2) and len(heights) == len(levels) == 0


def test_the_image_is_left_alone_whatever_its_layout():
    image = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    before = image.copy()
    expected = graded_by_reconstruction(image[::2, 3:].T, 0.2, 1, 3)
    assert_same(graded_maxima(image[::2, 3:].T, 0.2, 1, 3), expected)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("cache", [True, False])
def test_compiled_code_is_kept_where_that_is_possible_and_needed_nowhere(tmp_path, cache):
    installed, home = tmp_path / "installed", tmp_path / "home"
    for folder in (installed, home):
        folder.mkdir()
    shutil.copy(floods.__file__, installed / "floods.py")
    (installed / "__pycache__").touch()  # a file, so that nothing can be kept beside the module, not even by root
    (home / ".cache").touch() if not cache else None
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "XDG_"))}
    environment |= {"HOME": str(home), "LOCALAPPDATA": str(home / ".cache")}
    program = "import numpy, floods; print(floods.graded_maxima(numpy.eye(4)[:, :3], 0.5, 1, 3)[0].tolist())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == "[[1.0, 1.0]]", done.stderr
    assert bool(list(home.rglob("floods*.nbc"))) == cache
