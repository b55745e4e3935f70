"""A simulated data set on disk is the truth, appears whole, and is made once."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_micrograph
from drpnet.io.star import read_star
from drpnet.simulation import dataset
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.micrograph import simulate_micrograph
from drpnet.simulation.parameters import SimulationParameters

SMALL = SimulationParameters(
    micrographs=2,
    height=140,
    width=160,
    pixel_size=8.0,
    particle_diameter=173.0,
    particles_per_micrograph=8,
    gradient=0.0,
)


def test_files_hold_the_truth(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    out = simulate_dataset(SMALL, tmp_path / "deep" / "set", lambda done, total: calls.append((done, total)))
    assert out == tmp_path / "deep" / "set" and calls == [(1, 2), (2, 2)]
    assert sorted(p.name for p in out.parent.iterdir()) == ["set"]
    particles = read_star(out / "particles.star")["particles"]
    optics = read_star(out / "particles.star")["optics"]
    assert float(optics["rlnMicrographPixelSize"].iloc[0]) == 8.0
    assert float(optics["rlnVoltage"].iloc[0]) == 300.0
    for index in range(2):
        expected = simulate_micrograph(SMALL, index)
        name = f"micrographs/simulated_{index + 1:04d}.mrc"
        image, pixel_size = read_micrograph(out / name)
        np.testing.assert_array_equal(image, expected.image)
        assert pixel_size == pytest.approx(8.0)
        rows = particles[particles["rlnMicrographName"] == name]
        xy = rows[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
        np.testing.assert_allclose(xy, expected.centres[:, ::-1], atol=1e-5)
        angles = rows[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy(float)
        np.testing.assert_allclose(angles, expected.euler_angles, atol=1e-5)
        np.testing.assert_allclose(rows["rlnDefocusU"].to_numpy(float), expected.optics.defocus_u, rtol=1e-7)
    record = json.loads((out / "simulation.json").read_text())
    assert record["parameters"] == asdict(SMALL)
    assert [m["snr"] for m in record["micrographs"]] == [simulate_micrograph(SMALL, i).snr for i in range(2)]


def test_the_micrographs_star_finds_the_micrographs(tmp_path: Path) -> None:
    out = simulate_dataset(SMALL, tmp_path / "set")
    entries = find_micrographs(str(out / "micrographs.star")).entries
    assert [e.path.name for e in entries] == ["simulated_0001.mrc", "simulated_0002.mrc"]
    assert all(e.path.is_file() and e.pixel_size == 8.0 for e in entries)


def test_second_run_does_nothing_and_other_parameters_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = simulate_dataset(SMALL, tmp_path / "set")
    monkeypatch.setattr(dataset, "simulate_micrograph", lambda *_: pytest.fail("simulated again"))
    assert simulate_dataset(replace(SMALL), out) == out
    with pytest.raises(InputError, match="seed 0, now 1"):
        simulate_dataset(replace(SMALL, seed=1), out)
    record = json.loads((out / "simulation.json").read_text())
    del record["parameters"]["crystal_share"]
    (out / "simulation.json").write_text(json.dumps(record))
    assert simulate_dataset(SMALL, out) == out, "a folder made before a parameter was added has its default"
    with pytest.raises(InputError, match=r"crystal_share 0\.4, now 0\.1"):
        simulate_dataset(replace(SMALL, crystal_share=0.1), out)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_dataset(SMALL, tmp_path / "set", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_foreign_folders_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        simulate_dataset(SMALL, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        simulate_dataset(SMALL, tmp_path / "notes.txt")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "simulation.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        simulate_dataset(SMALL, tmp_path / "old")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_empty_folder_is_used_and_a_set_without_particles_is_valid(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    out = simulate_dataset(replace(SMALL, empty_probability=1.0, micrographs=1), tmp_path / "set")
    particles = read_star(out / "particles.star")["particles"]
    assert len(particles) == 0 and "rlnCoordinateX" in particles
