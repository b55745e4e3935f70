"""A diameter with which far less is found than with another is told; others are left in peace."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from drpnet.cascade import Picker
from drpnet.config import PreprocessConfig
from drpnet.diameter import OtherDiameter, better_diameter
from drpnet.errors import InputError
from drpnet.io.micrographs import read_micrograph
from drpnet.io.picks import Candidates
from drpnet.model import load_model
from drpnet.pick import pick
from drpnet.schema import compose_config, pick_settings

REAL = Path(__file__).resolve().parents[2] / "data" / "real" / "empiar10146" / "micrographs"
IMAGE = np.zeros((8, 8), np.float32)


class Finds:
    """A stand-in for a picker: by diameter in Angstrom, so many picks with a figure of merit of 0.9, and as many specks."""

    model = SimpleNamespace(preprocess=PreprocessConfig())

    def __init__(self, **picks: int):
        self.picks = {float(name.removeprefix("d")): number for name, number in picks.items()}

    def pick(self, image: np.ndarray, pixel_size: float, diameter: float) -> Candidates:
        if diameter not in self.picks:
            raise InputError("too large")
        merit = np.repeat([0.9, 0.1], self.picks[diameter])
        return Candidates(np.zeros((len(merit), 2)), merit, merit, merit)


@pytest.mark.parametrize(
    ("picks", "expected"),
    [
        ({"d100": 50, "d140": 200, "d200": 210, "d70": 0}, (140, 200, 50)),  # of two alike, the nearer one
        ({"d100": 50, "d140": 120, "d200": 210, "d70": 0}, (200, 210, 50)),
        ({"d100": 50, "d140": 20, "d200": 0, "d70": 200}, (70, 200, 50)),
        ({"d100": 50, "d140": 70, "d200": 70, "d70": 140}, None),  # smaller ones must cover more
        ({"d100": 5, "d140": 30, "d200": 20, "d70": 40}, None),  # too few to tell
        ({"d100": 0, "d140": 60}, (140, 60, 0)),  # the others are too large for the image
        ({"d100": 60}, None),
    ],
)
def test_what_counts_as_far_more(picks, expected):
    found = better_diameter(Finds(**picks), IMAGE, 2.0, 100.0)
    assert found == (None if expected is None else OtherDiameter(*expected))


def test_diameters_of_hardly_any_pixels_are_left_out():
    picks = {"d100": 0, "d140": 0, "d200": 0, "d70": 500}
    assert better_diameter(Finds(**picks), IMAGE, 3.5, 100.0) == OtherDiameter(70, 500, 0)
    assert better_diameter(Finds(**picks), IMAGE, 4.0, 100.0) is None  # 70 Angstrom are 17.5 px


@pytest.mark.parametrize("told", [True, False])
def test_pick_says_so_once_and_not_where_nothing_was_picked(mics, weights, tmp_path, caplog, monkeypatch, told):
    other = OtherDiameter(140.0, 200, 50) if told else None
    monkeypatch.setattr("drpnet.pick.better_diameter", lambda *_: other)
    words = [f"micrographs={mics}", f"out={tmp_path / 'picks'}", f"weights={weights}", "particle_diameter=100", "device=cpu"]
    settings = pick_settings(compose_config("pick", words))
    caplog.set_level(logging.WARNING)
    pick(settings)
    assert ("140 Angstrom finds 200 picks, the given 100 only 50" in caplog.text) is told
    caplog.clear()
    pick(settings)  # it is all there
    assert "Angstrom" not in caplog.text


def test_a_hint_that_fails_spoils_nothing(mics, weights, tmp_path, monkeypatch):
    def out_of_memory(*_):
        raise MemoryError("a whole image at once")

    monkeypatch.setattr("drpnet.pick.better_diameter", out_of_memory)
    words = [f"micrographs={mics}", f"out={tmp_path / 'picks'}", f"weights={weights}", "particle_diameter=100", "device=cpu"]
    assert pick(pick_settings(compose_config("pick", words))).cut.candidates > 0


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real micrographs are not laid out in data/real")
def test_on_hollow_shells_half_the_diameter_is_told_and_the_right_one_is_not():
    image, pixel_size = read_micrograph(sorted(REAL.glob("*.mrc"))[0])
    picker = Picker(load_model("default"))
    assert better_diameter(picker, image, pixel_size, 127.0) is None
    other = better_diameter(picker, image, pixel_size, 0.5 * 127)
    assert other is not None and 100 < other.diameter < 200 and other.picks > 3 * other.given_picks
