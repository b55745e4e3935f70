"""Contamination: how many lumps, and of which kinds."""

import numpy as np
import pytest

from drpnet.simulation.ice import draw_contaminants


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_crystals(share):
    lumps = draw_contaminants(np.random.default_rng(3), (500, 600), 4.0, 60, share)
    assert 1 <= len(lumps) <= 60 and {lump.flat for lump in lumps} == {bool(share)}
    widest = max(lump.radius for lump in lumps) * 4.0
    assert (widest > 300) if share else (widest <= 150)
