"""Incomplete labels: what may be an unlabelled particle is neither particle nor background."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from drpnet.calibration import Scores
from drpnet.config import DatasetConfig
from drpnet.datamodules import ClassifierDataModule, DistanceMapDataModule
from drpnet.datasets import LabelledSet, open_dataset
from drpnet.errors import InputError
from drpnet.model import load_model
from drpnet.modules import FCRNModule
from drpnet.samples import Augmentation, Look
from drpnet.schema import compose_config, train_settings
from drpnet.scoring import calibrate
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters
from drpnet.targets import DistanceTarget
from drpnet.unlabelled import with_doubtful

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
        assert 0.05 < unknown.mean() < 0.6 and not before.target[unknown].any()
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
