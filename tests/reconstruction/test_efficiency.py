"""E_od against cryoEF's published case, a voxel-by-voxel filling, and the order that it must give."""

import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.reconstruction.efficiency import fourier_filling, orientation_efficiency, point_spread
from drpnet.reconstruction.views import ViewCounts, directions, upper


def efficiency(rot, tilt, box=64, b_factor=160.0, symmetry="C1"):
    counts = ViewCounts(symmetry)
    counts.add(np.asarray(rot, float), np.asarray(tilt, float))
    return orientation_efficiency(counts.planes, box, b_factor)


def cap(count, degrees):
    rng = np.random.default_rng(0)
    return rng.uniform(-180, 180, count), np.rad2deg(np.arccos(rng.uniform(np.cos(np.deg2rad(degrees)), 1, count)))


def test_the_filling_is_that_of_every_voxel_asked():
    rng = np.random.default_rng(0)
    views = rng.normal(size=(20, 3))
    views = np.concatenate([views / np.linalg.norm(views, axis=1, keepdims=True), np.eye(3)])
    weights, box = rng.uniform(1, 3, len(views)), 16
    slow = np.zeros((box,) * 3)
    z, y, x = np.mgrid[:box, :box, :box] - box // 2
    k = np.stack([x, y, z], axis=-1)
    square = (k**2).sum(axis=-1)
    for view, weight in zip(views, weights, strict=True):
        on = (np.abs((k @ view)[..., None] * view) <= 0.5 + 1e-9).all(axis=-1) & (square < (box // 2 - 2) ** 2)
        slow += on * weight / on.sum()
    slow *= np.exp(-160 * square / (2 * box**2))
    np.testing.assert_allclose(fourier_filling(views, weights, box, 160.0), slow, rtol=1e-9, atol=1e-15)


def test_cryoefs_published_case():
    """theta = 0, 0.25 .. 44.75 with phi = 0 .. 179, box 10, B 160: cryoEF gives 0.75, a public port of it 0.77."""
    tilt, rot = np.arange(180) * 0.25, np.arange(180.0)
    exact = fourier_filling(upper(directions(rot, tilt)), np.ones(180), 10, 160.0)
    spread = point_spread(exact)
    assert spread.argmax() == np.ravel_multi_index((5, 5, 5), spread.shape)
    assert efficiency(rot, tilt, 10).e_od == pytest.approx(0.75, abs=0.03)
    assert efficiency(rot, tilt, 10).e_od == pytest.approx(0.778, abs=0.001)


def test_the_more_even_the_views_the_higher():
    uniform = efficiency(*cap(20_000, 180), 32)
    side = efficiency(np.linspace(-180, 180, 2000), np.full(2000, 90.0), 32)
    values = [uniform.e_od, side.e_od, *(efficiency(*cap(5000, degrees), 32).e_od for degrees in (60, 30))]
    values.append(efficiency([0.0], [0.0], 32).e_od)
    assert values == sorted(values, reverse=True)
    assert uniform.filled == 1 and uniform.e_od == pytest.approx(0.805, abs=0.01)


@pytest.mark.slow
def test_the_reference_values_at_box_64():
    rot, tilt = cap(50_000, 180)
    for b_factor, expected in ((160, 0.805), (640, 0.901), (1500, 0.935)):
        assert efficiency(rot, tilt, 64, b_factor).e_od == pytest.approx(expected, abs=0.002)
    assert efficiency(*cap(50_000, 60), 64).e_od == pytest.approx(0.67, abs=0.01)
    assert efficiency(*cap(50_000, 30), 64).e_od == pytest.approx(0.30, abs=0.01)


def test_symmetry_counts_every_copy():
    rot, tilt = cap(500, 40)
    copies = [(rot + turn, tilt) for turn in (0, 90, 180, 270)]
    by_hand = efficiency(np.concatenate([r for r, _ in copies]), np.concatenate([t for _, t in copies]), 32)
    assert efficiency(rot, tilt, 32, symmetry="C4").e_od == pytest.approx(by_hand.e_od, abs=0.005)
    assert efficiency(rot, tilt, 32, symmetry="O").e_od > efficiency(rot, tilt, 32).e_od + 0.2  # three axes, not one


def test_a_tilted_distribution_is_as_good():
    rot, tilt = cap(3000, 60)
    values = [efficiency(rot, tilt, 32).e_od]
    views = directions(rot, tilt)
    turned = views[:, [1, 2, 0]]
    values.append(efficiency(np.rad2deg(np.arctan2(turned[:, 1], turned[:, 0])), np.rad2deg(np.arccos(turned[:, 2])), 32).e_od)
    assert values[0] == pytest.approx(values[1], abs=0.02)


def test_bad_input():
    with pytest.raises(InputError, match="must be even and at least 8 voxels, got 63"):
        efficiency([0.0], [0.0], 63)
    with pytest.raises(InputError, match="must not be negative, got -1"):
        efficiency([0.0], [0.0], 32, -1.0)
    with pytest.raises(InputError, match="needs at least one view"):
        orientation_efficiency(np.zeros(49152))
