"""Picking through the console: sources, continuing, workers, cuts, pictures."""

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from drpnet import picking
from drpnet.cli import app
from drpnet.config import DetectionConfig
from drpnet.io.coordinates import read_coordinates
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import read_candidates_star
from drpnet.io.star import read_star, write_star
from drpnet.model import Calibration, Model, save_model
from drpnet.networks import FCRN

PIXEL_SIZE, DIAMETER = 5.0, 100


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """An untrained network whose calibration makes its candidates' figures of merit spread over 0..1."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    architectures = {"fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"width": 4}}}
    model = Model(
        FCRN(width=4), detection=DetectionConfig(threshold=0.002), calibration=Calibration((0.0, 10.0)),
        architectures=architectures,
    )  # fmt: skip
    save_model(model, path)
    return path


@pytest.fixture
def mics(tmp_path) -> Path:
    """Three micrographs in two folders, two of them with the same name."""
    rng = np.random.default_rng(1)
    for name in ("a/one.mrc", "a/two.v2.mrc", "b/one.mrc"):
        write_micrograph(tmp_path / "mics" / name, rng.normal(100, 10, (120, 150)).astype(np.float32), PIXEL_SIZE)
    return tmp_path / "mics"


def pick(weights: Path, source: object, out: Path, *options: object) -> int:
    arguments = [
        "pick",
        source,
        "--out",
        out,
        "--diameter",
        DIAMETER,
        "--weights",
        weights,
        "--device",
        "cpu",
        *options,
    ]
    with pytest.raises(SystemExit) as stop:
        app([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def stars(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.star"))}


def test_the_tree_is_kept_and_particles_star_holds_every_pick(weights, mics, tmp_path):
    out = tmp_path / "picks"
    assert pick(weights, mics, out, "--threshold", "all") == 0
    picks = {place: read_coordinates(out / f"{place}_autopick.star") for place in ("a/one", "a/two.v2", "b/one")}
    particles = read_star(out / "particles.star")["particles"]
    for place, found in picks.items():
        rows = particles[particles["rlnMicrographName"] == str(mics / f"{place}.mrc")]
        assert len(rows) == len(found.centres) > 3
        np.testing.assert_allclose(rows[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(float), found.centres)
        assert (found.centres > -0.5).all() and (found.centres < (119.5, 149.5)).all()
        kept = read_candidates_star(out / "candidates" / f"{place}_candidates.star")
        assert len(kept.centres) == len(found.centres) and np.isnan(kept.classifier_score).all()
    assert len(particles) == sum(len(found.centres) for found in picks.values())


def test_workers_give_the_same_files(weights, mics, tmp_path):
    assert pick(weights, mics, tmp_path / "one") == 0
    assert pick(weights, mics, tmp_path / "two", "--workers", 2) == 0
    one, two = stars(tmp_path / "one"), stars(tmp_path / "two")
    assert one.pop("autopick.star").replace(b"/one/", b"/two/").count(b"/two/") >= 3
    two.pop("autopick.star")
    assert one == two


def test_a_second_run_picks_only_what_is_new(weights, mics, tmp_path, monkeypatch):
    out = tmp_path / "picks"
    assert pick(weights, mics / "a", out) == 0
    picked = []
    really = picking.pick_one
    monkeypatch.setattr(picking, "pick_one", lambda p, entry, job: picked.append(entry.stem) or really(p, entry, job))
    image = np.random.default_rng(5).normal(size=(120, 150)).astype(np.float32)
    write_micrograph(mics / "a" / "three.mrc", image, PIXEL_SIZE)
    assert pick(weights, mics / "a", out, "--threshold", "all") == 0
    assert picked == ["three"]
    (out / "candidates" / "one_candidates.star").unlink()
    assert pick(weights, mics / "a", out) == 0
    assert picked == ["three", "one"]


def test_what_was_picked_before_an_interruption_is_kept(weights, mics, tmp_path, monkeypatch):
    out = tmp_path / "picks"
    really = picking.pick_one

    def interrupted(picker, entry, job):
        if entry.stem == "two.v2":
            raise KeyboardInterrupt
        return really(picker, entry, job)

    monkeypatch.setattr(picking, "pick_one", interrupted)
    assert pick(weights, mics / "a", out) == 130
    assert [record["stem"] for record in json.loads((out / "run.json").read_text())["micrographs"]] == ["one"]
    monkeypatch.setattr(picking, "pick_one", really)
    assert pick(weights, mics / "a", out) == 0
    assert pick(weights, mics / "a", tmp_path / "straight") == 0
    assert (out / "particles.star").read_bytes() == (tmp_path / "straight" / "particles.star").read_bytes()


def test_a_star_keeps_names_optics_and_ctf(weights, mics, tmp_path, capsys):
    star = mics.parent / "corrected.star"
    names = ["mics/a/one.mrc", "mics/b/one.mrc"]
    optics = {"rlnOpticsGroupName": ["x", "y"], "rlnOpticsGroup": [2, 5], "rlnMicrographPixelSize": [5.0, 6.0]}
    rows = {"rlnMicrographName": names, "rlnOpticsGroup": [5, 2], "rlnDefocusU": [1e4, 2e4]}
    write_star(star, {"optics": frame(optics), "micrographs": frame(rows)})
    out = tmp_path / "picks"
    assert pick(weights, star, out, "--threshold", "all") == 0
    blocks = read_star(out / "particles.star")
    assert dict(zip(blocks["optics"]["rlnOpticsGroup"], blocks["optics"]["rlnMicrographPixelSize"], strict=True)) == {
        5: 6.0, 2: 5.0,
    }  # fmt: skip
    first = blocks["particles"][blocks["particles"]["rlnMicrographName"] == names[0]]
    assert set(first["rlnOpticsGroup"]) == {5} and set(first["rlnDefocusU"]) == {1e4}
    assert (out / "coords_suffix_autopick.star").read_text().strip() == str(star)


def frame(columns):
    import pandas

    return pandas.DataFrame(columns)


def test_a_glob_minimum_distance_and_box(weights, mics, tmp_path):
    out = tmp_path / "picks"
    assert (
        pick(weights, mics / "*" / "one.mrc", out, "--threshold", "all", "--min-distance", 200, "--box-size", 40) == 0
    )
    for tree in ("a", "b"):
        centres = read_coordinates(out / tree / "one_autopick.star").centres
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[~np.eye(len(centres), dtype=bool)]
        assert (apart * PIXEL_SIZE >= 200 - 1e-6).all()
        assert (centres >= 20).all() and (centres <= (100, 130)).all()


def test_the_picture_follows_the_cut(weights, mics, tmp_path):
    out = tmp_path / "picks"
    assert pick(weights, mics / "a" / "one.mrc", out, "--overlay", "--threshold", "all") == 0
    drawn = np.asarray(Image.open(out / "overlays" / "one.png"))
    assert drawn.shape == (120, 150, 3) and (drawn[..., 0] != drawn[..., 2]).any()
    assert pick(weights, mics / "a" / "one.mrc", out, "--overlay", "--threshold", "1") == 0
    again = np.asarray(Image.open(out / "overlays" / "one.png"))
    assert (again[40:, :, 0] == again[40:, :, 2]).all()


def test_a_killed_worker_is_said_in_one_line_and_the_next_run_goes_on(weights, mics, tmp_path, capsys):
    out = tmp_path / "picks"
    killer = threading.Thread(target=kill_a_worker, daemon=True)
    killer.start()
    assert pick(weights, mics, out, "--workers", 2) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told and "a worker process died" in told and "--workers" in told.splitlines()[-1]
    assert pick(weights, mics, out) == 0


def kill_a_worker():
    while not multiprocessing.active_children():
        time.sleep(0.02)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def test_profiles_change_the_candidates(weights, mics, tmp_path):
    assert pick(weights, mics / "a" / "one.mrc", tmp_path / "own") == 0
    own = (tmp_path / "own" / "candidates" / "one_candidates.star").read_bytes()
    for profile in ("paper", "released"):
        out = tmp_path / profile
        assert pick(weights, mics / "a" / "one.mrc", out, "--profile", profile) == 0
        assert (out / "candidates" / "one_candidates.star").read_bytes() != own


def test_an_unexpected_error_on_one_micrograph_does_not_stop_the_others(weights, mics, tmp_path, monkeypatch, capsys):
    really = picking.pick_one

    def broken(picker, entry, job):
        if entry.stem == "two.v2":
            raise ZeroDivisionError("by zero")
        return really(picker, entry, job)

    monkeypatch.setattr(picking, "pick_one", broken)
    assert pick(weights, mics, tmp_path / "picks") == 1
    assert "two.v2.mrc: unexpected ZeroDivisionError: by zero" in capsys.readouterr().err
    assert len(list((tmp_path / "picks").rglob("*_autopick.star"))) == 2
