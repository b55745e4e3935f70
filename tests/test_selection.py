import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.config import SelectionConfig
from drpnet.selection import (
    NEGATIVE,
    POSITIVE,
    UNUSED,
    background_centres,
    drop_near_positives,
    judge_by_grey_levels,
    select_samples,
)


def pooled(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random(n), rng.integers(1, 4, n), rng.random(n)


def quantile(values, share):
    ordered = np.sort(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@pytest.mark.parametrize("seed", range(4))
def test_confidence_equals_the_rule_said_candidate_by_candidate(seed):
    heights, levels, deviations = pooled(150, seed)
    config = SelectionConfig(positive_mean_quantile=0.2, negative_deviation_quantile=0.05)
    means = np.random.default_rng(seed + 100).normal(size=150)
    labels = judge_by_grey_levels(select_samples(heights, levels, deviations, config), deviations, means, config)
    for height, level, deviation, mean, label in zip(heights, levels, deviations, means, labels, strict=True):
        confident = level >= 2 and height >= quantile(heights, 0.5)
        if deviation < quantile(deviations, 0.05):
            assert label == NEGATIVE
        elif confident and deviation >= quantile(deviations, 0.1) and mean >= quantile(means, 0.2):
            assert label == POSITIVE
        elif not confident and height < quantile(heights, 0.25):
            assert label == NEGATIVE
        else:
            assert label == UNUSED


def test_confidence_drops_confident_candidates_without_pattern():
    heights, levels = np.linspace(0, 1, 100), np.full(100, 3)
    deviations = np.ones(100)
    deviations[90:] = 0.0
    config = SelectionConfig(positive_deviation_quantile=0.2)
    labels = judge_by_grey_levels(select_samples(heights, levels, deviations, config), deviations, deviations, config)
    assert (labels[50:90] == POSITIVE).all() and (labels[90:] == UNUSED).all()


def test_deviation_alone_decides_under_the_rule_for_10061():
    heights, levels, deviations = pooled()
    config = SelectionConfig(labels="deviation", positive_quantile=0.7, negative_quantile=0.3)
    labels = select_samples(heights, levels, deviations, config)
    assert (labels == POSITIVE).sum() == pytest.approx(60, abs=1)
    assert (labels == NEGATIVE).sum() == pytest.approx(60, abs=1)
    assert deviations[labels == POSITIVE].min() > deviations[labels != POSITIVE].max()
    np.testing.assert_array_equal(labels, select_samples(heights[::-1], levels[::-1], deviations, config))


@pytest.mark.parametrize("rule", ["confidence", "deviation"])
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_candidates_are_no_obstacle(rule, n):
    labels = select_samples(*pooled(n), SelectionConfig(labels=rule))
    assert labels.shape == (n,) and set(labels) <= {POSITIVE, NEGATIVE, UNUSED}


@pytest.mark.parametrize("rule", ["confidence", "deviation"])
def test_equal_scores_give_no_negatives(rule):
    labels = select_samples(np.ones(20), np.ones(20, int), np.ones(20), SelectionConfig(labels=rule))
    assert NEGATIVE not in labels


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 25), st.floats(0, 20))
def test_negatives_stay_away_from_positives(seed, n, distance):
    rng = np.random.default_rng(seed)
    centres, labels = rng.uniform(0, 40, (n, 2)), rng.choice([POSITIVE, NEGATIVE, UNUSED], n)
    before = labels.copy()
    found = drop_near_positives(centres, labels, distance)
    np.testing.assert_array_equal(labels, before)
    for i in range(n):
        near = any(before[j] == POSITIVE and np.hypot(*(centres[i] - centres[j])) < distance for j in range(n))
        assert found[i] == (UNUSED if before[i] == NEGATIVE and near else before[i])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 20), st.integers(0, 30))
def test_background_is_far_from_every_candidate_and_inside(seed, n, count):
    rng = np.random.default_rng(seed)
    centres = rng.uniform((0, 0), (90, 120), (n, 2))
    places = background_centres((90, 120), centres, 9.0, count, rng)
    assert places.shape[0] <= count and places.shape[1] == 2
    assert ((places >= 0) & (places <= (90, 120))).all()
    for place in places:
        assert n == 0 or np.hypot(*(centres - place).T).min() > 9
    if n == 0:
        assert len(places) == count


def test_a_crowded_image_has_no_background():
    crowd = np.stack(np.mgrid[:90:5, :90:5], -1).reshape(-1, 2)
    assert background_centres((90, 90), crowd, 9.0, 20, np.random.default_rng(0)).shape == (0, 2)
