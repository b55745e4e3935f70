"""The comparison of pickers on real micrographs: its intervals, its paired differences, its tables."""

import numpy as np
import pytest

from experiments.accuracy.__main__ import WAYS, accuracy, tables
from experiments.accuracy.compare import compared, f_measures
from experiments.accuracy.draw import draw
from experiments.accuracy.sources import CROSSVALIDATED

GOOD = {"a": [8, 10, 10], "b": [9, 10, 10], "c": [4, 10, 20]}
BAD = {"c": [2, 10, 20], "a": [6, 12, 10], "b": [7, 12, 10]}


def test_f_is_that_of_the_pooled_counts():
    once = np.ones((1, 3))
    assert f_measures(GOOD, once).tolist() == pytest.approx([2 * 21 / (30 + 40)] * 2)
    assert f_measures(GOOD, np.array([[0.0, 0, 2]]))[1] == pytest.approx(2 * 4 / 30)


def test_differences_are_taken_on_the_same_micrographs():
    """Another order of the micrographs changes nothing, and a picker that is worse on each is worse on every draw."""
    first, second = compared({"good": {"default": GOOD}, "bad": {"default": BAD}, "other": {"best": BAD}}, "default")
    assert (first["picker"], second["picker"]) == ("good", "bad") and first["difference"] == 0
    assert second["difference"] == pytest.approx(2 * 15 / (34 + 40) - 0.6)
    low, high = second["difference_interval"]
    assert low < second["difference"] < high < 0
    # far narrower than the intervals of either, which are of easy and hard micrographs
    assert high - low < 0.5 * (first["interval"][1] - first["interval"][0])


def test_the_interval_is_the_bootstrap_s():
    rng, names = np.random.default_rng(1), list(GOOD)
    drawn = []
    for _ in range(4000):
        true, picks, truth = np.sum([GOOD[names[i]] for i in rng.integers(0, 3, 3)], axis=0)
        drawn.append(2 * true / (picks + truth))
    (row,) = compared({"good": {"default": GOOD}}, "default")
    np.testing.assert_allclose(row["interval"], np.percentile(drawn, [2.5, 97.5]), atol=0.02)


def results():
    """As experiments/real10017 and experiments/topaz write them, as far as it is read."""
    ways = {way: GOOD for way in WAYS}
    entries = ("empiar10017", "empiar10028", "empiar10059", "empiar10146")
    part = {f"{name} x1": {"counts": ways} for name in entries}
    part |= {f"{name} LoG": {"counts": {"best": BAD, "tight_best": BAD}} for name in entries}
    rows = [{"micrograph": name, "precision": t / p, "picks": p, "truth": n} for name, (t, p, n) in BAD.items()]
    scores = {"scores": {"per_micrograph": rows}, "tight": {"per_micrograph": rows}}
    split = [{kind: {"per_micrograph": [row for row in rows if (row["micrograph"] == "a") is first]} for kind in scores}
             for first in (True, False)]  # fmt: skip
    real = {
        "shipped": dict.fromkeys(("default", "left_out", "cascade"), {"entries": part}),
        "crossvalidation": {
            "folds": [dict.fromkeys(("fcrn", "classifier", "unet"), fold) for fold in split],
            "peers": dict.fromkeys(("crYOLO", "topaz", "deepPicker"), scores),
        },
    }
    detectors = dict.fromkeys(("resnet16", "resnet8"), {"counts": dict.fromkeys(WAYS, BAD)})
    topaz = {"entries": dict.fromkeys(entries, detectors), "finer": {"empiar10059": detectors}, "folds": {"folds": split}}
    return real, topaz


def test_every_set_has_its_pickers_and_a_picture(tmp_path):
    result = accuracy(*results())
    assert list(result["sets"])[0] == CROSSVALIDATED
    seven = {row["picker"]: row["f_measure"] for row in result["sets"][CROSSVALIDATED]["default"]}
    assert seven["crYOLO"] == pytest.approx(2 * 15 / 74) == pytest.approx(seven["DRPnet U-Net"])
    assert seven["Topaz resnet8, trained on the folds"] == pytest.approx(seven["Topaz, published picks"])
    assert seven["DRPnet left_out, untrained"] == pytest.approx(0.6)
    assert any("4.5 A" in row["picker"] for row in result["sets"]["empiar10059"]["best"])
    assert not any("4.5 A" in row["picker"] for row in result["sets"]["empiar10028"]["best"])
    said = tables(result)
    assert "| empiar10146, 3 micrographs | F |" in said
    assert "**-0.195**" in said  # the interval leaves out 0
    draw(result, tmp_path / "accuracy.png")
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000
