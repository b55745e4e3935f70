from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch.nn.functional as F
from torch import nn

from drpnet.calibration import FigureOfMerit
from drpnet.config import PRESETS
from drpnet.io.picks import Candidates
from drpnet.model import Calibration, Model
from drpnet.scoring import calibrate, pick_all, score


def micrograph(stem, centres, image=None):
    found = np.asarray(centres, float).reshape(-1, 2)
    doubts = {"doubtful": np.zeros((0, 2)), "doubt": np.zeros(0)}
    return SimpleNamespace(edge=0.0, stem=stem, centres=found, **doubts, read=lambda: (image, 2.0))


def candidates(centres, merit):
    merit = np.asarray(merit, float)
    return Candidates(np.asarray(centres, float).reshape(-1, 2), merit, merit, np.full(len(merit), np.nan))


TWO = [micrograph("a", [[10, 10], [50, 50], [90, 90]]), micrograph("b", [[30, 30]])]
PICKED = [
    (candidates([[11, 10], [52, 50], [70, 10]], [0.9, 0.3, 0.5]), 5.0),
    (candidates([[30, 31], [80, 80]], [0.8, 0.1]), 5.0),
]


def test_scores_are_pooled_at_the_balanced_threshold():
    assert 0.3 < PRESETS["balanced"] < 0.5
    found = score(PICKED, TWO)
    # kept: (11, 10) true, (70, 10) false; (30, 31) true
    assert (found["picks"], found["truth"]) == (3, 4)
    assert found["precision"] == pytest.approx(2 / 3) and found["recall"] == pytest.approx(2 / 4)
    assert found["f_measure"] == pytest.approx(2 * 2 / 7)
    assert found["threshold"] == PRESETS["balanced"]


def test_the_best_threshold_looks_at_all_candidates():
    found = score(PICKED, TWO)
    # down to 0.3: three true of four picks; nothing between is better
    assert found["best_f_measure"] == pytest.approx(2 * 3 / 8)
    assert found["best_threshold"] == pytest.approx(0.3)
    rows = {row["micrograph"]: row for row in found["per_micrograph"]}
    assert rows["b"]["best_f_measure"] == 1 and rows["b"]["picks"] == 1
    assert rows["a"]["best_f_measure"] == pytest.approx(2 * 2 / 6)


def test_a_perfect_ranking_has_average_precision_one():
    found = score([(candidates([[10, 10], [50, 50], [90, 90]], [0.9, 0.2, 0.15]), 5.0), PICKED[1]], TWO)
    assert found["average_precision"] == pytest.approx(1)
    assert found["recall"] == 0.5


def test_no_candidates_score_zero():
    nothing = candidates(np.empty((0, 2)), [])
    found = score([(nothing, 5.0), (nothing, 5.0)], TWO)
    assert found["picks"] == 0 and found["recall"] == 0 and found["f_measure"] == 0


class DarkSpots(nn.Module):
    """Answers how dark the 9 x 9 px around a pixel are; a stand-in for a trained FCRN."""

    halo = 4

    def forward(self, x):
        return F.avg_pool2d(-x, 9, 1, padding=4, count_include_pad=False)


class Bright(nn.Module):
    """The worst classifier: brighter patches get higher logits."""

    def forward(self, x):
        return x[:, 0, 28:36, 28:36].mean(dim=(1, 2))


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:260, :280]
    made = []
    for name in "ab":
        image, centres = 0.6 * rng.normal(size=(260, 280)), rng.uniform((30, 30), (230, 250), (5, 2))
        for y, x in centres:
            image -= np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 200)
        made.append(micrograph(name, centres, image.astype(np.float32)))
    return made


@pytest.mark.parametrize("classifier", [None, Bright()])
def test_calibration_makes_the_figure_of_merit_a_probability(labelled, classifier):
    model = Model(DarkSpots(), classifier)
    fitted = calibrate(model, labelled, 80.0)
    assert fitted.calibration != model.calibration
    assert min(fitted.calibration.detector.height) > 0
    assert fitted.calibration.cascade.classifier == 0  # nobody, or one who knows nothing
    picked = pick_all(fitted, labelled, 80.0, "again")
    assert all(radius == 20 for _, radius in picked)
    merit = np.concatenate([found.figure_of_merit for found, _ in picked])
    found = score(picked, labelled)
    assert found["best_f_measure"] > 0.7
    # as many true picks as the figure of merit promises
    assert merit.sum() == pytest.approx(10, abs=2)


def test_one_sided_candidates_leave_the_figure_of_merit_as_it_was(labelled, caplog):
    model = Model(DarkSpots())
    empty = [micrograph(m.stem, [], m.read()[0]) for m in labelled]
    assert calibrate(model, empty, 80.0) is model
    assert "stays uncalibrated" in caplog.text


@pytest.mark.parametrize(("count", "learnt"), [(1, False), (9, False), (10, True)])
def test_what_crowding_says_is_learnt_from_many_micrographs_only(labelled, count, learnt):
    start = replace(Model(DarkSpots()), calibration=Calibration(FigureOfMerit(-4.0, (12.0, 12.0), (0.7, 0.7))))
    crowded = [
        labelled[0],
        micrograph("empty", [], np.random.default_rng(1).normal(size=(260, 280)).astype(np.float32)),
    ]
    fitted = calibrate(start, [crowded[i % 2] for i in range(count)], 80.0).calibration.detector
    kept = fitted.crowding[0] / fitted.height[0] == pytest.approx(0.7 / 12)
    assert kept is not learnt
    values = (fitted.intercept, *fitted.height, *fitted.crowding, fitted.clarity)
    assert all(np.isfinite(value) and abs(value) < 1e3 for value in values)
