"""The localisation experiment measures what it says."""

import numpy as np
import pytest
from torch import nn

from drpnet.networks import FCRN, UNet
from experiments.localisation.measure import offsets_of, sees, summary


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (nn.Conv2d(1, 1, (3, 7), padding=(1, 3)), [1, 3, 1, 3]),
        (nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 1)), [0, 0, 1, 1]),
        (FCRN(width=4), [9, 9, 10, 10]),
    ],
)
def test_what_an_output_pixel_sees(network, expected):
    assert sees(network, 64) == expected


def test_no_network_sees_farther_than_its_tiles_are_given():
    network = UNet(width=4, depth=2)
    assert max(sees(network, 128)) <= network.halo


def test_a_constant_shift_shows_in_the_mean():
    truth = np.array([[10.0, 10], [40, 30], [70, 80]])
    offsets = offsets_of(truth + (1.0, -2.0), truth, 20.0)
    found = summary([offsets, offsets])
    assert (found["matches"], found["particles"]) == (6, 6)
    assert found["mean_shift"] == pytest.approx([1, -2]) and found["standard_error"] == pytest.approx([0, 0], abs=1e-9)
    assert found["median_px"] == pytest.approx(5**0.5)
