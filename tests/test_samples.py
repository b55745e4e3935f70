import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from drpnet.errors import InputError
from drpnet.preprocess import Frame
from drpnet.samples import Augmentation, DistanceMapPatches, EpochSampler, LabelledPatches, Look
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


def looked_at(seed=0):
    return distance_map_patches(seed, augmentation=Augmentation(look=Look(size=0.2)))


@pytest.mark.parametrize("make", [distance_map_patches, labelled_patches, looked_at])
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


@pytest.mark.parametrize("items", [7, 20, 45])
def test_an_epoch_of_fewer_or_more_items_than_there_are(items):
    """Every sample comes once before one comes twice."""
    sampler = EpochSampler(20, 7, items)
    order = [index for _, index in sampler]
    assert len(order) == len(sampler) == items
    counts = np.bincount(order, minlength=20)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(("items", "processes"), [(24, 2), (24, 3), (23, 2), (7, 4)])
def test_processes_share_the_batches_of_one(monkeypatch, items, processes):
    alone = list(EpochSampler(30, 7, items))
    shares = []
    for rank in range(processes):
        monkeypatch.setattr("drpnet.samples.together", lambda rank=rank: (rank, processes))
        shares.append(list(EpochSampler(30, 7, items)))
        assert list(EpochSampler(30, 7, items, deal=False)) == alone
    dealt = [item for place in zip(*shares, strict=True) for item in place]
    assert dealt[:items] == alone and dealt[items:] == alone[: len(dealt) - items]


def test_image_and_target_are_turned_alike():
    dataset = distance_map_patches(augmentation=Augmentation(brightness=0, contrast=0, jitter_px=4))
    # then the image tells what its target must be
    dataset.shown = [shown._replace(image=10 * shown.target - 3) for shown in dataset.shown]
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


def test_a_look_keeps_the_frame_standardised_and_its_particles_in_place():
    rows, columns = np.mgrid[:128, :130]
    disc = (np.hypot(rows - 60, columns - 70) < 8).astype(np.float32)
    frame = np.random.default_rng(0).normal(size=disc.shape).astype(np.float32) - 3 * disc
    for seed in range(20):
        seen = Look(spectrum=0.5, noise=1.0).vary(np.random.default_rng(seed), frame)
        assert seen.shape == frame.shape and seen.dtype == np.float32
        assert abs(np.median(seen)) < 1e-5
        assert 1.4826 * np.median(np.abs(seen)) == pytest.approx(1, abs=0.02)
        assert np.abs(seen).max() <= 6
        smooth = [(seen * np.roll(disc, shift, (0, 1))).sum() for shift in ((0, 0), (40, 0), (0, 40), (-40, -40))]
        assert np.argmin(smooth) == 0


def test_a_look_changes_the_spectrum_by_about_what_is_asked():
    frame = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    power = np.abs(np.fft.rfft2(frame))
    ratios = []
    for seed in range(60):
        seen = Look(spectrum=0.5, noise=0.0, clip=100).vary(np.random.default_rng(seed), frame)
        gain = np.abs(np.fft.rfft2(seen)) / power
        ratios.append(np.log(gain[13, 0] / gain[0, 26]))  # at 0.1 and 0.2 cycles a px, two of the knots
    assert np.std(ratios) == pytest.approx(0.5 * np.sqrt(2), rel=0.25)


def test_every_epoch_has_its_own_looks():
    dataset = looked_at()
    first, second, again = ([shown.image for shown in (dataset[key] and dataset.shown)] for key in ((0, 0), (1, 0), (0, 3)))
    assert not np.array_equal(first[0], second[0]) and not np.array_equal(first[0], first[1])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_targets_and_centres_follow_the_size_of_a_look():
    shape, centres = (150, 160), np.array([[40.0, 50.0], [100.0, 110.0]])
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    discs = sum((np.hypot(rows - y, columns - x) < 8).astype(np.float32) for y, x in centres)
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    frame = Frame(noise - 30 * discs, 2.0, 20.0, (1, 1))
    look = Look(spectrum=0.0, noise=0.0, clip=100, size=0.3)
    dataset = DistanceMapPatches([frame], [centres], DistanceTarget(), size=32, augmentation=Augmentation(look=look))
    sizes = set()
    for epoch in range(6):
        dataset[epoch, 0]
        (shown,) = dataset.shown
        sizes.add(shown.image.shape)
        assert shown.target.shape == shown.image.shape
        for y, x in shown.centres:
            near = (slice(int(y) - 15, int(y) + 16), slice(int(x) - 15, int(x) + 16))
            weights = (shown.image[near] < -10).astype(float)
            offset = np.array(np.nonzero(weights)).mean(1) + [near[0].start, near[1].start] - [y, x]
            assert np.abs(offset).max() < 0.6
            peak = np.unravel_index(shown.target[near].argmax(), (31, 31))
            assert np.abs(np.add(peak, (near[0].start, near[1].start)) - [y, x]).max() <= 1
    assert len(sizes) > 4


def test_patches_are_cut_around_rejected_places_too():
    """Hard negatives: as often as a particle, and with nothing in the target but particles."""
    rejected = [np.array([[150.0, 40.0]]), np.zeros((0, 2))]
    centres = [np.array([[40.0, 150.0]]), np.array([[60.0, 60.0]])]
    seen = frames(shape=(200, 200))
    dataset = DistanceMapPatches(seen, centres, DistanceTarget(), size=32, rejected=rejected)
    assert len(dataset) == 3
    first, hard, other = (dataset[0, index] for index in range(3))
    np.testing.assert_array_equal(hard[0][0], seen[0].image[134:166, 24:56])
    assert first[1].max() > 0.9 and other[1].max() > 0.9 and hard[1].max() == 0


def test_rejected_places_follow_the_size_of_a_look():
    frame = frames(shape=(200, 200))[0]
    look = Look(spectrum=0, noise=0, size=0.4)
    dataset = DistanceMapPatches(
        [frame], [np.zeros((0, 2))], DistanceTarget(), size=32, rejected=[np.array([[100.0, 90.0]])],
        augmentation=Augmentation(look=look, jitter_px=0),
    )  # fmt: skip
    dataset[3, 0]
    shown = dataset.shown[0]
    scale = np.array(shown.image.shape) / frame.image.shape
    np.testing.assert_allclose(shown.rejected, (np.array([[100.5, 90.5]]) * scale) - 0.5)
    assert not np.allclose(scale, 1)
