"""The published rules: what tells them apart, and what they share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.measures.judging import ASSIGNMENTS, METRICS, Rule, box_iou
from drpnet.measures.matching import match_one_to_one
from drpnet.measures.pixels import count_shared_pixels
from drpnet.measures.rules import RULES, parse_rule

NOBODY = np.empty((0, 2))


def match_topaz(picks, truth, radius):
    return RULES["topaz"].judge(picks, truth, radius).matching


def match_in_truth_order(picks, truth, radius):
    return RULES["deeppicker"].judge(picks, truth, radius).matching


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
    if RULES[name].assignment not in ("truth", "score"):
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


def test_each_rule_takes_its_own_tolerance_from_the_diameter():
    reach = {name: rule.reach(100) for name, rule in RULES.items()}
    assert reach.pop("deeppicker") == 20
    assert set(reach.values()) == {50}
    assert RULES["repic"].reach(100, box=160) == RULES["cryolo"].reach(100, box=160) == 80
    assert RULES["cryosegnet"].reach(100, box=160) == RULES["common"].reach(100, box=160) == 50
    assert all(rule.source for rule in RULES.values())


def test_boxes_overlap_as_counted_pixel_by_pixel():
    width, gaps = 10, np.array([[0, 0], [3, 0], [2, -5], [9, 9], [10, 0], [0, 40]])
    for gap, iou in zip(gaps, box_iou(gaps, width), strict=True):
        frames = []
        for y, x in ((20, 20), 20 + gap):
            frame = np.zeros((80, 80), bool)
            frame[y : y + width, x : x + width] = True
            frames.append(frame)
        assert iou == pytest.approx((frames[0] & frames[1]).sum() / (frames[0] | frames[1]).sum())


def test_the_box_rule_is_a_quarter_of_a_box_along_an_axis():
    """Equal boxes shifted along one axis by a quarter of their width have an intersection over union of 0.6."""
    particle = np.array([[50.0, 50.0]])
    for shift, found in (((0, 25), 1), ((25, 0), 1), ((0, 25.1), 0), ((18, 18), 0), ((13, 13), 1)):
        assert RULES["cryolo"].count(particle + shift, particle, 50.0).found == found
    with_half = parse_rule("cryolo,tolerance=0.5")
    assert with_half.count(particle + [0, 33], particle, 50.0).found == 1


def coco_by_hand(picks, truth, scores, width, least):
    """COCO's greedy matching at one threshold with loops over the whole table."""
    free, pairs = set(range(len(truth))), []
    for i in sorted(range(len(picks)), key=lambda i: (-scores[i], i)):
        best = None
        for j in sorted(free):
            dy, dx = np.abs(picks[i] - truth[j])
            shared = max(0, width - dy) * max(0, width - dx)
            iou = shared / (2 * width**2 - shared)
            if iou >= least - 1e-12 and (best is None or iou > best[0] + 1e-12):
                best = (iou, j)
        if best is not None:
            free.discard(best[1])
            pairs.append((i, best[1]))
    return sorted(pairs)


@settings(max_examples=60, deadline=None)
@given(centres(7), centres(7), st.data())
def test_coco_takes_the_best_score_first(picks, truth, data):
    scores = np.array(data.draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=len(picks), max_size=len(picks))))
    matching = RULES["coco"].judge(picks, truth, 4.0, scores).matching
    found = list(zip(matching.pick_index.tolist(), matching.truth_index.tolist(), strict=True))
    assert found == coco_by_hand(picks, truth, scores, 8.0, 0.5)


def test_the_nearest_pair_goes_first():
    truth, picks = np.array([[0.0, 0.0], [0.0, 4.0]]), np.array([[0.0, 1.9], [0.0, -2.5]])
    matching = RULES["common2026"].judge(picks, truth, 3.0).matching
    assert matching.truth_index.tolist() == [0] and matching.distance.tolist() == [1.9]
    assert RULES["common"].count(picks, truth, 3.0).found == 2


@settings(max_examples=40, deadline=None)
@given(
    centres(8), centres(8), st.sampled_from(["centre", "iou"]), st.sampled_from([a for a in ASSIGNMENTS if a != "many_to_one"])
)
def test_pairs_are_disjoint_allowed_and_never_more_than_the_most(picks, truth, metric, assignment):
    if (metric, assignment) == ("iou", "least_squares"):
        return
    rule, most = Rule(metric, 0.3, assignment=assignment), Rule(metric, 0.3)
    judged = rule.judge(picks, truth, 3.0, np.arange(len(picks), dtype=float))
    pairs = judged.matching
    assert len(set(pairs.pick_index)) == len(set(pairs.truth_index)) == len(pairs.pick_index) == judged.counts.found
    assert judged.counts.found <= most.count(picks, truth, 3.0).found
    assert judged.is_true.sum() == judged.found.sum() == judged.counts.true_picks
    assert (judged.is_true <= judged.near).all()


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_far_false_pick_never_raises_precision(name):
    random = np.random.default_rng(2)
    for _ in range(5):
        truth, picks = random.uniform(0, 90, (8, 2)), random.uniform(0, 90, (6, 2))
        rule = RULES[name]
        before = rule.count(picks, truth, 12.0).precision_recall_f()
        after = rule.count(np.concatenate([picks, [[300.0, 300.0]]]), truth, 12.0).precision_recall_f()
        assert after[0] <= before[0] and after[1] == before[1]


def test_the_ranks_of_a_rule_count_what_the_rule_counts():
    random = np.random.default_rng(3)
    picks, truth, scores = random.uniform(0, 60, (30, 2)), random.uniform(0, 60, (25, 2)), random.random(30)
    for name, rule in RULES.items():
        ranked = rule.ranked(picks, truth, 7.0, scores)
        if rule.compares_areas or rule.assignment == "many_to_one":
            assert ranked is None, name
        else:
            assert ranked.sum() == rule.count(picks, truth, 7.0, scores).true_picks


def test_parts_can_be_changed_and_wrong_ones_are_named():
    rule = parse_rule("deeppicker, average=macro, tolerance=0.5, strict=false")
    assert rule == Rule(tolerance=0.5, assignment="truth", average="macro", source=RULES["deeppicker"].source)
    assert rule.words.format(radius="3 px") == "each label takes its nearest free pick within 3 px"
    wrong = {
        "iou": "common, common2026", "common,metric=box": ", ".join(METRICS), "common,tolerance=far": "give a number",
        "common,tolerance=0": "above 0", "coco,tolerance=1.5": "at most 1", "common,radius=3": "the parts are metric",
        "coco,assignment=least_squares": "centre alone", "topaz,strict=maybe": "true or false", "common,": "PART=VALUE",
        "common,tolerance=nan": "above 0", "common,tolerance=inf": "above 0",
    }  # fmt: skip
    for text, message in wrong.items():
        with pytest.raises(InputError, match=message):
            parse_rule(text)
