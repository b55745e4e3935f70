"""Training samples in memory: seeded, augmented patches for the FCRN and for the classifier (pure torch datasets)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import fft
from torch import distributed
from torch.utils.data import Dataset, DistributedSampler

from drpnet.patches import patch_corners
from drpnet.preprocess import Frame, rescale, standardise
from drpnet.targets import without_unlabelled

_KNOTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.71)
"""Spatial frequencies (cycles per frame px) between which the gain of a look is interpolated."""


@dataclass(frozen=True)
class Look:
    """Another look of a whole frame: what microscopes, ice and other people's filters do and a simulation does not."""

    spectrum: float = 0.5
    """Standard deviation of the logarithm of a gain that changes slowly with spatial frequency."""
    noise: float = 1.0
    """Largest deviation of added noise whose power falls off with frequency, in deviations of the micrograph."""
    steepness: float = 3.0
    """Largest exponent of that fall; 0 is white."""
    smoothest_px: float = 80.0
    """Waves longer than this are left to the illumination correction."""
    clip: float = 6.0
    """As `preprocess.outlier_deviations`."""
    size: float = 0.0
    """Largest logarithm of a factor by which the frame is enlarged or reduced: the diameter that users give is not exact."""

    def resize(self, rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
        """A frame (h, w) at another size, and its pixels per new pixel along (y, x)."""
        return rescale(image, pixel_size=1.0, target_pixel_size=float(np.exp(rng.uniform(-self.size, self.size))))

    def vary(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """A frame (h, w) filtered, with noise, and standardised again."""
        shape = image.shape
        frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]).astype(np.float32)
        gain = np.exp(np.interp(frequency, _KNOTS, rng.normal(0, self.spectrum, len(_KNOTS)))).astype(np.float32)
        lowest = 1 / self.smoothest_px
        fall = np.maximum(frequency, lowest) ** (-rng.uniform(0, self.steepness) / 2) * (frequency > lowest)
        noise = rng.standard_normal(shape, np.float32)
        noise = fft.irfft2(fft.rfft2(noise) * fall, s=shape)
        noise *= rng.uniform(0, self.noise) / noise.std()
        seen = fft.irfft2(fft.rfft2(image + noise) * gain, s=shape)
        return np.clip(standardise(seen), -self.clip, self.clip).astype(np.float32)


@dataclass(frozen=True)
class Augmentation:
    """What is varied on the fly: the eight orientations, brightness and contrast, the shift of the patch, the look."""

    orientations: bool = True
    brightness: float = 0.1
    """Standard deviation of an offset, in standard deviations of the micrograph."""
    contrast: float = 0.1
    """Standard deviation of the logarithm of a factor."""
    jitter_px: int = 16
    """Largest shift of a patch from its centre."""
    look: Look | None = None
    """Gives every micrograph another look in every epoch."""

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


