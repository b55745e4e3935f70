"""The cross-validation on EMPIAR-10017: its stages can be run one at a time, and what it starts from has seen no test data."""

from drpnet.model import load_model
from experiments.real10017.__main__ import joined
from experiments.real10017.crossvalidate import FOLDS, LEFT_OUT, VALIDATION


def test_a_stage_is_added_to_what_was_measured_before():
    def part(stage, value):
        folds = [{"test": ["a"], stage: value}, {"test": ["b"], stage: value}]
        return {"folds": folds, "pooled": {stage: value}, "peers": {"x": 1}}

    first = joined(None, part("fcrn", 1))
    both = joined(first, part("unet", 2))
    assert both["folds"] == [{"test": ["a"], "fcrn": 1, "unet": 2}, {"test": ["b"], "fcrn": 1, "unet": 2}]
    assert both["pooled"] == {"fcrn": 1, "unet": 2}
    assert joined(both, part("unet", 3))["pooled"] == {"fcrn": 1, "unet": 3}


def test_every_micrograph_is_tested_once_and_validates_nothing():
    tested = [name for fold in FOLDS for name in fold]
    assert len(tested) == len(set(tested)) == 7
    assert not set(tested) & set(VALIDATION)


def test_the_network_that_is_tuned_saw_neither_the_entry_nor_its_protein():
    facts = load_model(LEFT_OUT).provenance["fcrn"]
    assert facts["simulated"] is True and facts["dataset"] == "simulated_broad"
    (structures,) = [word for word in facts["command"].split() if word.startswith("dataset.simulation.structures=")]
    assert "galactosidase" not in structures and "~dataset@also" in facts["command"]
