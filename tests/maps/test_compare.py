"""Pickers side by side: equal numbers, honest counts, the command, its files, its mistakes."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from drpnet.cli import app
from drpnet.errors import InputError
from drpnet.io.volumes import read_volume
from drpnet.maps.compare import MAIN, TRUTH, VARIANTS, MapSettings, best, compare_pickers
from drpnet.maps.known_poses import truth
from drpnet.maps.spread import difference, mean_and_interval

BOX = 36
SMALL = MapSettings("C4", BOX, 2)


@pytest.fixture(scope="module")
def poor(simulation, write_picks, places_without_particles, tmp_path_factory):
    """Half of the particles, 6 px off, and nearly as many false picks, without scores that tell them apart."""
    rng = np.random.default_rng(2)
    picks = {}
    for number, name in enumerate(simulation.names):
        own = simulation.centres[simulation.micrograph == number][::2]
        centres = np.concatenate([own + rng.normal(0, 4.2, own.shape), places_without_particles(simulation, number, 9, 5)])
        picks[name.split("/")[-1].removesuffix(".mrc")] = (centres, rng.uniform(0, 1, len(centres)))
    return write_picks(tmp_path_factory.mktemp("picks") / "poor", picks)


@pytest.fixture(scope="module")
def run(simulation, picker, poor, tmp_path_factory):
    """What the command says, its folder and its result."""
    out = tmp_path_factory.mktemp("out") / "maps"
    options = ["--symmetry", "C4", "--box", BOX, "--sets", 2, "--out", out]
    words = ["maps", simulation.folder, f"good={picker}", f"poor={poor}", *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drpnet.quality.isosurface._LEAST_BOX", 36)  # a coarse picture is enough
        done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output, out, json.loads((out / "maps.json").read_text())


def test_every_picker_has_the_same_number_of_picks(run):
    _, _, result = run
    assert [row["name"] for row in result["pickers"]] == [TRUTH, "good", "poor"]
    for row in result["pickers"]:
        assert row["by_number"][-1]["picks"] == result["picks_each_set"]
        assert [point["picks"] for point in row["by_number"]] == [point["picks"] for point in result["pickers"][0]["by_number"]]
        assert row["views"]["equal_particles"] == min(other["views"]["true_picks"] for other in result["pickers"])
        assert max(row["true_each_set"]) <= result["picks_each_set"]
        assert set(row["variants"]) == set(VARIANTS)


def test_a_poor_picker_has_a_poor_map(run):
    _, _, result = run
    all_particles, good, poor = result["pickers"]
    assert all_particles["recall"] == all_particles["precision"] == 1 and all_particles["offset_rms"] == 0
    assert good["precision"] > 0.8 > poor["precision"]
    resolution = [row["variants"][MAIN]["truth"]["mean"] for row in result["pickers"]]
    assert resolution[0] < resolution[2] and resolution[1] < resolution[2]
    worse = poor["worse_than_truth"][MAIN]["truth"]["mean"]
    assert worse == pytest.approx(resolution[2] - resolution[0])
    as_picked, recentred = (poor["variants"][name]["truth"]["mean"] for name in ("true, as picked", "true, recentred"))
    assert as_picked > recentred


def test_false_picks_cost_more_than_the_particles_they_replace(run):
    dose = run[2]["false_picks"]
    alone, random = (dose["series"][name] for name in ("true alone", "false at random"))
    assert alone[0] == random[0]
    assert random[-1]["truth"]["mean"] > alone[-1]["truth"]["mean"]


def test_the_files_and_the_tables(run):
    said, out, result = run
    assert "| poor |" in said and "95 % interval" in said and "Simulated" in said
    assert (out / "maps.md").read_text() in said
    for name in ("figure6", "resolution", "recall_by_view", "isosurfaces"):
        assert (out / f"{name}.png").stat().st_size > 20_000
    volume, voxel_size = read_volume(out / "map_good.mrc")
    assert (volume.shape, voxel_size) == ((BOX,) * 3, pytest.approx(6.5))


def test_the_best_scored_picks_count(simulation):
    every = truth(simulation)
    scores = np.random.default_rng(0).uniform(size=len(every.scores))
    scored = every.__class__(**{**vars(every), "scores": scores})
    kept = best(scored, 30)
    assert len(kept.scores) == 30 and kept.scores.min() >= np.sort(scores)[-30]
    np.testing.assert_array_equal(best(every, 30).particle, np.arange(30))


def test_mistakes_end_in_one_line(simulation, picker, write_picks, tmp_path):
    def message(picks=None, **changes):
        with pytest.raises(InputError) as found:
            compare_pickers(simulation.folder, picks or {"a": picker}, MapSettings(**{**vars(SMALL), **changes}))
        assert "\n" not in str(found.value)
        return str(found.value)

    assert "point group 'Q4' is unknown" in message(symmetry="Q4")
    assert "--sets must be 1 to 8" in message(sets=9)
    assert "--box must be even" in message(box=35)
    assert "--tolerance" in message(tolerance=2.0)
    assert "called 'truth'" in message({"truth": picker})
    few = write_picks(tmp_path / "few", {"simulated_0001": (np.full((3, 2), [[80.0, 80.0]]), np.ones(3))})
    assert "a has 0 picks whose box of 36 px fits in one of 2 sets" in message({"a": few})


def test_intervals_are_students():
    found = mean_and_interval([1.0, 2.0, 3.0])
    assert found["mean"] == 2 and found["interval"] == pytest.approx([2 - 2.4841, 2 + 2.4841], abs=1e-3)
    assert mean_and_interval([1.0])["interval"] is None
    assert mean_and_interval([1.0, np.inf]) == {"mean": None, "interval": None, "values": [1.0, None]}
    assert difference([3.0, 4.0], [1.0, 2.0])["mean"] == 2
