import numpy as np
import pytest

from drpnet.frames.contrast import block_size, darkness_of_image, darkness_of_labels, shrink


def disc(shape, centre, radius):
    y, x = np.indices(shape)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2


def test_shrink_averages_whole_blocks():
    image = np.arange(35, dtype=np.float32).reshape(5, 7)
    slow = [[image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(shrink(image, 2), slow)


@pytest.mark.parametrize(("diameter", "block"), [(108, 13), (16, 2), (7, 1)])
def test_the_particle_keeps_about_eight_pixels(diameter, block):
    assert block_size(diameter) == block


def test_a_dark_particle_is_the_darkest_place_and_a_bright_one_is_not():
    image = np.random.default_rng(0).normal(0, 1, (120, 140)) - 3 * disc((120, 140), (60, 80), 5)
    darkness = darkness_of_image(image, 10)
    assert np.hypot(*(np.argwhere(darkness == darkness.max()).mean(axis=0) - [60, 80])) < 1  # clipped: a plateau
    assert darkness.mean() == pytest.approx(0, abs=1e-6) and darkness.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(darkness_of_image(-image, 10)[60, 80], -darkness[60, 80], rtol=0.2)


def test_a_hollow_particle_is_darkest_at_its_centre():
    shell = disc((200, 200), (100, 100), 16) & ~disc((200, 200), (100, 100), 9)
    image = np.random.default_rng(1).normal(0, 0.2, (200, 200)) - shell
    darkness = darkness_of_image(image, 32)
    assert np.hypot(*(np.argwhere(darkness == darkness.max()).mean(axis=0) - 100)) < 2


def test_ice_counts_no_more_than_a_particle():
    image = np.random.default_rng(2).normal(0, 1, (150, 150)) - 3 * disc((150, 150), (40, 40), 5)
    icy = image - 1000 * disc((150, 150), (110, 110), 8)
    darkness = darkness_of_image(icy, 10)
    assert darkness.max() < 6 and darkness[40, 40] > 1.5


def test_labels_are_dark_where_they_are():
    labels = np.array([[100.0, 200.0], [300.0, 60.0]])
    darkness = darkness_of_labels(labels, (400, 400), 80)
    block = block_size(80)
    for y, x in labels:
        assert darkness[int((y + 0.5) / block), int((x + 0.5) / block)] > 2
    assert not darkness_of_labels(np.empty((0, 2)), (400, 400), 80).any()
