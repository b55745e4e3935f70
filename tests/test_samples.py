import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from drpnet.errors import InputError
from drpnet.preprocess import Frame
from drpnet.samples import Augmentation, DistanceMapPatches, EpochSampler, LabelledPatches
from drpnet.targets import DistanceTarget


def frames(n=2, shape=(90, 100)):
    return [Frame(np.random.default_rng(i).normal(size=shape).astype(np.float32), 2.0, 20.0, (1, 1)) for i in range(n)]


CENTRES = [np.array([[30.0, 40.0], [5.0, 90.0], [70.0, 20.0]]), np.array([[45.0, 50.0]])]


def distance_map_patches(seed=0, **options):
    options = {"size": 32, "augmentation": Augmentation(), "background_share": 0.25, **options}
    return DistanceMapPatches(frames(), CENTRES, DistanceTarget(), seed=seed, **options)


def labelled_patches(seed=0):
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(10, 16, 16)).astype(np.float32)
    return LabelledPatches(patches, np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Augmentation(), seed)


def digest(seed):
    """A number that changes when any drawn pixel does."""
    total = 0.0
    for dataset in (distance_map_patches(seed), labelled_patches(seed)):
        for epoch in range(2):
            for index in range(len(dataset)):
                image, target = dataset[epoch, index]
                total += float((image * torch.arange(image.numel()).reshape(image.shape)).sum()) + float(target.sum())
    return total


@pytest.mark.parametrize("make", [distance_map_patches, labelled_patches])
def test_a_sample_depends_on_seed_epoch_and_index_alone(make):
    first, second = make(3), make(3)
    keys = [(epoch, index) for epoch in range(3) for index in range(len(first))]
    for key in reversed(keys):
        second[key]
    for key in keys:
        for here, there in zip(first[key], second[key], strict=True):
            assert torch.equal(here, there)
    assert not torch.equal(first[0, 1][0], first[1, 1][0])
    assert not torch.equal(first[0, 1][0], make(4)[0, 1][0])


def test_another_process_draws_the_same(repository):
    program = "import sys; sys.path.insert(0, 'tests'); import test_samples; print(repr(test_samples.digest(5)))"
    run = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True)
    assert float(run.stdout) == digest(5)


def test_workers_see_the_same_batches():
    dataset = pickle.loads(pickle.dumps(distance_map_patches(patches=6)))
    loaders = [DataLoader(dataset, 3, sampler=EpochSampler(6, 1), num_workers=n) for n in (0, 1)]
    for here, there in zip(*loaders, strict=True):
        assert torch.equal(here[0], there[0]) and torch.equal(here[1], there[1])


def test_the_order_depends_on_seed_and_epoch_and_reaches_every_sample():
    sampler, other = EpochSampler(20, 7), EpochSampler(20, 7)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert {e for e, _ in order} == {epoch}
        assert sorted(index for _, index in order) == list(range(20)) and len(sampler) == 20
        epochs.append([index for _, index in order])
    other.set_epoch(2)
    assert [index for _, index in other] == epochs[2]
    assert epochs[0] != epochs[1] != epochs[2]


def test_image_and_target_are_turned_alike():
    dataset = distance_map_patches(augmentation=Augmentation(brightness=0, contrast=0, jitter_px=4))
    dataset.images = [10 * target - 3 for target in dataset.targets]  # then the image tells what its target must be
    turned = 0
    for index in range(len(dataset) * 3):
        image, target = dataset[0, index]
        torch.testing.assert_close(image, 10 * target - 3)
        turned += bool(target.max() > 0)
    assert turned > 3


def test_without_augmentation_a_patch_is_cut_around_its_particle():
    dataset = distance_map_patches(augmentation=None, background_share=0.0)
    assert len(dataset) == 4
    image, target = dataset[0, 0]
    np.testing.assert_array_equal(image[0], frames()[0].image[14:46, 24:56])
    assert image.shape == target.shape == (1, 32, 32) and image.dtype == target.dtype == torch.float32
    assert target[0].argmax() == 16 * 32 + 16


def test_the_share_of_background_and_the_length():
    assert len(distance_map_patches(background_share=0.5)) == 8
    assert len(distance_map_patches(patches=123)) == 123
    blank = DistanceMapPatches(frames(), [np.empty((0, 2))] * 2, DistanceTarget(), size=32)
    assert len(blank) == 2 and not blank[0, 0][1].any()


def test_all_eight_orientations_occur():
    rng, image = np.random.default_rng(0), np.arange(9.0).reshape(3, 3)
    seen = {Augmentation().orient(rng, image)[0].tobytes() for _ in range(200)}
    assert len(seen) == 8


def test_orientations_can_be_switched_off():
    image = np.arange(6.0).reshape(2, 3)
    assert Augmentation(orientations=False).orient(np.random.default_rng(0), image)[0] is image


def test_intensity_varies_by_about_what_is_asked():
    rng, image = np.random.default_rng(0), np.random.default_rng(1).normal(size=(50, 50)).astype(np.float32)
    varied = [Augmentation(brightness=0.3, contrast=0.2).intensity(rng, image) for _ in range(500)]
    assert np.std([v.mean() for v in varied]) == pytest.approx(0.3, rel=0.15)
    assert np.std([np.log(v.std() / image.std()) for v in varied]) == pytest.approx(0.2, rel=0.15)
    assert varied[0].dtype == np.float32


def test_labelled_patches_are_balanced():
    dataset = labelled_patches()
    labels = [float(dataset[0, index][1]) for index in range(len(dataset))]
    assert labels.count(1) == labels.count(0) == 8
    # every one of the frequent class occurs, and the rare ones equally often
    assert sorted(np.bincount(dataset.order)) == [1] * 8 + [4, 4]


def test_one_class_or_none_is_no_obstacle():
    patches = np.zeros((3, 8, 8), np.float32)
    assert len(LabelledPatches(patches, np.ones(3, int))) == 3
    assert len(LabelledPatches(patches[:0], np.ones(0, int))) == 0


def test_a_frame_smaller_than_a_patch_is_an_error():
    with pytest.raises(InputError, match="smaller than a 64 px patch"):
        DistanceMapPatches(frames(shape=(60, 200)), CENTRES, DistanceTarget(), size=64)


def test_epochs_of_few_patches_reach_every_particle():
    few = distance_map_patches(patches=2, background_share=0.0, augmentation=None)
    seen = {few[epoch, index][0].numpy().tobytes() for epoch in range(30) for index in range(len(few))}
    assert len(seen) == sum(len(points) for points in CENTRES)