def together() -> tuple[int, int]:
    """(rank, number) of the processes that train together; (0, 1) alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class EpochSampler(DistributedSampler):
    """Yields (epoch, index) in an order that depends on (seed, epoch) alone, so that a resumed run sees the same data.

    Processes that train together get every N-th item each, so that their batches of n make up the batch of N n that one
    process would see. Where the items do not divide, the last of an epoch are filled up with the first. (Lightning deals
    out other samplers by itself, in another order, but leaves a DistributedSampler as it is.)
    """

    def __init__(self, length: int, seed: int, items: int = 0, deal: bool = True):
        """`length` items to choose from, `items` an epoch (0: all); where more are asked for, they come again.

        Without `deal` every process gets all items.
        """
        rank, processes = together() if deal else (0, 1)
        self.length, self.items = length, items or length
        super().__init__(range(self.items), num_replicas=processes, rank=rank, shuffle=False, seed=seed)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        rounds = [rng.permutation(self.length) for _ in range(-(-self.items // max(1, self.length)))]
        order = np.concatenate([np.empty(0, int), *rounds])[: self.items]
        mine = np.resize(order, self.total_size)[self.rank :: self.num_replicas]
        return iter([(self.epoch, int(index)) for index in mine])


class OnceSampler(DistributedSampler):
    """Deals the items of a data set out to the processes that train together; yields (index, counts).

    Every process gets as many items, or they would wait for each other; `counts` is False for those that some process
    gets only to fill up its share, so that a mean over all processes can leave them out.
    """

    def __init__(self, dataset: Dataset):
        rank, processes = together()
        super().__init__(dataset, num_replicas=processes, rank=rank, shuffle=False)
        self.items = len(dataset)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[int, bool]]:
        places = range(self.rank, self.total_size, self.num_replicas)
        return iter([(place % self.items, place < self.items) for place in places])


class _Shown(NamedTuple):
    """A frame as an epoch sees it: image and target (h, w), particle centres and rejected and doubtful places (n, 2), and
    how many px along its edges have no labels."""

    image: np.ndarray
    centres: np.ndarray
    rejected: np.ndarray
    doubtful: np.ndarray
    edge: float
    target: np.ndarray


class DistanceMapPatches(Dataset):
    """Patches of frames around particle centres and rejected places (and a share of random places) with their distance maps.

    Items are addressed by (epoch, index); what is drawn depends on (seed, epoch, index) alone. Each is a pair of tensors
    (1, s, s). The map is NaN around doubtful places and along unlabelled edges, about which nothing is known.
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
        doubtful: Sequence[np.ndarray] | None = None,
        rejected: Sequence[np.ndarray] | None = None,
        edges: Sequence[float] | None = None,
    ):
        """Frames with their particle centres (n, 2) in frame pixels; `patches` an epoch (0: one a place, as the paper)."""
        self.frames, self.target = frames, target
        nothing = [np.zeros((0, 2))] * len(frames)
        of = zip(frames, centres, rejected or nothing, doubtful or nothing, edges or [0.0] * len(frames), strict=True)
        self.shown = [self._shown(*one) for one in of]
        self.plain, self.seen_epoch = self.shown, -1
        for frame in frames:
            patch_corners(np.zeros((1, 2)), size, frame.image.shape)  # raises for images smaller than a patch
        self.places = [(i, j) for i, one in enumerate(self.shown) for j in range(len(one.centres) + len(one.rejected))]
        self.size, self.background_share, self.seed = size, background_share, seed
        self.augmentation = augmentation
        self.length = patches or round(len(self.places) / max(1e-9, 1 - background_share)) or len(frames)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, index = key
        self._look(epoch)
        rng = np.random.default_rng((self.seed, epoch, index))
        if not self.places or rng.random() < self.background_share:
            chosen = int(rng.integers(len(self.shown)))
            centre = rng.uniform((0, 0), self.shown[chosen].image.shape)
        else:
            # an epoch of fewer patches than particles must not see the same first ones every time
            place = index if self.length >= len(self.places) else int(rng.integers(len(self.places)))
            chosen, particle = self.places[place % len(self.places)]
            reach = self.augmentation.jitter_px if self.augmentation else 0
            around = np.concatenate([self.shown[chosen].centres, self.shown[chosen].rejected])
            centre = around[particle] + (rng.integers(-reach, reach + 1, 2) if reach else 0)
        image, target = self.shown[chosen].image, self.shown[chosen].target
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

    def _shown(
        self, frame: Frame, centres: np.ndarray, rejected: np.ndarray, doubtful: np.ndarray, edge: float
    ) -> _Shown:
        target = self.target(frame.image.shape, centres, frame.particle_diameter_px)
        target = without_unlabelled(target, doubtful, edge, frame.particle_diameter_px / 2)
        return _Shown(frame.image, centres, rejected, doubtful, edge, target)

    def _look(self, epoch: int) -> None:
        """The frames of this epoch; a frame's look depends on (seed, epoch, its number) alone."""
        look = self.augmentation.look if self.augmentation else None
        if look is None or epoch == self.seen_epoch:
            return
        self.shown = []
        for index, (frame, plain) in enumerate(zip(self.frames, self.plain, strict=True)):
            rng = np.random.default_rng((self.seed, epoch, index, 1))
            if look.size:
                image, scale = look.resize(rng, frame.image)
                seen = replace(frame, image=look.vary(rng, image), scale=scale)
                before = (plain.centres, plain.rejected, plain.doubtful)
                centres, rejected, doubtful = (seen.from_micrograph(points) for points in before)
                self.shown.append(self._shown(seen, centres, rejected, doubtful, plain.edge / scale[0]))
            else:
                self.shown.append(plain._replace(image=look.vary(rng, frame.image)))
        self.seen_epoch = epoch


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
