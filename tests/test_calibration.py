from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from drpnet.calibration import FigureOfMerit, Scores, crowding, fit_figure_of_merit, fit_logistic


def probability(coefficients, features):
    return 1 / (1 + np.exp(-(coefficients[0] + features @ np.asarray(coefficients[1:]))))


def drawn(coefficients, n=40_000, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, len(coefficients) - 1)) * ([0.2, 3.0][: len(coefficients) - 1])
    return features, rng.random(n) < probability(coefficients, features)


@pytest.mark.parametrize("truth", [(-2.0, 8.0), (0.5, 6.0, 0.4), (-4.0, 10.0, 0.5)])
def test_known_coefficients_are_recovered(truth):
    features, is_true = drawn(truth)
    found = fit_logistic(features, is_true)
    np.testing.assert_allclose(found, truth, rtol=0.1, atol=0.1)
    # and the probabilities are calibrated: in each tenth as many are true as promised
    promised = probability(found, features)
    for tenth in np.array_split(np.argsort(promised), 10):
        assert is_true[tenth].mean() == pytest.approx(promised[tenth].mean(), abs=0.03)


def test_the_fit_equals_a_grid_search_of_the_likelihood():
    features, is_true = drawn((-1.0, 7.0), n=3000)
    intercept, slope = fit_logistic(features, is_true)

    def loss(a, b):
        p = probability((a, b), features)
        return -np.log(np.where(is_true, p, 1 - p)).mean()

    grid = [(a, b) for a in np.arange(-2, 0.01, 0.05) for b in np.arange(4, 10.01, 0.1)]
    best = min(grid, key=lambda c: loss(*c))
    assert abs(intercept - best[0]) < 0.1 and abs(slope - best[1]) < 0.4
    assert loss(intercept, slope) < loss(*best) + 1e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 2), st.integers(2, 40))
def test_slopes_are_never_negative_and_always_finite(seed, k, n):
    rng = np.random.default_rng(seed)
    found = fit_logistic(rng.normal(size=(n, k)) * 10.0 ** rng.integers(-4, 5, k), rng.random(n) < 0.5)
    assert len(found) == 1 + k and np.isfinite(found).all()
    assert all(slope >= 0 for slope in found[1:])
    assert all(isinstance(value, float) for value in found)


def test_a_score_that_misleads_gets_no_weight():
    features, is_true = drawn((0.0, 6.0, 0.5))
    assert fit_logistic(features * (1, -1), is_true)[2] == 0


@pytest.mark.parametrize("gap", [1e-3, 1.0, 1e3])
def test_separable_data_stay_finite(gap):
    features = np.concatenate([np.linspace(0, 1, 30), np.linspace(1, 2, 30) + gap])[:, None]
    is_true = np.arange(60) >= 30
    found = fit_logistic(features, is_true)
    assert np.isfinite(found).all()
    promised = probability(found, features)
    assert promised[is_true].min() > 0.5 > promised[~is_true].max()


def test_a_constant_feature_is_no_obstacle():
    found = fit_logistic(np.ones((20, 1)) * 3, np.arange(20) < 5)
    assert np.isfinite(found).all()
    assert probability(found, np.array([[3.0]]))[0] == pytest.approx(0.25, abs=0.02)


def test_crowding_counts_good_candidates_by_area():
    few, many = np.full(10, 0.6), np.full(100, 0.6)
    assert crowding(many, 1000.0) - crowding(few, 1000.0) == pytest.approx(np.log(0.103 / 0.013))
    assert crowding(many, 1000.0) == pytest.approx(crowding(few, 100.0))
    # poor candidates hardly count, and none at all is no obstacle
    assert crowding(np.concatenate([few, np.full(1000, 0.05)]), 1000.0) == pytest.approx(
        crowding(few, 1000.0), abs=0.15
    )
    assert crowding(np.zeros(0), 1000.0) == pytest.approx(np.log(0.003))


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0, 1))
def test_a_better_candidate_never_lowers_crowding(heights, more):
    assert crowding(np.array([*heights, more]), 50.0) >= crowding(np.array(heights), 50.0)


