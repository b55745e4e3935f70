"""What the data modules hand to the networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from drpnet.cascade import Picker
from drpnet.config import DetectionConfig, PreprocessConfig
from drpnet.datamodules import DistanceMapDataModule
from drpnet.errors import InputError
from drpnet.io.micrographs import write_micrograph
from drpnet.labelled import LabelledMicrograph, LabelledSet, joined
from drpnet.model import Model
from drpnet.modules import FCRNModule
from drpnet.targets import DistanceTarget

DIAMETER, PIXEL_SIZE = 128.0, 2.0
"""A particle of 64 px: the release's factor is 1 and the smallest for which its FCRN sees half the size."""


@pytest.fixture
def data(tmp_path) -> LabelledSet:
    """Two micrographs (301 x 280) of dark particles."""
    random = np.random.default_rng(0)
    micrographs = []
    for name in "ab":
        image = random.normal(size=(301, 280)).astype(np.float32)
        centres = random.uniform(50, 230, (4, 2))
        for y, x in centres.astype(int):
            image[y - 30 : y + 30, x - 30 : x + 30] -= 2
        write_micrograph(tmp_path / f"{name}.mrc", image, PIXEL_SIZE)
        micrographs.append(LabelledMicrograph(tmp_path / f"{name}.mrc", centres))
    return LabelledSet("squares", DIAMETER, (micrographs[0],), (micrographs[1],), (), simulated=False)


def exact_target(shape, centres, diameter_px) -> np.ndarray:
    """A target in float64, as one from outside may be: the diameter at the pixel nearest to each centre."""
    target = np.zeros(shape)
    rows, columns = np.round(centres).astype(int).T
    target[rows, columns] = diameter_px
    return target


def test_no_double_precision_reaches_a_device(data):
    module = DistanceMapDataModule(data, PreprocessConfig(), exact_target, patch_size=32, batch_size=2)
    module.setup()
    for batch in (next(iter(module.train_dataloader())), next(iter(module.val_dataloader()))):
        kinds = {value.dtype for value in batch if isinstance(value, torch.Tensor)}
        assert kinds == {torch.float32}


class Recorder(nn.Module):
    """Remembers what it was shown."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        return x


@pytest.mark.parametrize("half", [True, False])
def test_training_and_picking_see_the_same_scale(data, half):
    config = PreprocessConfig(scale_rule="released", half_size_pass=half)
    module = DistanceMapDataModule(data, config, exact_target, patch_size=32)
    module.setup()
    recorder = Recorder()
    for part, micrograph in ((0, data.train[0]), (1, data.validation[0])):
        detection = Picker(Model(recorder, None, config)).detect(*micrograph.read(), DIAMETER)
        assert detection.frame.half_size_pass is half
        shown = module.train_set.shown[0].image if part == 0 else module.val_set[0, True][0][0].numpy()
        np.testing.assert_array_equal(shown, recorder.seen[0, 0].numpy())
        assert shown.shape == ((150, 140) if half else (301, 280))
        target = module.train_set.shown[0].target if part == 0 else module.val_set[0, True][1][0].numpy()
        places = np.argwhere(target > 0)
        expected = (micrograph.centres + 0.5) / (2 if half else 1) - 0.5
        assert len(places) == 4
        assert target.max() == pytest.approx(32 if half else 64, rel=0.01)
        distance = np.linalg.norm(places[:, None] - expected[None], axis=2)
        assert distance.min(axis=0).max() < 1 and distance.min(axis=1).max() < 1


def test_half_size_frames_too_small_for_a_patch_are_one_line(data):
    config = PreprocessConfig(scale_rule="released", half_size_pass=True)
    with pytest.raises(InputError, match="smaller than a 160 px patch"):
        DistanceMapDataModule(data, config, exact_target, patch_size=160).setup()


@pytest.mark.parametrize("half", [True, False])
def test_validation_judges_the_map_at_the_size_that_picking_judges(data, half):
    """A network whose map is the target itself finds every particle, where the labels are."""
    config = PreprocessConfig(scale_rule="released", half_size_pass=half)
    data = replace(data, validation=(replace(data.validation[0], centres=np.array([[60.0, 60.0], [200.5, 190.0]])),))
    module = DistanceMapDataModule(data, config, DistanceTarget(), patch_size=32)
    module.setup()
    _, target, *judged = module.val_set[0, True]
    trained = FCRNModule(nn.Identity(), lambda _: None, detection=DetectionConfig(threshold=0.2))
    trained.log = lambda *_, **__: None
    trained.validation_step((target, target, *judged), 0)
    assert float(trained.f_measure.compute()) == 1
    assert judged[0] == (301, 280) and judged[2] == 64


def test_a_joined_set_trains_each_micrograph_at_its_own_diameter(data):
    other = replace(data, name="large", particle_diameter=2 * DIAMETER, test=data.validation)
    both = joined(data, other)
    assert (both.name, both.particle_diameter) == ("squares+large", DIAMETER)
    assert len(both.train) == 3 and both.validation == data.validation and both.test == ()
    module = DistanceMapDataModule(both, PreprocessConfig(), exact_target, patch_size=32)
    module.setup()
    one, *others = (shown.image.shape for shown in module.train_set.shown)
    assert all(abs(one[0] - 2 * shape[0]) <= 2 for shape in others), "a particle twice as large is shown half as large"
    assert module.val_set.frames[0].particle_diameter_px == pytest.approx(PreprocessConfig().particle_diameter_px, rel=0.02)
