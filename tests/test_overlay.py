import numpy as np
from PIL import Image

from drpnet.overlay import EDGE, GREEN, RED, YELLOW, draw_picks, draw_truth, save_picture, to_picture

RNG = np.random.default_rng(0)


def test_a_large_micrograph_becomes_a_small_picture_of_the_same_scale():
    grey, scale = to_picture(RNG.normal(size=(1200, 3000)).astype(np.float32), 60)
    assert max(grey.shape) == EDGE and grey.dtype == np.uint8
    assert np.isclose(scale, 3000 / EDGE)


def test_a_gradient_of_light_is_evened_out():
    image = RNG.normal(size=(200, 200)) + np.linspace(0, 50, 200)
    grey, _ = to_picture(image.astype(np.float32), 20)
    assert abs(float(grey[:, 60:80].mean()) - float(grey[:, 120:140].mean())) < 20


def test_a_large_offset_changes_no_grey_level():
    image = np.round(RNG.normal(0, 5, (1300, 200))).astype(np.float32)
    assert (to_picture(image + np.float32(1e7), 20)[0] == to_picture(image, 20)[0]).all()


def test_circles_are_drawn_around_the_centres_with_the_particle_diameter():
    image = RNG.normal(size=(100, 140)).astype(np.float32)
    bare, drawn = (
        np.asarray(draw_picks(image, [(c, GREEN)], 30)) for c in (np.empty((0, 2)), np.array([[40.0, 90.0]]))
    )
    y, x = np.nonzero((bare != drawn).any(axis=2))
    distance = np.hypot(y - 40, x - 90)
    assert (abs(distance - 15) < 2.5).all() and len(y) > 60


def test_true_false_and_missed_have_their_colours(tmp_path):
    image = RNG.normal(size=(100, 100)).astype(np.float32)
    picks, truth = np.array([[20.0, 20.0], [20.0, 70.0]]), np.array([[21.0, 20.0], [70.0, 50.0]])
    picture = draw_truth(image, picks, truth, np.array([True, False]), np.array([True, False]), 20, "")
    save_picture(picture, tmp_path / "p.png")
    pixels = np.asarray(Image.open(tmp_path / "p.png"))
    for colour, (y, x) in ((GREEN, (20, 20)), (RED, (20, 70)), (YELLOW, (70, 50))):
        where = np.argwhere((pixels == colour).all(axis=2))
        assert len(where) > 20 and np.allclose(where.mean(axis=0), (y, x), atol=1)