@pytest.mark.parametrize("value", [-1.2345678, 0.1, 1e5])
def test_what_is_the_same_for_all_says_nothing(value):
    """A hundred thousand times the same number has a deviation, from rounding."""
    features, is_true = drawn((-2.0, 8.0))
    found = fit_logistic(np.column_stack([features, np.full(len(features), value)]), is_true)
    assert found[2] == 0
    np.testing.assert_allclose(found[:2], fit_logistic(features, is_true), rtol=1e-3)


TRUTH = FigureOfMerit(-5.0, (30.0, 9.0), (1.2, 0.4), 1.5, 0.0)


def micrographs(number, of=TRUTH, seed=0, clear=(0.0, 1.0), candidates=400):
    """Scores of micrographs, and whether their candidates are true, drawn as the model `of` says."""
    rng, scores, is_true = np.random.default_rng(seed), [], []
    for _ in range(number):
        heights, logits = rng.uniform(0, 0.6, candidates), rng.normal(0, 2, candidates)
        scores.append(Scores(heights, logits, float(rng.normal(-2, 1)), float(rng.uniform(*clear))))
        is_true.append(rng.random(candidates) < expit(of.logit(scores[-1])))
    return scores, np.concatenate(is_true).astype(float)


def worst(fitted, of, scores):
    return max(np.abs(expit(fitted.logit(s)) - expit(of.logit(s))).max() for s in scores)


def test_faint_and_clear_micrographs_are_told_apart():
    scores, is_true = micrographs(150)
    fitted = fit_figure_of_merit(FigureOfMerit(), scores, is_true, classifier=False)
    assert worst(fitted, TRUTH, micrographs(50, seed=1)[0]) < 0.06
    np.testing.assert_allclose(fitted.height, TRUTH.height, rtol=0.15)


def test_the_classifier_is_weighed_beside_the_first_network():
    truth = replace(TRUTH, classifier=0.8)
    scores, is_true = micrographs(150, truth)
    fitted = fit_figure_of_merit(FigureOfMerit(), scores, is_true, classifier=True)
    assert fitted.classifier == pytest.approx(0.8, rel=0.1)
    assert worst(fitted, truth, scores) < 0.08
    few = fit_figure_of_merit(truth, scores[:5], is_true[:2000], classifier=True)
    assert few.classifier == pytest.approx(0.8, rel=0.2)


def test_from_few_micrographs_only_what_the_logit_means_is_learnt():
    """Another network's heights are half as large: the fit finds out, and keeps what faint, clear and crowded mean."""
    scores, is_true = micrographs(5)
    start = FigureOfMerit(
        TRUTH.intercept - 2, *((2 * a, 2 * b) for a, b in (TRUTH.height, TRUTH.crowding)), 2 * TRUTH.clarity
    )
    fitted = fit_figure_of_merit(start, scores, is_true, classifier=False)
    for pair, before in ((fitted.height, start.height), (fitted.crowding, start.crowding)):
        assert pair[0] / pair[1] == pytest.approx(before[0] / before[1])
    assert worst(fitted, TRUTH, scores) < 0.1


def test_micrographs_alike_say_nothing_of_faint_and_clear():
    scores, is_true = micrographs(40, clear=(0.7, 0.75))
    fitted = fit_figure_of_merit(FigureOfMerit(), scores, is_true, classifier=False)
    assert fitted.height[0] == fitted.height[1] and fitted.crowding[0] == fitted.crowding[1] and fitted.clarity == 0
    assert worst(fitted, TRUTH, scores) < 0.1


def test_a_higher_score_is_never_worse():
    """Whatever was learnt: within a micrograph candidates come in the order of their heights."""
    rng = np.random.default_rng(3)
    scores, _ = micrographs(30)
    fitted = fit_figure_of_merit(FigureOfMerit(), scores, (rng.random(30 * 400) < 0.5).astype(float), classifier=False)
    for clear in np.linspace(0, 1, 5):
        rising = fitted.logit(Scores(np.linspace(0, 1, 20), np.zeros(20), -2.0, clear))
        assert (np.diff(rising) >= 0).all()
