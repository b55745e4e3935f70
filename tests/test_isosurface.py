"""Isosurfaces: the level, the surface of a ball, its light, and the picture of drpnet quality."""

import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.io.volumes import write_volume
from drpnet.quality.isosurface import (
    isosurface_figure,
    level_of_volume,
    resampled,
    shade,
    surface_of,
    volume_at_otsu,
)
from drpnet.quality.map_picture import draw_isosurfaces
from drpnet.quality.settings import Settings


def ball(box: int, radius: float) -> np.ndarray:
    """Density that falls through 0.5 at a radius in px."""
    distance = np.linalg.norm(np.mgrid[:box, :box, :box] - box // 2, axis=0)
    return (1 / (1 + np.exp(distance - radius))).astype(np.float32)


def test_the_level_encloses_the_volume():
    size, radius = 2.0, 9.0
    volume = ball(32, radius)
    enclosed = 4 / 3 * np.pi * (radius * size) ** 3
    level = level_of_volume(volume, size, enclosed)
    assert level == pytest.approx(0.5, abs=0.05)
    assert (volume > level).sum() * size**3 == pytest.approx(enclosed, rel=0.04)  # many voxels are alike
    assert volume_at_otsu(volume, size) == pytest.approx(enclosed, rel=0.2)
    with pytest.raises(InputError, match="does not fit into the map"):
        level_of_volume(volume, size, 1e9)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_surface_of_a_ball_is_a_sphere_with_normals_outwards(sign):
    size, radius = 2.0, 9.0
    volume = sign * ball(32, radius)
    if sign < 0:
        with pytest.raises(InputError, match="there is no surface"):
            surface_of(volume, size, 0.5)
        return
    surface = surface_of(volume, size, 0.5)
    places = surface.triangles.reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), radius * size, atol=0.15 * size)
    middle = surface.triangles.mean(axis=1)
    assert ((surface.normals * middle).sum(axis=1) > 0.98 * np.linalg.norm(middle, axis=1)).all()


def test_x_y_and_z_are_where_they_belong():
    volume = ball(32, 4.0)
    volume = np.roll(volume, (7, 3, -5), axis=(0, 1, 2))  # z, y, x
    middle = surface_of(volume, 1.0, 0.5).triangles.reshape(-1, 3)
    np.testing.assert_allclose((middle.min(0) + middle.max(0)) / 2, [-5, 3, 7], atol=0.3)


def test_resampling_keeps_the_density_and_its_place():
    volume = np.roll(ball(32, 5.0), (3, -2, 4), axis=(0, 1, 2))
    fine = resampled(volume, 64)
    np.testing.assert_allclose(fine[::2, ::2, ::2], volume, atol=0.02)
    np.testing.assert_allclose(resampled(fine, 32)[4:-4, 4:-4, 4:-4], volume[4:-4, 4:-4, 4:-4], atol=0.02)


def test_light_comes_from_one_side_and_depth_pales():
    normals = np.array([[-0.45, 0.55, 0.7], [0.45, -0.55, 0.7]])
    lit, dark = shade(normals / np.linalg.norm(normals, axis=1, keepdims=True), np.zeros(2)).mean(axis=1)
    assert lit > dark
    near, far = shade(np.tile([[0.0, 0.0, 1.0]], (2, 1)), np.array([0.9, -0.9])).mean(axis=1)
    assert far > near


def test_maps_of_one_volume_side_by_side():
    maps = {"a": (ball(24, 6.0), 3.0), "b": (3 * ball(24, 7.0) - 1, 3.0)}
    figure = isosurface_figure(maps, 20_000.0, {"a": "12 Å"})
    assert [axis.get_title() for axis in figure.axes[:2]] == ["a\n12 Å", "b"]
    assert len({axis.get_xlim() for axis in figure.axes}) == 1


def test_refinements_are_drawn_from_their_half_maps(tmp_path):
    halves = []
    for number in (1, 2):
        halves.append(str(tmp_path / f"half{number}.mrc"))
        write_volume(tmp_path / f"half{number}.mrc", ball(24, 6.0), 3.0)
    fsc = {"corrected": [1.0] * 13, "resolution": {"corrected": {"0.143": {"shell": 6.0}}}}
    runs = [{"name": "a", "half_maps": halves, "fsc": fsc}, {"name": "b", "half_maps": None, "fsc": fsc}]
    (path,) = draw_isosurfaces(runs, Settings(), tmp_path)
    assert path.stat().st_size > 5_000
    assert draw_isosurfaces(runs[1:], Settings(), tmp_path) == []
    nothing = {**runs[0], "fsc": {**fsc, "resolution": {"corrected": {"0.143": {"shell": None}}}}}
    assert draw_isosurfaces([nothing], Settings(), tmp_path) == []
    with pytest.raises(InputError, match="give another --mass in kilodalton"):
        draw_isosurfaces(runs, Settings(kilodalton=1e6), tmp_path)
