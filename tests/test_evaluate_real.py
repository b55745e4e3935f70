"""The evaluator's numbers on picks that other programs, the authors and a second annotator published for EMPIAR-10017."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from drpnet.evaluation.evaluate import Extras, evaluate, score_micrographs
from drpnet.evaluation.pairing import read_pairing
from drpnet.io.coordinates import read_coordinate_set, read_coordinates
from drpnet.measures.matching import match_one_to_one
from drpnet.measures.rules import parse_rule
from drpnet.measures.scorecard import judge_all, summary

pytestmark = pytest.mark.real
REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
TOOLS = ("crYOLO", "topaz", "deepPicker")
NONE = Extras(resamples=0, chance_draws=0)


@pytest.fixture(scope="module")
def empiar10017(tmp_path_factory) -> Path:
    """Labels and picks of crYOLO, Topaz and DeepPicker on EMPIAR-10017, in the frame of the .mrc files."""
    if not (REAL / "prepare.py").is_file():
        pytest.skip("the real micrographs are not at ../shared/real")
    out = tmp_path_factory.mktemp("real")
    prepare = runpy.run_path(str(REAL / "prepare.py"))
    # the pictures are not converted: only their sizes are needed
    source = prepare["HERE"] / "empiar10017"
    for csv in sorted((source / "truth").glob("*.csv")):
        x, y = np.loadtxt(csv, delimiter=",", skiprows=1, unpack=True, ndmin=2)[:2]
        prepare["write_star"](out / "truth" / f"{csv.stem}.star", x, 4095 - y)
    for box in sorted(source.glob("peers/*/*.box")):
        rows = np.loadtxt(box, ndmin=2)
        centres = rows[:, :2] + rows[:, 2:4] / 2
        prepare["write_star"](out / "peers" / box.parent.name / f"{box.stem}.star", *centres.T, rows[:, 4])
    for folder in (out / "peers").iterdir():
        sizes = [{"stem": p.stem, "shape": [4096, 4096], "pixel_size": 1.77} for p in folder.glob("*.star")]
        (folder / "run.json").write_text(json.dumps({"micrographs": sizes}))
    return out


@pytest.mark.parametrize(
    ("tool", "radius", "border", "expected"),
    [
        ("crYOLO", 54, 120, 0.906), ("topaz", 54, 120, 0.836), ("deepPicker", 54, 120, 0.342),
        ("crYOLO", 54, 0, 0.904), ("topaz", 54, 0, 0.792), ("deepPicker", 54, 0, 0.341),
        ("crYOLO", 21.6, 0, 0.861), ("topaz", 21.6, 0, 0.727), ("deepPicker", 21.6, 0, 0.258),
    ],
)  # fmt: skip
def test_published_picks_score_as_measured(empiar10017, tool, radius, border, expected):
    result = evaluate(empiar10017 / "peers" / tool, empiar10017 / "truth", radius_px=radius, border_px=border, extras=NONE)
    assert len(result["per_micrograph"]) == 7 and len(result["not_picked"]) == 3
    assert result["f_measure"] == pytest.approx(expected, abs=6e-4)
    pairs = round(result["precision"] * result["picks"])
    assert pairs == round(result["recall"] * result["truth"])


def test_a_flipped_set_scores_near_chance(empiar10017):
    stem = "Falcon_2012_06_12-15_17_31_0"
    truth = read_coordinates(empiar10017 / "truth" / f"{stem}.star").centres
    found = read_coordinates(empiar10017 / "peers" / "crYOLO" / f"{stem}.star").centres
    right = len(match_one_to_one(found, truth, 54).pick_index)
    flipped = len(match_one_to_one(np.abs(found - [4095, 0]), truth, 54).pick_index)
    assert flipped < 0.5 * right


@pytest.mark.parametrize(("tool", "expected"), list(zip(TOOLS, (0.861, 0.727, 0.258), strict=True)))
def test_deeppickers_rule_is_the_tight_radius_on_these_picks(empiar10017, tool, expected):
    """0.2 D = 21.6 px: the assignment hardly matters there."""
    result = evaluate(
        empiar10017 / "peers" / tool, empiar10017 / "truth", diameter_px=108, rule="deeppicker", extras=NONE
    )
    assert result["radius_px"] == pytest.approx(21.6) and result["f_measure"] == pytest.approx(expected, abs=1.5e-3)


def test_the_rules_disagree_as_published(empiar10017):
    """The same weak picks score from .26 to .65: areas of wide boxes saturate on a crowded field."""

    def scored(tool, rule, box=None):
        rule = parse_rule(rule)
        fields = {name: field._replace(radius_px=rule.reach(108, box)) for name, field in paired[tool].items()}
        return list(judge_all(fields, rule).values())

    sets = {tool: (empiar10017 / "peers" / tool, empiar10017 / "truth", 54) for tool in TOOLS}
    paired = {tool: read_pairing(*sources, rule=parse_rule("common")).fields for tool, sources in sets.items()}
    for tool in TOOLS:
        common, discs, boxes = (scored(tool, rule, 180) for rule in ("common", "cryosegnet", "repic"))
        f = summary(common)["f_measure"]
        assert summary(scored(tool, "deeppicker"))["f_measure"] < f < summary(boxes, "macro")["f_measure"]
        assert summary(discs, "max")["f_measure"] > summary(discs)["f_measure"]
        for rule, average in (("common2026", "macro"), ("topaz", "micro")):
            assert summary(scored(tool, rule), average)["f_measure"] == pytest.approx(f, abs=0.002)
    # DeepPicker's, measured once on these seven micrographs
    assert summary(boxes, "macro")["f_measure"] == pytest.approx(0.648, abs=2e-3)
    assert summary(discs)["f_measure"] == pytest.approx(0.313, abs=2e-3)


def test_pickers_side_by_side_with_intervals_and_chance(empiar10017):
    also = {tool: empiar10017 / "peers" / tool for tool in TOOLS[1:]}
    extras = Extras(resamples=400, chance_draws=2, also=also)
    result = evaluate(empiar10017 / "peers" / "crYOLO", empiar10017 / "truth", diameter_px=108, extras=extras)
    compared = result["comparison"]
    assert [round(row["f_measure"], 3) for row in compared["rows"]] == [0.904, 0.792, 0.341]
    for row in compared["differences"]:
        low, high = row["f_measure_interval"]
        assert low < row["f_measure"] < high < -0.05
    low, high = result["intervals"]["f_measure"]
    assert low < 0.904 < high < 0.93 and low > 0.87
    assert result["chance"]["random_f_measure"] == pytest.approx(0.307, abs=0.01)
    assert 0.2 < result["chance"]["flipped_f_measure"] < 0.45
    assert result["chance"]["corrected_f_measure"] == pytest.approx((0.904 - 0.307) / (1 - 0.307), abs=0.01)
    assert result["localisation"]["diameters"]["median"] == pytest.approx(0.067, abs=2e-3)
    assert result["breakdown"]["edge"][0]["truth"] == 0  # nobody labelled there


def test_two_annotations_of_one_micrograph_are_the_ceiling(empiar10017):
    manual = REAL / "empiar10017" / "empiar_manual"
    extras = Extras(resamples=0, chance_draws=0, ceiling=manual)
    result = evaluate(empiar10017 / "peers" / "topaz", empiar10017 / "truth", diameter_px=108, extras=extras)
    assert result["ceiling"]["f_measure"] == pytest.approx(0.825, abs=6e-4)
    assert result["ceiling"]["micrographs"] == ["Falcon_2012_06_12-14_57_34_0"]


def test_the_authors_shipped_picks(empiar10017):
    """Binned 3x and counted from 1: x = 3 (x - 1) + 1 in the pixels of the .mrc; one to one within 54 px, pooled."""
    truth = read_coordinate_set(empiar10017 / "truth")
    fields = {}
    for name, found in read_coordinate_set(REAL / "empiar10017" / "drpnet2019").items():
        fields[name] = (3 * (found.centres - 1) + 1, None, truth[name].centres, 54.0)
    assert len(fields) == 2
    assert score_micrographs(fields)["f_measure"] == pytest.approx(0.776, abs=2e-3)
