import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drpnet.frames.transforms import IDENTITY, TURNS, Transform, any_scale, double_faults, single_faults
from drpnet.io.coordinates import Coordinates, upside_down

SIZES = st.integers(16, 5000)
TRANSFORMS = st.builds(
    Transform,
    swap=st.booleans(),
    flip_y=st.booleans(),
    flip_x=st.booleans(),
    scale=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    offset=st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
    first=st.integers(0, 1),
)
CENTRES = arrays(float, st.tuples(st.integers(0, 5), st.just(2)), elements=st.floats(-1e4, 1e4))


@given(TRANSFORMS, CENTRES, SIZES, SIZES)
def test_inverse_undoes_apply(transform, centres, height, width):
    there = transform.apply(centres, (height, width))
    np.testing.assert_allclose(transform.inverse(there, (height, width)), centres, atol=1e-6)


def test_every_fault_against_the_formula_that_is_written_elsewhere():
    centres, shape = np.array([[10.0, 20.0], [0.0, 3.0]]), (101, 203)
    flipped = upside_down(Coordinates(centres), shape[0]).centres
    np.testing.assert_array_equal(Transform(flip_y=True).apply(centres, shape), flipped)
    np.testing.assert_array_equal(Transform(swap=True).apply(centres, shape), centres[:, ::-1])
    matlab = Transform(scale=(3, 3), first=1).apply(centres, shape)
    np.testing.assert_allclose(matlab, (centres - 1) * 3 + 1)  # the test of frames in tests/io
    np.testing.assert_array_equal(Transform(offset=(90, 90)).apply(centres, shape), centres + 90)
    np.testing.assert_array_equal(IDENTITY.apply(centres, shape), centres)


def test_shapes_may_differ_from_centre_to_centre():
    centres, shapes = np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[10, 20], [30, 40]])
    got = Transform(flip_y=True, flip_x=True).apply(centres, shapes)
    np.testing.assert_array_equal(got, [[8, 17], [28, 37]])


def test_the_families_are_distinct_and_without_the_identity():
    single, double = (family([(900, 1000)], 40.0, 1.77) for family in (single_faults, double_faults))
    assert len({*single, *double}) == len(single) + len(double)
    assert IDENTITY not in {*single, *double}
    assert Transform(scale=(1 / 1.77, 1 / 1.77)) in single  # coordinates in Angstrom
    assert Transform(scale=(900, 1000)) in single  # fractions
    assert Transform(scale=(900 / 1024, 1000 / 1024)) in single  # a picture squeezed to a square
    assert len(set(TURNS)) == 8


def test_any_scale_is_dense_enough():
    scales = sorted({one.scale[0] for one in any_scale(3.0, 0.01)})
    assert scales[0] == pytest.approx(1.2) and scales[-1] == pytest.approx(3.0)
    assert np.diff(np.log(scales)).max() <= 0.01


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (IDENTITY, "as written"),
        (Transform(flip_y=True), "y flipped"),
        (Transform(flip_y=True, flip_x=True), "both axes flipped"),
        (Transform(swap=True, flip_x=True), "x and y swapped, x flipped"),
        (Transform(scale=(3, 3), first=1), "binned 3x, counted from 1"),
        (Transform(scale=(1.1, 1.1)), "scale 1.1"),
        (Transform(offset=(90, -90)), "offset (y +90, x -90) px"),
    ],
)
def test_words(transform, words):
    assert transform.words() == words
