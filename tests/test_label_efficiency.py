"""The label-efficiency experiment: who is trained on what, and what its table says."""

import numpy as np
import pytest

from drpnet.config import DatasetConfig
from drpnet.datasets import open_dataset
from drpnet.io.micrographs import write_micrograph
from drpnet.labelled import LabelledMicrograph
from experiments.label_efficiency.plans import PART, WHOLE, Plan, dealt, lay_out, plans
from experiments.label_efficiency.shown import curve, table
from experiments.label_efficiency.trainings import ways_of


@pytest.fixture
def entry(tmp_path) -> list[LabelledMicrograph]:
    """Five micrographs (90 x 100) with 20 to 60 labels each, every one at another place."""
    rng = np.random.default_rng(0)
    found = []
    for name, count in zip("abcde", (20, 60, 40, 30, 50), strict=True):
        write_micrograph(tmp_path / "raw" / f"{name}.mrc", rng.normal(size=(90, 100)).astype(np.float32), 5.0)
        found.append(LabelledMicrograph(tmp_path / "raw" / f"{name}.mrc", rng.uniform(1, 88, (count, 2))))
    return found


def places(of) -> set[tuple[float, float]]:
    return {tuple(place) for one in of for place in one.centres}


def test_a_seed_tests_on_the_same_micrographs_whatever_is_trained_on(entry):
    tests = []
    for seed in range(4):
        for plan in [plan for plan in plans(["x"], 4) if plan.seed == seed]:
            train, test = dealt(entry, plan)
            assert {one.stem for one in train}.isdisjoint(one.stem for one in test)
            assert len(train) == plan.micrographs and len(test) == 2
            assert places(test) <= places(entry)
            tests.append((seed, tuple(sorted(one.stem for one in test))))
    assert len(set(tests)) == 4 and len({names for _, names in tests}) > 1


def test_labels_are_drawn_from_those_of_the_training_micrographs(entry):
    whole, _ = dealt(entry, Plan("x", 1, max(WHOLE)))
    for labels in PART:
        some, _ = dealt(entry, Plan("x", 1, max(WHOLE), labels))
        assert [one.stem for one in some] == [one.stem for one in whole]
        assert len(places(some)) == min(labels, len(places(whole)))
        for part, complete in zip(some, whole, strict=True):
            assert places([part]) <= places([complete])
    assert places(dealt(entry, Plan("x", 1, 3, 50))[0]) != places(dealt(entry, Plan("x", 2, 3, 50))[0])


def test_incomplete_labels_count_as_complete_with_one_seed_only():
    """Which ruins a network, and need not be shown three times."""
    ways = {plan: ways_of(plan) for plan in plans(["x"], 3)}
    assert all(found == ("background",) for plan, found in ways.items() if plan.labels is None)
    some = {plan.seed: found for plan, found in ways.items() if plan.labels}
    assert some == {0: ("incomplete", "background"), 1: ("incomplete",), 2: ("incomplete",)}


def test_what_is_laid_out_is_a_data_set_of_ones_own(entry, tmp_path):
    train = [entry[0], LabelledMicrograph(entry[1].path, np.zeros((0, 2))), entry[2]]
    for _ in range(2):  # again, as after a kill
        lay_out(train, tmp_path / "data")
    data = open_dataset(DatasetConfig("own", str(tmp_path / "data"), 100.0, coordinates="labels"))
    found = [*data.train, *data.validation]
    assert [one.stem for one in found] == ["a", "b", "c"]
    for one, given in zip(found, train, strict=True):
        np.testing.assert_allclose(one.centres, given.centres, atol=0.01)
        one.read()


def test_the_table_has_a_row_a_way_with_the_spread_over_seeds(tmp_path):
    common = {"entry": "x", "precision": 1, "recall": 1, "best_f_measure": 0.9, "tight_f_measure": 0.5}
    rows = [common | {"seed": s, "micrographs": 0, "labels": 0, "used": 0, "way": "shipped", "f_measure": 0.5} for s in (0, 1)]
    tuned = {"micrographs": 3, "labels": None, "way": "background"}
    rows += [common | tuned | {"seed": s, "used": u, "f_measure": f} for s, u, f in ((0, 100, 0.7), (1, 140, 0.9))]
    rows += [common | tuned | {"labels": 50, "way": "incomplete", "seed": 0, "used": 50, "f_measure": 0.6}]
    lines = table(rows).splitlines()
    assert len(lines) == 2 + 3
    (all_labels,) = [line for line in lines if "all, 120" in line]
    assert "| 0.800 | 0.700, 0.900 | 0.900 | 0.500 | 2 |" in all_labels
    curve(rows[2:], tmp_path / "curve.png")  # some of the trainings only
    curve(rows, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
