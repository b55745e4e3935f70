"""The .bild against the one that relion_refine writes of its own distribution."""

import re

import numpy as np
import pytest

from drpnet.io.refinement import read_model
from drpnet.io.star import read_star
from drpnet.reconstruction.angular_histogram import bild, counted_bild
from drpnet.reconstruction.views import directions, pixel_centres, pixels


def numbers(text):
    return [np.array(re.findall(r"-?\d[\d.e+-]*", line), float) for line in text.strip().splitlines()]


@pytest.mark.relion
def test_it_is_relions(refine):
    folder = refine("bild", "C4", 1)
    model = read_model(folder / "run_it001_model.star")
    table = read_star(folder / "run_it001_sampling.star")["sampling_directions"]
    views = directions(table["rlnAngleRot"].to_numpy(float), table["rlnAngleTilt"].to_numpy(float))
    mine = numbers(bild(views, model.orientation_distribution, model.box, model.pixel_size, 30.0))
    theirs = numbers((folder / "run_it001_class001_angdist.bild").read_text())
    assert len(mine) == len(theirs) > 4
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=5e-3)


def test_counts_are_bars_of_their_height():
    counts = np.zeros(12288, int)
    top, side = pixels(np.array([[0, 0, 1.0], [1, 0, 0]]))
    counts[top], counts[side] = 10, 5
    lines = counted_bild(counts, 100, 2.0).splitlines()
    assert len(lines) == 4
    bars = sorted((np.array(line.split()[1:7], float) - 100 for line in lines[1::2]), key=lambda bar: bar[2])
    assert np.linalg.norm(bars[0][3:]) == pytest.approx(115, rel=1e-3)  # half as high as
    assert np.linalg.norm(bars[1][3:]) == pytest.approx(130, rel=1e-3)
    assert np.linalg.norm(bars[1][:3]) == pytest.approx(100, rel=1e-3)
    assert (pixel_centres(16) @ bars[1][:3] / 100).max() == pytest.approx(1, abs=1e-4)
