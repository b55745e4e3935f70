"""The published rules: what tells them apart, and what they share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.matching import match_one_to_one
from drpnet.rules import RULES, count_shared_pixels, match_in_truth_order, match_topaz

NOBODY = np.empty((0, 2))


def centres(most: int):
    """Crowded integer positions."""
    place = st.tuples(st.integers(0, 12), st.integers(0, 12))
    return st.lists(place, max_size=most).map(lambda rows: np.array(rows, float).reshape(-1, 2))


@settings(max_examples=60, deadline=None)
@given(centres(10), centres(10), st.sampled_from([1.5, 3.3, 6.1]))
def test_no_one_to_one_rule_finds_more_pairs_than_common(picks, truth, radius):
    most = len(match_one_to_one(picks, truth, radius).pick_index)
    for rule in (match_topaz, match_in_truth_order):
        result = rule(picks, truth, radius)
        assert len(result.pick_index) <= most
        assert len(set(result.pick_index)) == len(set(result.truth_index)) == len(result.pick_index)
        gaps = np.hypot(*(picks[result.pick_index] - truth[result.truth_index]).T)
        assert np.allclose(result.distance, gaps) and (gaps < radius).all()
    # taking the first that comes leaves at least half of what is possible
    assert 2 * len(match_in_truth_order(picks, truth, radius).pick_index) >= most


@settings(max_examples=60, deadline=None)
@given(centres(8), centres(8), st.sampled_from(sorted(RULES)))
def test_every_rule_swaps_precision_and_recall_or_is_ordered_by_truth(picks, truth, name):
    forward = RULES[name].count(picks, truth, 2.6).precision_recall_f()
    backward = RULES[name].count(truth, picks, 2.6).precision_recall_f()
    if name != "deeppicker":
        assert forward == pytest.approx((backward[1], backward[0], backward[2]))
    assert all(0 <= value <= 1 for value in forward + backward)


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_agrees_on_perfect_distant_and_empty(name):
    truth = np.array([[20.0, 20.0], [20.0, 60.0], [70.0, 40.0]])
    count = RULES[name].count
    assert count(truth, truth, 5.0).precision_recall_f() == (1, 1, 1)
    assert count(truth + 15, truth, 5.0).precision_recall_f() == (0, 0, 0)
    assert count(NOBODY, truth, 5.0).precision_recall_f() == (0, 0, 0)
    assert count(truth, NOBODY, 5.0).precision_recall_f() == (0, 0, 0)
    assert count(NOBODY, NOBODY, 5.0).precision_recall_f() == (1, 1, 1)
    with pytest.raises(InputError, match="radius"):
        count(truth, truth, 0.0)


def test_rules_differ_at_the_radius_itself():
    pick, particle = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])
    assert len(match_one_to_one(pick, particle, 5).pick_index) == 1
    assert len(match_topaz(pick, particle, 5).pick_index) == 0
    assert len(match_in_truth_order(pick, particle, 5).pick_index) == 0
    assert match_topaz(pick, particle, 5.1).distance.tolist() == [5.0]


def test_topaz_prefers_one_close_pair_to_two_distant_ones():
    # pick 0 lies on particle 0 and reaches both; pick 1 reaches particle 0 only, just inside the radius
    truth = np.array([[0.0, 0.0], [0.0, 9.0]])
    picks = np.array([[0.0, 0.0], [0.0, -9.0]])
    assert len(match_one_to_one(picks, truth, 9.5).pick_index) == 2
    assert len(match_topaz(picks, truth, 9.5).pick_index) == 1


def test_in_truth_order_an_early_particle_takes_the_only_pick_of_a_later_one():
    truth = np.array([[0.0, 0.0], [0.0, 4.0]])
    picks = np.array([[0.0, 2.0], [0.0, -2.5]])
    assert len(match_one_to_one(picks, truth, 3).pick_index) == 2
    greedy = match_in_truth_order(picks, truth, 3)
    assert greedy.pick_index.tolist() == [0] and greedy.truth_index.tolist() == [0]


def test_duplicates_are_false_one_to_one_and_free_otherwise():
    truth = np.array([[30.0, 30.0], [80.0, 80.0]])
    picks = np.repeat(truth, 3, axis=0)
    assert RULES["common"].count(picks, truth, 5.0).precision_recall_f()[0] == pytest.approx(1 / 3)
    for name in ("many_to_one", "cryosegnet", "repic"):
        assert RULES[name].count(picks, truth, 5.0).precision_recall_f() == (1, 1, 1)


def test_areas_are_those_drawn_pixel_by_pixel():
    picks, truth = np.array([[14.0, 15.3], [20.0, 20.0]]), np.array([[16.5, 17.0]])
    y, x = np.mgrid[:40, :40]
    for disc in (True, False):
        drawn = [
            np.any(
                [
                    (y - a) ** 2 + (x - b) ** 2 <= 36
                    if disc
                    else (y >= a - 6) & (y < a + 6) & (x >= b - 6) & (x < b + 6)
                    for a, b in side
                ],
                axis=0,
            )
            for side in (picks, truth)
        ]
        counts = count_shared_pixels(picks, truth, 6.0, disc=disc)
        assert (counts.picks, counts.truth) == (drawn[0].sum(), drawn[1].sum())
        assert counts.true_picks == counts.found == (drawn[0] & drawn[1]).sum()
