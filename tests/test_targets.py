import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.targets import DiscTarget, DistanceTarget, GaussianTarget, cone_map, disc_mask, distance_map, merged_centres

SHAPE = st.tuples(st.integers(1, 17), st.integers(1, 17))
CENTRES = st.lists(st.tuples(st.floats(-4, 20), st.floats(-4, 20)), max_size=6).map(
    lambda points: np.array(points, float).reshape(-1, 2)
)
RADIUS = st.floats(1, 7)


def pixels(shape):
    return np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1).reshape(-1, 2).astype(float)


def nearest(points, others):
    if len(others) == 0:
        return np.full(len(points), np.inf)
    return np.sqrt(((points[:, None] - others[None]) ** 2).sum(-1)).min(axis=1)


def brute_force_distance_map(shape, centres, radius):
    """O(n^2): for every pixel of a disc, the nearest pixel outside all discs; outside the image counts."""
    large = pixels((shape[0] + 2, shape[1] + 2)) - 1
    on_image = ((large >= 0) & (large < shape)).all(axis=1)
    inside = on_image & (nearest(large, centres) <= radius)
    result = np.zeros(len(large))
    result[inside] = nearest(large[inside], large[~inside])
    return np.minimum(result[on_image].reshape(shape) / radius, 1)


@settings(max_examples=100, deadline=None)
@given(SHAPE, CENTRES, RADIUS)
def test_the_mask_is_the_union_of_discs(shape, centres, radius):
    expected = nearest(pixels(shape), centres).reshape(shape) <= radius
    differs = disc_mask(shape, centres, radius) != expected
    rim = np.isclose(nearest(pixels(shape), centres).reshape(shape), radius, atol=1e-9)
    assert not (differs & ~rim).any()


@settings(max_examples=100, deadline=None)
@given(
    SHAPE,
    st.lists(st.tuples(st.integers(-4, 20), st.integers(-4, 20)), max_size=6),
    st.sampled_from([1, 2.3, 4.7, 7.2]),
)
def test_distance_map_equals_brute_force(shape, centres, radius):
    centres = np.array(centres, float).reshape(-1, 2)
    np.testing.assert_allclose(
        distance_map(shape, centres, radius), brute_force_distance_map(shape, centres, radius), atol=1e-6
    )


@settings(max_examples=100, deadline=None)
@given(SHAPE, CENTRES, RADIUS)
def test_cone_map_equals_brute_force(shape, centres, radius):
    expected = np.maximum(1 - nearest(pixels(shape), centres).reshape(shape) / radius, 0)
    np.testing.assert_allclose(cone_map(shape, centres, radius), expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(CENTRES, st.randoms())
def test_targets_lie_in_0_to_1_and_do_not_depend_on_the_order(centres, random):
    shuffled = np.array(random.sample(list(centres), len(centres))).reshape(-1, 2)
    for target in (DistanceTarget(), DistanceTarget(merge_touching=True), DistanceTarget(squared=True)):
        found = target((20, 17), centres, 9.0)
        assert found.shape == (20, 17) and found.dtype == np.float32
        assert found.min() >= 0 and found.max() <= 1
        np.testing.assert_array_equal(found, target((20, 17), shuffled, 9.0))


def test_an_isolated_particle_has_its_maximum_at_its_centre():
    for merge in (False, True):
        found = DistanceTarget(merge_touching=merge)((41, 51), np.array([[18.0, 30.0]]), 20.0)
        assert np.unravel_index(found.argmax(), found.shape) == (18, 30)
        assert found.max() == pytest.approx(1, abs=0.13)
        assert (found > 0).sum() == pytest.approx(np.pi * 8**2, rel=0.1)


def test_touching_particles_keep_their_own_maxima_only_as_cones():
    centres, between = np.array([[20.0, 20.0], [20.0, 26.0]]), (20, 23)
    cones = cone_map((41, 51), centres, 8)
    merged = distance_map((41, 51), centres, 8)
    assert cones[between] < cones[20, 20] - 0.3
    assert merged[between] > merged[20, 20] - 0.2


def test_the_released_target_is_the_square_of_the_papers():
    centres = np.array([[10.0, 12.0], [22.0, 21.0]])
    plain = DistanceTarget(merge_touching=True)((32, 33), centres, 15)
    np.testing.assert_allclose(
        DistanceTarget(merge_touching=True, squared=True)((32, 33), centres, 15), plain**2
    )


def test_no_particles_is_an_empty_map():
    for merge in (False, True):
        assert not DistanceTarget(merge_touching=merge)((9, 8), np.empty((0, 2)), 20).any()


@pytest.mark.parametrize("radius", [0, -0.1, 1.2])
def test_an_impossible_radius_is_refused(radius):
    with pytest.raises(InputError, match=f"radius_diameters is {radius}"):
        DistanceTarget(radius_diameters=radius)


@settings(max_examples=50, deadline=None)
@given(SHAPE, CENTRES, st.floats(2, 12))
def test_rival_targets_equal_their_definitions(shape, centres, diameter_px):
    distances = nearest(pixels(shape), centres).reshape(shape)
    gaussian = GaussianTarget(0.2)(shape, centres, diameter_px)
    sigma = 0.2 * diameter_px
    np.testing.assert_allclose(gaussian, np.exp(-(distances**2) / (2 * sigma**2)), atol=4e-4)
    disc = DiscTarget(0.3)(shape, centres, diameter_px)
    sure = np.abs(distances - max(1, 0.3 * diameter_px)) > 1e-6
    assert ((disc == 1) == (distances <= max(1, 0.3 * diameter_px)))[sure].all() and set(np.unique(disc)) <= {0, 1}
    assert gaussian.dtype == disc.dtype == np.float32


def test_centres_merge_where_their_discs_touch():
    centres = np.array([[10.0, 10.0], [10.0, 17.0], [30.0, 12.0]])
    found = merged_centres((50, 40), centres, 4.0)
    np.testing.assert_allclose(sorted(map(tuple, found)), [(10, 13.5), (30, 12)])
    np.testing.assert_allclose(merged_centres((50, 40), centres, 2.5), centres)
    assert merged_centres((50, 40), np.empty((0, 2)), 4.0).shape == (0, 2)
    target = DistanceTarget(merge_centres_diameters=0.2)((50, 40), centres, 20.0)
    assert target[10, 13] > 0.9 and target[10, 10] < 0.7
    assert target[30, 12] == pytest.approx(1)


@pytest.mark.parametrize(
    ("target", "values"),
    [(DiscTarget, {"radius_diameters": 0}), (GaussianTarget, {"sigma_diameters": 2}),
     (DistanceTarget, {"merge_centres_diameters": -1})],
)  # fmt: skip
def test_rival_targets_refuse_sizes_that_cannot_work(target, values):
    with pytest.raises(InputError, match=next(iter(values))):
        target(**values)
