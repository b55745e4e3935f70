import numpy as np
import pytest

from drpnet.frames.evidence import Case, Evidence
from drpnet.frames.transforms import IDENTITY, Transform

RNG = np.random.default_rng(0)


def field(shape=(40, 50), seed=0):
    values = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    return (values - values.mean()) / values.std()


@pytest.fixture
def two():
    """Two micrographs of different size in blocks of 4 px."""
    centres = [RNG.uniform(0, [160, 200], (70, 2)), RNG.uniform(0, [120, 120], (50, 2))]
    return Evidence([
        Case("a", centres[0], (161, 202), field(), 4),
        Case("b", centres[1], (120, 123), field((30, 30), 1), 4),
    ])  # fmt: skip


def test_contrast_against_a_loop(two):
    flip = Transform(flip_y=True)
    slow = []
    for case in two.cases:
        for y, x in flip.apply(case.centres, case.shape):
            row, column = int((y + 0.5) // 4), int((x + 0.5) // 4)
            last = np.array(case.darkness.shape) - 1
            slow.append(case.darkness[min(row, last[0]), min(column, last[1])])
    assert two.quick(flip)[0] == pytest.approx(np.mean(slow), abs=1e-6)
    assert two.quick(flip)[1] == two.inside(flip) == 1


def test_interpolation_is_exact_at_the_middle_of_a_block(two):
    middle = Evidence([Case("a", np.array([[5.5, 9.5], [-3.0, 1.0]]), (161, 202), field(), 4)])
    np.testing.assert_allclose(middle.values(middle.centres), [field()[1, 2], 0], atol=1e-6)


def test_z_against_all_shifts_by_hand():
    places = RNG.integers(0, 12, (9, 2)).astype(float)
    evidence = Evidence([Case("a", places, (12, 12), field((12, 12)), 1)])
    sums = [
        sum(field((12, 12))[(int(y) + dy) % 12, (int(x) + dx) % 12] for y, x in places)
        for dy in range(12)
        for dx in range(12)
    ]
    here = sum(field((12, 12))[int(y), int(x)] for y, x in places)
    assert evidence.z(IDENTITY) == pytest.approx(here / max(np.std(sums), 3), rel=1e-5)


def test_places_outside_count_as_nothing(two):
    away = Transform(offset=(1e4, 0))
    assert two.contrast(away) == two.z(away) == two.inside(away) == 0


def test_gain_is_antisymmetric_and_paired(two):
    flip = Transform(flip_y=True)
    assert two.gain(flip, IDENTITY) == pytest.approx(-two.gain(IDENTITY, flip))
    assert two.gain(flip, flip) == 0
    change = two.values(two.places(flip)) - two.values(two.places(IDENTITY))
    error = np.sqrt(sum(change[two.owner == m].var() * (two.owner == m).sum() for m in (0, 1)))
    assert two.gain(flip, IDENTITY) == pytest.approx(change.sum() / error)


def test_no_single_micrograph_decides():
    """One micrograph of three on which a shift is far better, two on which it is not."""
    steps = [np.indices((30, 30))[0].astype(np.float32) * weight for weight in (1.0, 0.0, -0.01)]
    places = RNG.uniform(2, 20, (40, 2))
    three = Evidence([Case(str(i), places, (30, 30), step, 1) for i, step in enumerate(steps)])
    assert three.contrast(Transform(offset=(5.0, 0.0))) > three.contrast(IDENTITY) + 1
    assert three.gain(Transform(offset=(5.0, 0.0)), IDENTITY) < 0
    assert three.only(0).gain(Transform(offset=(5.0, 0.0)), IDENTITY) > 10


def test_spacing_ignores_duplicates():
    grid = np.stack(np.meshgrid(np.arange(5) * 7.0, np.arange(5) * 7.0), axis=-1).reshape(-1, 2)
    case = Case("a", np.concatenate([grid, grid]), (40, 40), field((40, 40)), 1)
    assert Evidence([case]).spacing() == 7
    assert Evidence([Case("a", grid[:1], (40, 40), field(), 1)]).spacing() == np.inf


def test_thinned_keeps_every_micrograph(two):
    thin = two.thinned(30)
    assert len(thin.cases) == 2 and 20 <= len(thin.centres) <= 40
    assert two.thinned(1000) is two
    assert len(two.only(1).cases) == 1


def test_the_offset_of_displaced_centres_is_found():
    y, x = np.indices((60, 60))
    true = np.array([[row, column] for row in range(8, 56, 11) for column in range(8, 56, 11)], float)
    darkness = sum(np.exp(-((y - r) ** 2 + (x - c) ** 2) / 18) for r, c in true)
    darkness = ((darkness - darkness.mean()) / darkness.std()).astype(np.float32)
    offset, error = Evidence([Case("a", true - [0.8, -0.5], (60, 60), darkness, 1)]).offset(IDENTITY, 8)
    np.testing.assert_allclose(offset, [0.8, -0.5], atol=0.15)
    assert (error < 0.2).all()


def test_no_centres_at_all():
    empty = Evidence([Case("a", np.empty((0, 2)), (40, 50), field(), 1)])
    assert empty.cases == [] and empty.contrast(IDENTITY) == 0 and empty.z(IDENTITY) == 0 and empty.inside(IDENTITY) == 1
