"""Training samples in memory: seeded, augmented patches for the FCRN and for the classifier (pure torch datasets)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from drpnet.patches import patch_corners
from drpnet.preprocess import Frame


@dataclass(frozen=True)
class Augmentation:
    """What is varied on the fly: the eight orientations, brightness and contrast, the shift of the patch."""

    orientations: bool = True
    brightness: float = 0.1
    """Standard deviation of an offset, in standard deviations of the micrograph."""
    contrast: float = 0.1
    """Standard deviation of the logarithm of a factor."""
    jitter_px: int = 16
    """Largest shift of a patch from its centre."""

    def orient(self, rng: np.random.Generator, *images: np.ndarray) -> list[np.ndarray]:
        """The images, all turned and mirrored the same random way."""
        if not self.orientations:
            return list(images)
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        turned = [np.rot90(image, turns) for image in images]
        return [image[:, ::-1] if mirror else image for image in turned]

    def intensity(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """The image with another brightness and contrast."""
        return image * np.float32(np.exp(self.contrast * rng.normal())) + np.float32(self.brightness * rng.normal())


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index) in an order that depends on (seed, epoch) alone, so that a resumed run sees the same data."""

    def __init__(self, length: int, seed: int):
        self.length, self.seed, self.epoch = length, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        return iter([(self.epoch, int(index)) for index in order])

    def __len__(self) -> int:
        return self.length


class DistanceMapPatches(Dataset):
    """Patches of frames around particle centres (and a share of random places) with their distance maps.

    Items are addressed by (epoch, index); what is drawn depends on (seed, epoch, index) alone. Each is a pair of tensors
    (1, s, s).
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        centres: Sequence[np.ndarray],
        target: Callable[[tuple[int, int], np.ndarray, float], np.ndarray],
        size: int = 64,
        background_share: float = 0.0,
        patches: int = 0,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ):
        """Frames with their particle centres (n, 2) in frame pixels; `patches` an epoch (0: one a particle, as the paper)."""
        self.images = [frame.image for frame in frames]
        self.targets = [
            target(frame.image.shape, points, frame.particle_diameter_px)
            for frame, points in zip(frames, centres, strict=True)
        ]
        for image in self.images:
            patch_corners(np.zeros((1, 2)), size, image.shape)  # raises for images smaller than a patch
        self.places = [(i, y, x) for i, points in enumerate(centres) for y, x in points]
        self.size, self.background_share, self.seed = size, background_share, seed
        self.augmentation = augmentation
        self.length = patches or round(len(self.places) / max(1e-9, 1 - background_share)) or len(frames)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        if not self.places or rng.random() < self.background_share:
            chosen = int(rng.integers(len(self.images)))
            centre = rng.uniform((0, 0), self.images[chosen].shape)
        else:
            # an epoch of fewer patches than particles must not see the same first ones every time
            place = index if self.length >= len(self.places) else int(rng.integers(len(self.places)))
            chosen, y, x = self.places[place % len(self.places)]
            reach = self.augmentation.jitter_px if self.augmentation else 0
            centre = np.array([y, x]) + (rng.integers(-reach, reach + 1, 2) if reach else 0)
        image, target = self.images[chosen], self.targets[chosen]
        top, left = patch_corners(centre[None], self.size, image.shape)[0]
        window = (slice(top, top + self.size), slice(left, left + self.size))
        patch, truth = image[window], target[window]
        if self.augmentation:
            patch, truth = self.augmentation.orient(rng, patch, truth)
            patch = self.augmentation.intensity(rng, patch)
        return (
            torch.from_numpy(np.ascontiguousarray(patch, np.float32))[None],
            torch.from_numpy(np.ascontiguousarray(truth, np.float32))[None],
        )


class LabelledPatches(Dataset):
    """Patches (n, s, s) with labels (n,) 0 or 1, balanced by repeating the rarer class; items as in `DistanceMapPatches`."""

    def __init__(
        self, patches: np.ndarray, labels: np.ndarray, augmentation: Augmentation | None = None, seed: int = 0
    ):
        self.patches, self.labels = patches, labels
        self.augmentation, self.seed = augmentation, seed
        classes = [np.flatnonzero(labels == value) for value in (0, 1)]
        most = max(len(members) for members in classes)
        repeated = [np.resize(members, most) for members in classes if len(members)]
        self.order = np.concatenate([np.empty(0, int), *repeated])

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        place = self.order[index]
        patch = self.patches[place]
        if self.augmentation:
            (patch,) = self.augmentation.orient(rng, patch)
            patch = self.augmentation.intensity(rng, patch)
        label = torch.tensor(float(self.labels[place]))
        return torch.from_numpy(np.ascontiguousarray(patch, np.float32))[None], label
