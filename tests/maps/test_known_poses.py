"""What is known of picks: poses, numbers, mistakes that end in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import evaluate
from drpnet.io.star import read_star, write_star
from drpnet.maps.known_poses import read_picks, read_simulation, truth

RADIUS_PX = 173.0 / 6.5 / 2


def test_true_and_false_picks_are_those_of_evaluate(simulation, picker):
    picks = read_picks(simulation, picker, RADIUS_PX)
    scores = evaluate(picker, simulation.folder / "particles.star", radius_px=RADIUS_PX)
    assert len(picks.particle) == scores["picks"]
    assert picks.is_true.mean() == pytest.approx(scores["precision"])
    assert picks.is_true.sum() / len(simulation.centres) == pytest.approx(scores["recall"])
    assert len(set(picks.particle[picks.is_true])) == picks.is_true.sum()


def test_a_true_pick_has_its_particles_pose(simulation, picker):
    picks = read_picks(simulation, picker, RADIUS_PX)
    for row in np.flatnonzero(picks.is_true)[:50]:
        particle = picks.particle[row]
        assert simulation.micrograph[particle] == picks.micrograph[row]
        distance = np.linalg.norm(simulation.centres - picks.centres[row], axis=1)
        distance[simulation.micrograph != picks.micrograph[row]] = np.inf
        assert distance[particle] == distance.min() <= RADIUS_PX
        np.testing.assert_array_equal(picks.angles[row], simulation.angles[particle])
    false = ~picks.is_true
    assert np.isnan(picks.angles[false]).all()
    np.testing.assert_array_equal(picks.true_centres[false], picks.centres[false])
    np.testing.assert_array_equal(truth(simulation).particle, np.arange(len(simulation.centres)))


def test_mistakes_end_in_one_line(simulation, picker, write_picks, tmp_path):
    def broken(name: str, change) -> str:
        folder = shutil.copytree(simulation.folder, tmp_path / name)
        change(folder)
        with pytest.raises(InputError) as found:
            read_simulation(folder)
        assert "\n" not in str(found.value)
        return str(found.value)

    def star(change):
        def apply(folder: Path) -> None:
            blocks = {name: dict(block) for name, block in read_star(folder / "particles.star").items()}
            change(blocks)
            write_star(folder / "particles.star", blocks)

        return apply

    assert "has no rlnAngleTilt" in broken("angles", star(lambda blocks: blocks["particles"].pop("rlnAngleTilt")))

    def two_groups(blocks):
        blocks["optics"] = {label: [column[0], column[0]] for label, column in blocks["optics"].items()}

    assert "has 2 optics groups" in broken("optics", star(two_groups))
    assert "simulation.json does not exist" in broken("record", lambda folder: (folder / "simulation.json").unlink())

    def structures(folder: Path) -> None:
        record = json.loads((folder / "simulation.json").read_text())
        record["parameters"]["structures"] = ["trpv1", "beta_galactosidase"]
        (folder / "simulation.json").write_text(json.dumps(record))

    assert "one known structure" in broken("structures", structures)
    some = (np.ones((2, 2)), np.ones(2))
    foreign = write_picks(tmp_path / "foreign", {"simulated_0001": some, "other": some})
    with pytest.raises(InputError, match="has picks of other, which .* does not simulate"):
        read_picks(simulation, foreign, RADIUS_PX)
    single = write_picks(tmp_path / "single", {"simulated_0001": (np.ones((1, 2)), np.ones(1))})
    with pytest.raises(InputError, match="fewer than two picks"):
        read_picks(simulation, single, RADIUS_PX)
