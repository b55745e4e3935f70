"""experiments/figure6: as many picks as particles, and a README that says what was measured."""

import json

import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set
from drpnet.maps.known_poses import read_simulation
from drpnet.maps.tables import markdown
from drpnet.simulation.dataset import simulate_dataset
from experiments.figure6 import pickers
from experiments.figure6.__main__ import HERE
from experiments.figure6.data import SUBJECTS, parameters

RESULTS = sorted(HERE.glob("result_*.json"))


def test_every_picker_gives_as_many_picks_as_there_are_particles(tmp_path):
    small = {**vars(parameters(SUBJECTS["trpv1"], 2)), "height": 320, "width": 320, "particles_per_micrograph": 10}
    simulation = read_simulation(simulate_dataset(type(parameters(SUBJECTS["trpv1"]))(**small), tmp_path / "simulated"))
    folders = pickers.pick(simulation, "default", tmp_path / "picks", with_relion=False)
    assert list(folders) == ["DRPnet", "DRPnet, FCRN alone", "LoG"]
    found = read_coordinate_set(folders["LoG"])
    kept = np.concatenate([one.scores for one in found.values()])
    assert len(kept) == len(simulation.centres)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "picks").rglob("*.star")}
    pickers.pick(simulation, "default", tmp_path / "picks", with_relion=False)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "picks").rglob("*.star")}


def test_relion_is_asked_for_only_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="relion_autopick is not installed"):
        pickers._relion_log(None, tmp_path)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_readme_has_the_tables_of_the_result(path):
    result = json.loads(path.read_text())
    assert result["simulated"] is True
    assert markdown(result).strip() in (HERE / "README.md").read_text()


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_comparison_was_fair(path):
    result = json.loads(path.read_text())
    rows = {row["name"]: row for row in result["pickers"]}
    assert {row["by_number"][-1]["picks"] for row in rows.values()} == {result["picks_each_set"]}
    assert len({row["views"]["equal_particles"] for row in rows.values()}) == 1
    for row in rows.values():
        counts = {name: row[name] for name in ("picks", "true")}
        assert row["precision"] == pytest.approx(counts["true"] / counts["picks"])
        assert row["recall"] == pytest.approx(counts["true"] / result["simulation"]["particles"])


def test_pictures_are_small():
    pictures = list(HERE.glob("*.png"))
    assert pictures and all(path.stat().st_size < 300_000 for path in pictures)
    readme = (HERE / "README.md").read_text()
    assert all(path.name in readme for path in pictures)
