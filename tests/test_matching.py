"""Matching against brute force, and the properties every rule keeps."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.measures.matching import (
    average_precision,
    best_threshold,
    covering_order,
    match_one_to_one,
    neighbour_pairs,
    outside_border,
    precision_recall_curve,
    precision_recall_f,
    true_in_score_order,
)

RADIUS = 3.0


def centres(most: int):
    """Crowded integer positions, so that ties, duplicates and contested particles are common."""
    place = st.tuples(st.integers(0, 9), st.integers(0, 9))
    return st.lists(place, max_size=most).map(lambda rows: np.array(rows, float).reshape(-1, 2))


def brute_force(picks: np.ndarray, truth: np.ndarray, radius: float) -> tuple[int, float]:
    """Most pairs, and the least total distance among those, over every injection of the smaller set."""
    small, large = (picks, truth) if len(picks) <= len(truth) else (truth, picks)
    best = (0, 0.0)
    for choice in permutations(range(len(large)), len(small)):
        gaps = [float(np.hypot(*(small[i] - large[j]))) for i, j in enumerate(choice)]
        inside = [gap for gap in gaps if gap <= radius]
        best = max(best, (len(inside), -sum(inside)))
    return best[0], -best[1]


@settings(max_examples=80, deadline=None)
@given(centres(5), centres(6), st.sampled_from([1.0, 2.0, RADIUS, 5.0]))
def test_most_pairs_and_least_distance_of_all_injections(picks, truth, radius):
    result = match_one_to_one(picks, truth, radius)
    count, total = brute_force(picks, truth, radius)
    assert len(result.pick_index) == count
    assert result.distance.sum() == pytest.approx(total, abs=1e-9)
    assert len(set(result.pick_index)) == len(set(result.truth_index)) == count
    assert np.allclose(result.distance, np.hypot(*(picks[result.pick_index] - truth[result.truth_index]).T))
    assert (result.distance <= radius).all() and (np.diff(result.pick_index) > 0).all()


@settings(max_examples=60, deadline=None)
@given(centres(12), centres(12))
def test_precision_and_recall_swap_with_picks_and_truth(picks, truth):
    forward, backward = match_one_to_one(picks, truth, RADIUS), match_one_to_one(truth, picks, RADIUS)
    one = precision_recall_f(len(forward.pick_index), len(picks), len(truth))
    other = precision_recall_f(len(backward.pick_index), len(truth), len(picks))
    assert one == (other[1], other[0], other[2])
    assert forward.distance.sum() == pytest.approx(backward.distance.sum(), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(centres(12), centres(12), st.tuples(st.integers(-400, 400), st.integers(-400, 400)), st.booleans())
def test_matches_move_and_turn_with_the_image(picks, truth, shift, transposed):
    def moved(places):
        return (places[:, ::-1] if transposed else places) + shift

    before, after = (
        match_one_to_one(picks, truth, RADIUS),
        match_one_to_one(moved(picks), moved(truth), RADIUS),
    )
    assert len(before.pick_index) == len(after.pick_index)
    assert before.distance.sum() == pytest.approx(after.distance.sum(), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(centres(12), centres(12))
def test_a_larger_radius_never_loses_a_match(picks, truth):
    counts = [len(match_one_to_one(picks, truth, radius).pick_index) for radius in (0.5, 1, 2, 3, 5, 20)]
    assert counts == sorted(counts)
    assert counts[-1] == min(len(picks), len(truth))


@settings(max_examples=60, deadline=None)
@given(centres(10), centres(10), st.data())
def test_true_picks_above_a_threshold_are_the_matching_of_those_picks(picks, truth, data):
    scores = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(picks), max_size=len(picks))), float)
    is_true = true_in_score_order(picks, truth, RADIUS, scores)
    for threshold in range(5):
        cut = scores >= threshold
        assert is_true[cut].sum() == len(match_one_to_one(picks[cut], truth, RADIUS).pick_index)


@given(centres(8), centres(8), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_a_particle_is_found_with_the_pick_that_enlarges_the_matching(picks, truth, levels):
    scores = np.array(levels[: len(picks)], float)
    is_true, found_with = covering_order(neighbour_pairs(picks, truth, RADIUS), scores, len(truth))
    assert sorted(found_with[found_with >= 0]) == np.flatnonzero(is_true).tolist()
    for level in range(4):
        kept = scores >= level
        found = np.array([pick >= 0 and bool(kept[pick]) for pick in found_with], bool)
        # as many as any matching finds, and these very ones can be matched together
        most = len(match_one_to_one(picks[kept], truth, RADIUS).pick_index)
        assert found.sum() == most == len(match_one_to_one(picks[kept], truth[found], RADIUS).pick_index)
        assert most == len(match_one_to_one(picks[kept & is_true], truth[found], RADIUS).pick_index)


def test_a_long_chain_is_rearranged_to_match_everybody():
    # pick i reaches particles i and i - 1; taking the nearest first would strand the last pick
    truth = np.stack([np.arange(60) * 2.0, np.zeros(60)], axis=1)
    picks = truth + [1.0, 0.0]
    scores = np.arange(60, dtype=float)
    assert len(match_one_to_one(picks, truth, 1.0).pick_index) == 60
    assert true_in_score_order(picks, truth, 1.0, scores).all()


def test_one_pick_counts_once_and_duplicates_are_wrong():
    truth = np.array([[10.0, 10.0], [10.0, 14.0]])
    between = np.array([[10.0, 12.0]])
    assert len(match_one_to_one(between, truth, 2).pick_index) == 1
    assert len(neighbour_pairs(between, truth, 2).pick_index) == 2
    assert len(match_one_to_one(np.repeat(truth, 3, axis=0), truth, 1).pick_index) == 2


def test_empty_sides_score_nothing_and_an_empty_field_is_right():
    nobody, somebody = np.empty((0, 2)), np.array([[1.0, 2.0]])
    for rule in (match_one_to_one, neighbour_pairs):
        assert len(rule(nobody, somebody, 3).pick_index) == len(rule(somebody, nobody, 3).pick_index) == 0
    assert (
        precision_recall_f(0, 0, 4) == precision_recall_f(0, 4, 0) == precision_recall_f(0, 3, 4) == (0, 0, 0)
    )
    assert precision_recall_f(0, 0, 0) == (1, 1, 1)


@pytest.mark.parametrize("radius", [0, -1, np.nan, np.inf])
def test_a_radius_that_matches_nothing_is_refused(radius):
    with pytest.raises(InputError, match="matching radius"):
        match_one_to_one(np.ones((1, 2)), np.ones((1, 2)), radius)


def test_positions_that_are_no_numbers_are_refused_with_their_row():
    bad = np.array([[1.0, 2.0], [np.nan, 2.0]])
    with pytest.raises(InputError, match="labelled particles number 2"):
        match_one_to_one(np.ones((1, 2)), bad, 3)
    with pytest.raises(InputError, match=r"\(3, 3\)"):
        match_one_to_one(np.ones((3, 3)), bad, 3)


def test_border_keeps_centres_that_far_from_each_edge():
    shape = (20, 30)
    places = np.array([[5, 5], [4.9, 10], [14, 24], [14.1, 24], [10, 24.1]])
    assert outside_border(places, shape, 5).tolist() == [True, False, True, False, False]
    assert outside_border(np.array([[0, 0], [19, 29], [-0.1, 3]]), shape, 0).tolist() == [True, True, False]
    with pytest.raises(InputError, match="border"):
        outside_border(places, shape, -1)


def test_curve_and_its_summaries_on_a_worked_example():
    scores = np.array([0.9, 0.8, 0.8, 0.4, 0.1])
    is_true = np.array([True, False, True, True, False])
    curve = precision_recall_curve(scores, is_true, 4)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.4, 0.1]
    assert curve.precision.tolist() == [1, 2 / 3, 3 / 4, 3 / 5]
    assert curve.recall.tolist() == [1 / 4, 2 / 4, 3 / 4, 3 / 4]
    assert average_precision(scores, is_true, 4) == pytest.approx(1 / 4 + 1 / 4 * 2 / 3 + 1 / 4 * 3 / 4)
    assert best_threshold(scores, is_true, 4) == (0.4, pytest.approx(0.75))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25), st.integers(0, 4))
def test_average_precision_counts_every_true_pick_at_its_threshold(rows, missed):
    scores = np.array([score for score, _ in rows], float)
    is_true = np.array([true for _, true in rows])
    n_truth = int(is_true.sum()) + missed
    expected = sum(is_true[scores >= s].mean() for s, true in rows if true)
    result = average_precision(scores, is_true, n_truth)
    assert result is None if n_truth == 0 else result == pytest.approx(expected / n_truth)


def test_picks_without_a_score_are_refused_and_no_pick_has_no_threshold():
    with pytest.raises(InputError, match="1 picks have no score"):
        average_precision(np.array([1.0, np.nan]), np.array([True, True]), 2)
    assert best_threshold(np.empty(0), np.empty(0, bool), 3) == (None, 0)
    assert best_threshold(np.empty(0), np.empty(0, bool), 0) == (None, 1)
    assert average_precision(np.empty(0), np.empty(0, bool), 3) == 0
