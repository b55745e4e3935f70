"""The released pipeline with the authors' own network gives the picks that they shipped."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from drpnet.errors import InputError
from experiments.released_pipeline.__main__ import tables
from experiments.released_pipeline.compare import Sources, compare, contained, drpnet, to_authors, to_micrograph

FIRST, SECOND = "Falcon_2012_06_12-14_33_35_0", "Falcon_2012_06_12-14_57_34_0"


def test_the_authors_frame_is_binned_and_counts_from_1():
    # the middle of the first block of 3 x 3 pixels is their pixel 1
    np.testing.assert_allclose(to_authors(np.array([[1.0, 4.0]])), [[1, 2]])
    centres = np.random.default_rng(0).uniform(0, 4096, (20, 2))
    np.testing.assert_allclose(to_micrograph(to_authors(centres)), centres)


def test_a_pick_contains_one_of_theirs():
    theirs = np.array([[100.0, 100.0], [104.0, 100.0], [300.0, 40.0]])
    ours = to_micrograph(np.array([[102.0, 100.0], [300.0, 47.9], [700.0, 700.0]]))
    assert contained(ours, theirs) == 2
    assert contained(ours, theirs, 3) == 1
    assert contained(ours[:, ::-1], theirs) == 1


def test_a_failing_command_says_its_last_line(tmp_path):
    with pytest.raises(InputError, match=r"drpnet import-matlab .*none.mat .* ended with 2: error: .*none.mat is no file"):
        drpnet("import-matlab", tmp_path / "none.mat", "--out", tmp_path / "W.safetensors")


@pytest.fixture(scope="module")
def laid_out(shared_real, tmp_path_factory) -> Path:
    """The two micrographs with the authors' picks, laid out by the script that comes with the data."""
    spec = importlib.util.spec_from_file_location("prepare", shared_real / "prepare.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = tmp_path_factory.mktemp("real")
    for name in (name for stem in (FIRST, SECOND) for name in (f"images/{stem}.jpg", f"truth/{stem}.csv")):
        link = folder / "in" / "empiar10017" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(shared_real / "empiar10017" / name)
    script.HERE = folder / "in"
    assert script.prepare("empiar10017", folder) == 2
    return folder


@pytest.mark.real
@pytest.mark.slow
def test_the_authors_picks_are_among_ours(laid_out, shared_real, tmp_path):
    network = shared_real / "drpnet2019_weights" / "cnet_1.mat"
    result = compare(Sources(laid_out, shared_real / "empiar10017" / "drpnet2019", network), tmp_path)
    rows = {row["micrograph"]: row for row in result["micrographs"]}
    assert [rows[stem]["authors"] for stem in (FIRST, SECOND)] == [535, 584]
    assert rows[FIRST]["upright"] >= 490
    assert rows[SECOND]["upright"] >= 540
    # upside down no more than by chance: the test knows up from down
    for row in result["micrographs"]:
        assert row["upside_down"] < 1.5 * row["by_chance"] < 110
        assert row["picks"] < 1100
    labels = result["labels"]
    assert labels["here"]["recall"] > 0.93 and labels["here"]["f_measure"] == pytest.approx(0.78, abs=0.02)
    assert labels["authors"]["f_measure"] == pytest.approx(0.78, abs=0.02)
    assert FIRST in tables(result)
