import json
from pathlib import Path

import numpy as np
import pytest

from drpnet.cut import cut, kept_candidates, optics_groups, parse_threshold
from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinates
from drpnet.io.picks import Candidates, write_candidates_star
from drpnet.io.star import read_star
from drpnet.ledger import candidates_path, read_manifest


def candidates(scores) -> Candidates:
    n = len(scores)
    centres = np.stack([np.full(n, 50.0), 20.0 + 10 * np.arange(n)], axis=1)
    return Candidates(centres, np.array(scores, float), np.zeros(n), np.full(n, np.nan))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two micrographs of different pixel sizes in two folders, the second without candidates."""
    records = []
    for tree, pixel_size, scores in (("a", 1.5, [0.9, 0.5, 0.1]), ("b", 2.5, [])):
        write_candidates_star(candidates_path(tmp_path, tree, "m"), candidates(scores))
        records.append(
            {"name": f"{tree}/m.mrc", "path": f"/{tree}/m.mrc", "tree": tree, "stem": "m", "shape": [100, 60],
             "pixel_size": pixel_size, "optics": {"rlnMicrographPixelSize": pixel_size}, "ctf": None}
        )  # fmt: skip
    run = {"parameters": {}, "micrographs": records, "box_size": None, "micrographs_star": "mics.star"}
    (tmp_path / "run.json").write_text(json.dumps(run))
    return tmp_path


def test_a_cut_can_be_moved_down_and_up_again(folder):
    assert cut(folder, 0.4).picks == {"a/m.mrc": 2, "b/m.mrc": 0}
    first = (folder / "particles.star").read_bytes()
    assert sum(cut(folder, 0.0).picks.values()) == 3
    assert cut(folder, 0.4).candidates == 3
    assert (folder / "particles.star").read_bytes() == first
    found = read_coordinates(folder / "a" / "m_autopick.star")
    assert found.centres.tolist() == [[50, 20], [50, 30]] and found.scores.tolist() == [0.9, 0.5]
    assert len(read_coordinates(folder / "b" / "m_autopick.star").centres) == 0
    assert read_manifest(folder)["threshold"] == 0.4


def test_every_pixel_size_has_its_optics_group(folder):
    cut(folder, 0.4)
    blocks = read_star(folder / "particles.star")
    assert blocks["optics"]["rlnMicrographPixelSize"].tolist() == [1.5, 2.5]
    assert blocks["optics"]["rlnOpticsGroup"].tolist() == [1, 2]
    assert blocks["particles"]["rlnMicrographName"].tolist() == ["a/m.mrc"] * 2
    assert (folder / "coords_suffix_autopick.star").read_text() == "mics.star\n"
    assert read_star(folder / "autopick.star")["coordinate_files"]["rlnMicrographName"].tolist() == [
        "a/m.mrc",
        "b/m.mrc",
    ]


def test_optics_groups_of_a_star_keep_their_numbers_and_names():
    row = {"rlnOpticsGroupName": "early", "rlnOpticsGroup": 3, "rlnVoltage": 300.0, "rlnMicrographPixelSize": 1.1}
    other = row | {"rlnOpticsGroupName": "late", "rlnOpticsGroup": 7}
    columns, groups = optics_groups([other, row, other])
    assert groups == [7, 3, 7] and columns["rlnOpticsGroupName"] == ["late", "early"]


def test_groups_that_clash_are_numbered_anew_and_keep_common_columns():
    row = {"rlnOpticsGroupName": "g", "rlnOpticsGroup": 1, "rlnVoltage": 300.0, "rlnMicrographPixelSize": 1.1}
    columns, groups = optics_groups([row, {"rlnMicrographPixelSize": 2.0}, row | {"rlnVoltage": 200.0}])
    assert groups == [1, 2, 3] and set(columns) == {"rlnOpticsGroupName", "rlnOpticsGroup", "rlnMicrographPixelSize"}
    assert columns["rlnMicrographPixelSize"] == [1.1, 2.0, 1.1]


def test_a_box_must_lie_inside():
    found = candidates([0.9, 0.9, 0.9, 0.9])  # x 20, 30, 40, 50
    assert kept_candidates(found, 0, 60, (100, 60)).tolist() == [False, True, False, False]
    assert kept_candidates(found, 0, None, (100, 60)).all()
    assert kept_candidates(found, 0.95, None, (100, 60)).sum() == 0


def test_thresholds():
    assert parse_threshold("all", "balanced") == 0 and parse_threshold("0.3", "precise") == 0.3
    assert parse_threshold(None, "recall") < parse_threshold(None, "balanced") < parse_threshold(None, "precise")
    for wrong in ("-0.1", "2", "nan", "x"):
        with pytest.raises(InputError, match=wrong):
            parse_threshold(wrong, "balanced")


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"parameters": {}, "micrographs": 3}', "\xff",
        '{"parameters": {}, "micrographs": [3]}', '{"parameters": {}, "micrographs": [{"name": "a"}]}',
    ],
)  # fmt: skip
def test_a_damaged_run_json_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="run.json"):
        read_manifest(tmp_path)


def test_candidates_that_are_gone_or_damaged_are_named_with_the_remedy(folder):
    path = candidates_path(folder, "a", "m")
    path.write_text("data_\n")
    with pytest.raises(InputError, match=r"a/m_candidates.star.*delete that file and run the same `drpnet pick` again"):
        cut(folder, 0.4)
    path.unlink()
    with pytest.raises(InputError, match=r"a/m_candidates.star is missing; run the same `drpnet pick` again"):
        cut(folder, 0.4)
    (folder / "run.json").unlink()
    (folder / "run.json").mkdir()
    with pytest.raises(InputError, match=r"run.json cannot be read"):
        cut(folder, 0.4)
