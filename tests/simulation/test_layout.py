"""Centres keep their distance, stay in the frame and out of forbidden places."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from drpnet.simulation.layout import place_centres


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(40, 150), st.integers(40, 150)),
    st.floats(3.0, 20.0),
    st.floats(0.0, 1.0),
)
def test_distance_and_frame(seed: int, shape: tuple[int, int], distance: float, clustered: float) -> None:
    count = int(0.3 * shape[0] * shape[1] / distance**2)
    centres = place_centres(
        np.random.default_rng(seed), shape, count, distance, clustered, lambda p: p[:, 0] < 0.9 * shape[0]
    )
    assert centres.shape == (count, 2)
    assert np.all(centres >= 0) and np.all(centres <= np.array(shape) - 1)
    assert np.all(centres[:, 0] < 0.9 * shape[0])
    if count > 1:
        assert pdist(centres).min() >= distance


def test_clusters_bring_neighbours_closer() -> None:
    def mean_nearest(fraction: float) -> float:
        rng = np.random.default_rng(3)
        centres = place_centres(rng, (500, 500), 80, 20.0, fraction, lambda p: np.ones(len(p), bool))
        apart = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(centres))
        return float(apart.min(1).mean())

    assert mean_nearest(0.9) < 0.85 * mean_nearest(0.0)


def test_nothing_fits_where_nothing_is_allowed() -> None:
    none = place_centres(np.random.default_rng(0), (50, 50), 5, 5.0, 0.3, lambda p: np.zeros(len(p), bool))
    assert none.shape == (0, 2)
