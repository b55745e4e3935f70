"""Averages, F-beta, curves under weights, calibration and localisation against sums by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.measures.intervals import interval, resampled
from drpnet.measures.matching import average_precision
from drpnet.measures.scores import (
    averaged,
    calibration,
    check_beta,
    f_beta,
    localisation,
    score_histogram,
    weighted_average_precision,
)

# true picks, picks, found, truth: precision and recall 1/2 and 1/3, then 1 and 1/2, then nothing on both sides
COUNTS = np.array([[2, 4, 2, 6], [1, 1, 1, 2], [0, 0, 0, 0]])
ONCE = np.ones((1, 3))


def test_averages_by_hand():
    assert averaged(COUNTS, ONCE, "micro")[0, :3] == pytest.approx([3 / 5, 3 / 8, 6 / 13])
    f = [0.4, 2 / 3, 1]
    assert averaged(COUNTS, ONCE, "macro")[0, :3] == pytest.approx([2.5 / 3, (1 / 3 + 1 / 2 + 1) / 3, sum(f) / 3])
    assert averaged(COUNTS[:2], ONCE[:, :2], "max")[0, :3] == pytest.approx([1, 0.5, 2 / 3])


def test_f_beta_weighs_recall_by_beta_squared():
    assert f_beta(0.5, 0.8, 2.0) == pytest.approx(5 * 0.4 / (4 * 0.5 + 0.8))
    assert f_beta(0.5, 0.8) == pytest.approx(0.8 / 1.3)
    assert f_beta(np.array([0.0]), np.array([0.0]), 3.0).tolist() == [0]
    assert averaged(COUNTS, ONCE, "micro", 0.5)[0, 3] == pytest.approx(1.25 * 0.6 * 0.375 / (0.25 * 0.6 + 0.375))
    for beta in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="beta"):
            check_beta(beta)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), st.sampled_from(["micro", "macro", "max"]))
def test_a_weight_is_so_many_copies(weights, average):
    copies = np.repeat(COUNTS, weights, axis=0)
    expected = averaged(copies, np.ones((1, len(copies))), average, 2.0)
    assert averaged(COUNTS, np.array([weights]), average, 2.0) == pytest.approx(expected)


def test_average_precision_of_copies_is_that_of_a_weight():
    random = np.random.default_rng(4)
    scores, hit, owner = np.round(random.random(30), 1), random.random(30) < 0.6, np.sort(random.integers(0, 3, 30))
    truth = np.array([9, 12, 5])
    for weights in ([1, 1, 1], [2, 0, 1], [0, 3, 0]):
        copy = np.concatenate([np.flatnonzero(owner == m) for m, times in enumerate(weights) for _ in range(times)])
        expected = average_precision(scores[copy], hit[copy], int(truth @ weights))
        assert weighted_average_precision(scores, hit, owner, truth, np.array([weights]))[0] == pytest.approx(expected)
    assert np.isnan(weighted_average_precision(scores, hit, owner, np.zeros(3), ONCE)[0])


def test_calibration_by_hand():
    scores, hit = np.array([0.05, 0.15, 0.15, 0.95, 1.0]), np.array([False, True, False, True, True])
    fit = calibration(scores, hit)
    assert [(row["picks"], row["share_true"]) for row in fit["curve"]] == [(1, 0), (2, 0.5), (2, 1)]
    assert fit["curve"][-1]["mean_score"] == pytest.approx(0.975)
    assert fit["expected_calibration_error"] == pytest.approx((0.05 + 2 * 0.35 + 2 * 0.025) / 5)
    for nothing in ([], [0.5, 0.5], [0.1, 1.2], [-0.1, 0.4]):
        assert calibration(np.array(nothing), np.ones(len(nothing), bool)) is None


def test_scores_that_are_probabilities_have_a_small_error_and_confident_ones_a_large_one():
    random = np.random.default_rng(0)
    scores = random.random(20_000)
    hit = random.random(20_000) < scores
    assert calibration(scores, hit)["expected_calibration_error"] < 0.02
    assert calibration(np.sqrt(scores), hit)["expected_calibration_error"] > 0.12


def test_localisation_in_three_units():
    place = localisation(np.array([[3.0, 4.0], [0.0, 1.0], [0.0, -2.0]]), 20.0, 1.5)
    assert place["matches"] == 3
    assert place["px"]["median"] == 2 and place["angstrom"]["median"] == 3 and place["diameters"]["median"] == 0.1
    assert (place["px"]["mean_x"], place["px"]["mean_y"]) == (1, 1)
    assert place["px"]["p95"] == pytest.approx(4.7)
    assert place["offsets_px"][0] == {"x": 4.0, "y": 3.0}
    bare = localisation(np.array([[3.0, 4.0]]))
    assert bare["angstrom"] is None and bare["diameters"] is None
    assert localisation(np.empty((0, 2))) is None


def test_a_histogram_counts_every_pick_once():
    bars = score_histogram(np.array([0.0, 0.2, 1.0, 1.0]), np.array([True, False, True, False]), bins=2)
    assert bars == {"bounds": [0, 0.5, 1], "true": [1, 1], "false": [1, 1]}
    assert score_histogram(np.empty(0), np.empty(0, bool)) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=8))
def test_an_interval_stays_between_the_micrographs_and_holds_the_mean(rows):
    """Pooled or averaged, no draw of micrographs is better than the best or worse than the worst of them."""
    counts = np.array([(tp, tp + fp, tp, tp + fn) for tp, fp, fn in rows if tp + fp and tp + fn])
    if len(counts) < 2:
        return
    drawn = resampled(len(counts), 300, 1)
    assert (drawn.sum(axis=1) == len(counts)).all()
    single = averaged(counts, np.eye(len(counts)), "micro")
    for average in ("micro", "macro"):
        values = averaged(counts, drawn, average)
        low, high = interval(values[:, 0])
        assert single[:, 0].min() - 1e-9 <= low <= high <= single[:, 0].max() + 1e-9
    # the mean over micrographs is what the draws scatter around
    low, high = interval(averaged(counts, drawn, "macro")[:, 0])
    assert low - 1e-9 <= single[:, 0].mean() <= high + 1e-9


def test_intervals_are_seeded_and_narrow_with_more_micrographs():
    random = np.random.default_rng(6)

    def width(m, seed=0):
        tp = random.integers(4, 9, m)
        counts = np.stack([tp, np.full(m, 10), tp, np.full(m, 10)], axis=1)
        low, high = interval(averaged(counts, resampled(m, 500, seed), "micro")[:, 0])
        assert low < tp.mean() / 10 < high
        return high - low

    assert width(200) < 0.4 * width(8)
    assert np.array_equal(resampled(5, 10, 3), resampled(5, 10, 3))
    assert not np.array_equal(resampled(5, 10, 3), resampled(5, 10, 4))
    assert interval(np.empty(0)) is None and interval(np.array([1.0, np.nan])) is None
    with pytest.raises(InputError, match="resamples"):
        resampled(3, -1, 0)
