"""The torchmetrics skin: pooled counts, pickling; test_two_processes.py has the counts of several processes."""

import pickle

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torchmetrics import MetricCollection

from drpnet.errors import InputError
from drpnet.metrics import (
    BestMatchedPeakFMeasure,
    MatchedPeakAveragePrecision,
    MatchedPeakFMeasure,
    MatchedPeakLocalisationError,
    MatchedPeakPrecision,
    MatchedPeakRecall,
)

RADIUS = 6.0


def micrographs(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Unequally crowded fields, one without picks and one without particles."""
    random = np.random.default_rng(3)
    sizes = [(0, 7), (9, 0), *((int(a), int(b)) for a, b in random.integers(5, 40, (count - 2, 2)))]
    return [(random.uniform(0, 60, (n, 2)), random.uniform(0, 60, (k, 2))) for n, k in sizes]


def reference(fields) -> tuple[float, float, float]:
    """Precision, recall, F from Hopcroft-Karp on the full distance table, counted without drpnet."""
    tp = n = k = 0
    for picks, truth in fields:
        n, k = n + len(picks), k + len(truth)
        if len(picks) and len(truth):
            close = np.linalg.norm(picks[:, None] - truth[None], axis=2) <= RADIUS
            tp += int((maximum_bipartite_matching(csr_array(close.astype(int))) >= 0).sum())
    return tp / n, tp / k, 2 * tp / (n + k)


def test_pooled_statistics_agree_with_an_independent_count():
    fields = micrographs(8)
    metrics = MetricCollection(
        {"p": MatchedPeakPrecision(RADIUS), "r": MatchedPeakRecall(RADIUS), "f": MatchedPeakFMeasure(RADIUS)}
    )
    for picks, truth in fields:
        metrics.update(torch.from_numpy(picks), torch.from_numpy(truth))
    result = metrics.compute()
    assert [float(result[key]) for key in "prf"] == pytest.approx(reference(fields), abs=1e-6)
    metrics.reset()
    assert int(metrics["f"].picks) == 0


def test_arrays_tensors_and_lists_count_alike_and_order_does_not_matter():
    fields = micrographs(5)
    forward, backward = MatchedPeakFMeasure(RADIUS), MatchedPeakFMeasure(RADIUS)
    for picks, truth in fields:
        forward.update(picks, torch.from_numpy(truth))
    for picks, truth in reversed(fields):
        backward.update(torch.from_numpy(picks).requires_grad_(), truth.tolist())
    assert forward.compute() == backward.compute()


def test_the_value_of_one_batch_is_its_own():
    metric = MatchedPeakFMeasure(RADIUS)
    perfect = np.array([[5.0, 5.0], [30.0, 30.0]])
    assert float(metric(perfect, perfect)) == 1
    assert float(metric(perfect + 100, perfect)) == 0
    assert float(metric.compute()) == pytest.approx(0.5)


def test_pickling_keeps_what_was_counted():
    metric = MatchedPeakFMeasure(RADIUS)
    for picks, truth in micrographs(4):
        metric.update(picks, truth)
    again = pickle.loads(pickle.dumps(metric))
    assert again.compute() == metric.compute()
    assert again.radius_px == RADIUS


def test_empty_fields_alone():
    metric = MatchedPeakFMeasure(RADIUS)
    metric.update(np.empty((0, 2)), [])
    assert float(metric.compute()) == 1
    metric.update([], [[1.0, 1.0]])
    assert float(metric.compute()) == 0


@pytest.mark.parametrize("radius", [0.0, -3.0, float("nan")])
def test_a_radius_that_matches_nothing_is_refused(radius):
    with pytest.raises(InputError, match="matching radius"):
        MatchedPeakFMeasure(radius)


def best_by_search(fields) -> float:
    """The greatest F over every threshold, each counted afresh."""
    thresholds = np.unique(np.concatenate([scores for _, _, scores in fields]))
    return max(
        reference([(picks[scores >= threshold], truth) for picks, truth, scores in fields])[2]
        for threshold in thresholds
    )


def scored_micrographs(count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Fields whose picks score higher the nearer they are to a particle, with equal scores among them."""
    fields = []
    for picks, truth in micrographs(count):
        distance = np.linalg.norm(picks[:, None] - truth[None], axis=2)
        near = distance.min(axis=1) if distance.size else np.full(len(picks), 9.0)
        fields.append((picks, truth, np.round(-near / 3).astype(np.float32)))
    return fields


def test_the_best_threshold_is_one_for_all_micrographs():
    fields = scored_micrographs(8)
    metric, plain = BestMatchedPeakFMeasure(RADIUS), MatchedPeakFMeasure(RADIUS)
    for picks, truth, scores in fields:
        metric.update(picks, truth, scores)
        plain.update(picks, truth)
    assert float(metric.compute()) == pytest.approx(best_by_search(fields), abs=1e-6)
    assert float(metric.compute()) > float(plain.compute()) + 0.02
    metric.reset()
    metric.update([], [])
    assert float(metric.compute()) == 1
    metric.update([], [[1.0, 1.0]])
    assert float(metric.compute()) == 0


def test_a_pick_without_a_score_is_refused():
    with pytest.raises(InputError, match="2 picks have 1 scores"):
        BestMatchedPeakFMeasure(RADIUS).update([[1.0, 1.0], [2.0, 2.0]], [], [0.5])


def area_by_search(fields) -> float:
    """Precision times the step in recall, each threshold matched and counted afresh."""
    area = before = 0.0
    for threshold in np.unique(np.concatenate([scores for _, _, scores in fields]))[::-1]:
        kept = [(picks[scores >= threshold], truth) for picks, truth, scores in fields]
        precision, recall, _ = reference(kept)
        area, before = area + precision * (recall - before), recall
    return area


def test_the_average_precision_is_one_curve_for_all_micrographs():
    fields = scored_micrographs(8)
    metric = MatchedPeakAveragePrecision(RADIUS)
    for picks, truth, scores in fields:
        metric.update(picks, truth, torch.from_numpy(scores))
    assert float(metric.compute()) == pytest.approx(area_by_search(fields), abs=1e-6)
    assert pickle.loads(pickle.dumps(metric)).compute() == metric.compute()
    metric.reset()
    metric.update([[1.0, 1.0]], [], [0.5])
    assert np.isnan(float(metric.compute()))
    metric.update([], [[1.0, 1.0]])
    assert float(metric.compute()) == 0


def test_the_localisation_error_is_the_median_of_matched_distances():
    random = np.random.default_rng(8)
    metric, distances = MatchedPeakLocalisationError(RADIUS), []
    grid = 20 * np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0)), axis=-1).reshape(-1, 2)
    for count in (3, 20, 7):
        truth = grid[:count]
        shift = random.uniform(-4, 4, truth.shape)
        # particles far apart: the match of each pick is its own, whatever the method
        metric.update(np.concatenate([truth + shift, [[500.0, 500.0]]]), torch.from_numpy(truth))
        distances += np.hypot(*shift.T).tolist()
    assert float(metric.compute()) == pytest.approx(np.median(distances), abs=1e-5)
    again = pickle.loads(pickle.dumps(metric))
    assert again.compute() == metric.compute() and again.radius_px == RADIUS
    metric.reset()
    metric.update([], [[1.0, 1.0]])
    assert np.isnan(float(metric.compute()))
    with pytest.raises(InputError, match="matching radius"):
        MatchedPeakLocalisationError(0)
