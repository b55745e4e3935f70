"""Incomplete labels: what may be an unlabelled particle is neither particle nor background."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from drpnet.calibration import Scores
from drpnet.config import DatasetConfig
from drpnet.datamodules import ClassifierDataModule, DistanceMapDataModule
from drpnet.datasets import open_dataset
from drpnet.errors import InputError
from drpnet.labelled import LabelledSet
from drpnet.model import load_model
from drpnet.modules import FCRNModule
from drpnet.samples import Augmentation, Look
from drpnet.schema import compose_config, train_settings
from drpnet.scoring import calibrate
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters
from drpnet.targets import DistanceTarget
from drpnet.unlabelled import unlabelled_edge, warn_of_unlabelled, with_doubtful, with_edges

DIAMETER, PIXEL_SIZE = 180.0, 9.0


@pytest.fixture(scope="module")
def complete(tmp_path_factory) -> LabelledSet:
    """Three simulated micrographs with particles that are easy to see, all of them labelled."""
    root = tmp_path_factory.mktemp("simulated")
    parameters = SimulationParameters(
        structures=["beta_galactosidase"], particle_diameter=DIAMETER, micrographs=3, height=320, width=300,
        pixel_size=PIXEL_SIZE, particles_per_micrograph=25, snr_range=[0.5, 0.6], carbon_probability=0.0,
        contamination_probability=0.0, seed=4,
    )  # fmt: skip
    simulate_dataset(parameters, root)
    return open_dataset(DatasetConfig("simulated", str(root), DIAMETER))


@pytest.fixture(scope="module")
def incomplete(complete) -> LabelledSet:
    """Every third particle has a label."""
    parts = ([replace(one, centres=one.centres[::3]) for one in part] for part in (complete.train, complete.validation))
    train, validation = map(tuple, parts)
    return replace(complete, train=train, validation=validation)


def distance(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.linalg.norm(places[:, None] - others[None], axis=2)


def test_the_doubtful_places_are_the_particles_that_nobody_labelled(complete, incomplete):
    doubted = with_doubtful(incomplete, "default")
    radius = DIAMETER / PIXEL_SIZE / 2
    for whole, part in zip((*complete.train, *complete.validation), (*doubted.train, *doubted.validation), strict=True):
        hidden = np.delete(whole.centres, np.s_[::3], axis=0)
        near = distance(part.doubtful, hidden) < radius / 2
        assert near.any(axis=0).mean() > 0.9
        assert part.doubt.sum() == pytest.approx(len(hidden), rel=0.4)
        np.testing.assert_array_equal(part.centres, whole.centres[::3])
    assert all(len(one.doubtful) == 0 for one in (*complete.train, *incomplete.train))


def test_what_is_known_to_be_no_particle_is_not_doubtful(complete, incomplete):
    """Every other unlabelled place was rejected: only the others are in doubt."""
    hidden = [np.delete(whole.centres, np.s_[::3], axis=0) for whole in complete.train]
    known = zip(incomplete.train, hidden, strict=True)
    judged = replace(incomplete, train=tuple(replace(one, rejected=places[::2]) for one, places in known))
    radius = DIAMETER / PIXEL_SIZE / 2
    for one, places in zip(with_doubtful(judged, "default").train, hidden, strict=True):
        near = (distance(one.doubtful, places) < radius / 2).any(axis=0)
        assert near[1::2].mean() > 0.8 and not near[::2].any()


def test_a_network_that_knows_nothing_is_refused(incomplete):
    with pytest.raises(InputError, match="initial_weights=default"):
        with_doubtful(incomplete, None)


def test_a_classifier_is_not_taught_that_unlabelled_particles_are_false(complete, incomplete):
    settings = train_settings(compose_config("train", ["experiment=trpv1_classifier", "fcrn_weights=default"]))
    selection = replace(settings.selection, labels="truth", background_share=0)

    def negatives(data):
        made = ClassifierDataModule(data, load_model("default"), selection)
        made.setup()
        return sum(int((part.labels == 0).sum()) for part in (made.train_set, made.val_set))

    hidden = sum(len(one.centres) - len(one.centres[::3]) for one in complete.train)
    fooled, warned = negatives(incomplete), negatives(with_doubtful(incomplete, "default"))
    assert fooled - negatives(complete) > 0.8 * hidden
    assert warned - negatives(complete) < 0.2 * hidden


@pytest.mark.parametrize("look", [None, Look(size=0.3)])
def test_the_target_is_unknown_at_doubtful_places_and_nowhere_else(incomplete, look):
    doubted = with_doubtful(incomplete, "default")
    config = load_model("default").preprocess
    both = []
    for data in (incomplete, doubted):
        module = DistanceMapDataModule(data, config, DistanceTarget(), augmentation=Augmentation(look=look))
        module.setup()
        module.train_set[1, 0]  # the second epoch's look
        both.append(module)
    plain, module = both
    for before, after, micrograph in zip(plain.train_set.shown, module.train_set.shown, doubted.train, strict=True):
        unknown = np.isnan(after.target)
        np.testing.assert_array_equal(after.image, before.image)
        np.testing.assert_array_equal(after.target[~unknown], before.target[~unknown])
        assert 0.03 < unknown.mean() < 0.6 and not before.target[unknown].any()
        scale = after.image.shape[0] / 320  # of this look
        pixels = np.argwhere(np.ones(unknown.shape, bool))
        nearest = distance(pixels, (micrograph.doubtful + 0.5) * scale - 0.5).min(axis=1).reshape(unknown.shape)
        radius = 10 if look is None else module.train_set.frames[0].particle_diameter_px / 2  # half of a particle
        assert nearest[unknown].max() < radius + 1
        assert (unknown | (before.target > 0))[nearest < radius - 1].all()
    _, target, *_ = module.val_set[0, True]
    assert 0 < target.isnan().float().mean() < 0.6


def test_no_gradient_comes_from_where_nothing_is_known():
    trained = FCRNModule(nn.Identity(), lambda _: None)
    trained.log = lambda *_, **__: None
    image = torch.randn(2, 1, 8, 8, generator=torch.manual_seed(0), requires_grad=True)
    target = torch.zeros(2, 1, 8, 8)
    target[:, :, :3] = torch.nan
    loss = trained.training_step((image, target), 0)
    loss.backward()
    assert loss.item() == pytest.approx((image[:, :, 3:] ** 2).mean().item())
    assert not image.grad[:, :, :3].any() and image.grad[:, :, 3:].all()


def test_unlabelled_particles_do_not_count_as_false_in_the_figure_of_merit(complete, incomplete):
    model, middle = load_model("default"), []
    for data in (complete, with_doubtful(incomplete, "default"), incomplete):
        fitted = calibrate(model, data.train, DIAMETER).calibration.detector
        middle.append(-fitted.logit(Scores(np.zeros(1), np.zeros(1), 0.0, 1.0))[0] / fitted.height[1])
    right, doubted, taken_for_false = middle
    assert abs(doubted - right) < abs(taken_for_false - right) / 2


# ------------------------------------------------------------------------------------------------------------------ edges


def trimmed(data: LabelledSet, width: float) -> LabelledSet:
    """Labels within so many diameters of an edge are gone."""
    limit = width * DIAMETER / PIXEL_SIZE

    def inner(one):
        last = np.array(one.read()[0].shape) - 1
        return replace(one, centres=one.centres[((one.centres >= limit) & (one.centres <= last - limit)).all(axis=1)])

    return replace(data, train=tuple(map(inner, data.train)), validation=tuple(map(inner, data.validation)))


def test_an_edge_without_labels_shows_in_the_labels(complete):
    assert unlabelled_edge(complete.train, DIAMETER) == 0
    for width in (0.6, 1.0):
        assert width <= unlabelled_edge(trimmed(complete, width).train, DIAMETER) < width + 0.35
    # a handful of labels is as far from the edges by chance
    few = [replace(one, centres=one.centres[:2]) for one in trimmed(complete, 0.6).train]
    assert unlabelled_edge(few, DIAMETER) == 0
    far = trimmed(complete, 3.0).train
    assert unlabelled_edge(far, DIAMETER) == 1.5
    assert unlabelled_edge([replace(one, centres=one.centres[:0]) for one in complete.train], DIAMETER) == 0


def test_what_is_given_decides_and_validation_has_it_too(complete):
    assert with_edges(complete, None) is complete and with_edges(trimmed(complete, 1.0), 0.0).train[0].edge == 0
    for one in (*(given := with_edges(complete, 0.7)).train, *given.validation):
        assert one.edge == pytest.approx(0.7 * DIAMETER / PIXEL_SIZE)


@pytest.mark.parametrize("look", [None, Look(size=0.3)])
def test_nothing_is_learnt_at_an_unlabelled_edge(complete, look):
    data = with_edges(trimmed(complete, 1.0), None)
    config = load_model("default").preprocess
    made = DistanceMapDataModule(data, config, DistanceTarget(), augmentation=Augmentation(look=look))
    made.setup()
    made.train_set[1, 0]  # the second epoch's look
    for shown in made.train_set.shown:
        # the frame's particles are 20 px wide, and so are the micrograph's: half of one beyond the edge
        width = data.train[0].edge * shown.target.shape[0] / 320 + 10
        known = ~np.isnan(shown.target)
        outer, inner = int(width) - 1, int(width) + 2
        assert not known[0].any() and not known[:outer, -1].any()
        assert known[inner:-inner, inner:-inner].all()
    target = made.val_set[0, True][1][0].numpy()
    assert np.isnan(target[0]).all() and not np.isnan(target[60:-60, 60:-60]).any()


def test_an_unlabelled_edge_does_not_count_in_the_figure_of_merit(complete):
    model = load_model("default")
    high = Scores(np.full(1, 0.6), np.zeros(1), -2.0, 1.0)
    found = {}
    part = trimmed(complete, 1.0)
    for name, data in (("whole", complete), ("told", with_edges(part, None)), ("not", part)):
        found[name] = calibrate(model, data.train, DIAMETER).calibration.detector.logit(high)[0]
    assert abs(found["told"] - found["whole"]) < 1 < found["whole"] - found["not"]


def test_a_classifier_is_not_taught_that_particles_at_an_unlabelled_edge_are_false(complete):
    selection = replace(
        train_settings(compose_config("train", ["experiment=trpv1_classifier", "fcrn_weights=default"])).selection,
        labels="truth", background_share=0,
    )  # fmt: skip

    def negatives(data):
        made = ClassifierDataModule(data, load_model("default"), selection)
        made.setup()
        return sum(int((part.labels == 0).sum()) for part in (made.train_set, made.val_set))

    gone = sum(len(a.centres) - len(b.centres) for a, b in zip(complete.train, trimmed(complete, 1.0).train, strict=True))
    assert gone >= 10
    assert negatives(trimmed(complete, 1.0)) - negatives(complete) > 0.8 * gone
    assert negatives(with_edges(trimmed(complete, 1.0), None)) <= negatives(complete)


def test_an_edge_that_leaves_nothing_is_refused_where_it_is_given_and_left_alone_where_it_is_found(complete, monkeypatch):
    with pytest.raises(InputError, match=r"without an edge of 7 particle diameters.*lower dataset\.unlabelled_edge"):
        with_edges(complete, 7.0)
    monkeypatch.setattr("drpnet.unlabelled.unlabelled_edge", lambda *_: 7.0)
    assert with_edges(complete, None) is complete


def test_rejected_places_show_that_somebody_looked_at_the_edge(complete):
    part = trimmed(complete, 1.0).train
    assert unlabelled_edge([replace(one, rejected=np.array([[3.0, 100.0]])) for one in part], DIAMETER) == 0


def test_labels_that_look_incomplete_are_told(complete, incomplete, caplog):
    """Two in three particles have no label; a complete set, and one whose other particles were rejected, raise no doubt."""
    warn_of_unlabelled(complete, "default")
    hidden = [np.delete(whole.centres, np.s_[::3], axis=0) for whole in complete.train]
    known = zip(incomplete.train, hidden, strict=True)
    warn_of_unlabelled(replace(incomplete, train=tuple(replace(one, rejected=places) for one, places in known)), "default")
    assert not caplog.text
    warn_of_unlabelled(incomplete, "default")
    assert "set dataset.incomplete=true" in caplog.text
