"""Lightning data modules: frames and seeded 64x64 patches for the FCRN, mined patches for the classifier."""

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from drpnet.cascade import Picker
from drpnet.config import PreprocessConfig, SelectionConfig
from drpnet.errors import InputError
from drpnet.labelled import LabelledMicrograph, LabelledSet
from drpnet.mining import Mined, mine_samples
from drpnet.model import Model
from drpnet.preprocess import Frame, network_frame, preprocess
from drpnet.samples import Augmentation, DistanceMapPatches, EpochSampler, LabelledPatches, OnceSampler
from drpnet.targets import without_unlabelled

log = logging.getLogger(__name__)
Target = Callable[[tuple[int, int], np.ndarray, float], np.ndarray]
ValidationItem = tuple[torch.Tensor, torch.Tensor, tuple[int, int], torch.Tensor, float, bool]


class WholeFrames(Dataset):
    """Whole micrographs for validation, addressed as `OnceSampler` does it, by (index, counts).

    Items are what the network sees, (image (1, h, w), target (1, h, w)), and what its map is judged by once it is as
    large as the frame: (the frame's shape, centres (n, 2), the particle's diameter in its px), and then `counts`. The
    tensors are float32: Apple's devices know no float64.
    """

    def __init__(self, frames: Sequence[Frame], micrographs: Sequence[LabelledMicrograph], target: Target):
        """Frames with the micrographs whose they are, for their particle centres."""
        self.frames, self.micrographs, self.target = frames, micrographs, target

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: tuple[int, bool]) -> ValidationItem:
        index, counts = key
        frame, of = self.frames[index], self.micrographs[index]
        centres, doubtful = of.centres, of.doubtful
        seen = network_frame(frame)
        target = self.target(seen.image.shape, seen.from_micrograph(centres), seen.particle_diameter_px)
        radius = seen.particle_diameter_px / 2
        target = without_unlabelled(target, seen.from_micrograph(doubtful), of.edge / seen.scale[0], radius)
        return (
            torch.from_numpy(seen.image)[None],
            torch.from_numpy(np.asarray(target, np.float32))[None],
            frame.image.shape,
            torch.from_numpy(np.asarray(frame.from_micrograph(centres), np.float32)),
            frame.particle_diameter_px,
            counts,
        )


class DistanceMapDataModule(pl.LightningDataModule):
    """Patches around the particles of the training micrographs with their distance maps; whole validation micrographs."""

    def __init__(
        self,
        data: LabelledSet,
        preprocess: PreprocessConfig,
        target: Target,
        patch_size: int = 64,
        background_share: float = 0.0,
        patches_per_epoch: int = 0,
        batch_size: int = 16,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ):
        """The labelled set, how frames and targets are made, and how patches are drawn (see `DistanceMapPatches`)."""
        super().__init__()
        self.data, self.preprocess, self.target = data, preprocess, target
        self.patch_size, self.background_share, self.patches_per_epoch = patch_size, background_share, patches_per_epoch
        self.batch_size, self.augmentation, self.seed, self.num_workers = batch_size, augmentation, seed, num_workers
        self.train_set: DistanceMapPatches | None = None
        self.val_set: WholeFrames | None = None

    def _frames(self, micrographs: Sequence[LabelledMicrograph], name: str) -> list[Frame]:
        frames = []
        for micrograph in track(micrographs, f"Preprocessing {name} micrographs", transient=True):
            image, pixel_size = micrograph.read()
            try:
                diameter = micrograph.particle_diameter or self.data.particle_diameter
                frame = preprocess(image, pixel_size, diameter, self.preprocess)
            except InputError as error:
                raise InputError(f"{micrograph.path}: {error}") from None
            frames.append(frame)
        return frames

    def setup(self, stage: str | None = None) -> None:
        """Read and preprocess the micrographs once; the frames stay in memory."""
        if self.train_set is not None:
            return
        whole = self._frames(self.data.validation, "validation")
        self.val_set = WholeFrames(whole, self.data.validation, self.target)
        seen = [network_frame(frame) for frame in self._frames(self.data.train, "training")]
        of = list(zip(seen, self.data.train, strict=True))
        self.train_set = DistanceMapPatches(
            seen,
            [frame.from_micrograph(micrograph.centres) for frame, micrograph in of],
            doubtful=[frame.from_micrograph(micrograph.doubtful) for frame, micrograph in of],
            rejected=[frame.from_micrograph(micrograph.rejected) for frame, micrograph in of],
            edges=[micrograph.edge / frame.scale[0] for frame, micrograph in of],
            target=self.target,
            size=self.patch_size,
            background_share=self.background_share,
            patches=self.patches_per_epoch,
            augmentation=self.augmentation,
            seed=self.seed,
        )

    def train_dataloader(self) -> DataLoader:
        """Patches in the order of (seed, epoch)."""
        assert self.train_set is not None
        return loader(self.train_set, self.batch_size, self.seed, self.num_workers)

    def val_dataloader(self) -> DataLoader:
        """One whole micrograph a batch."""
        assert self.val_set is not None
        return DataLoader(self.val_set, batch_size=None, sampler=OnceSampler(self.val_set))


class ClassifierDataModule(pl.LightningDataModule):
    """Positive and negative patches that the FCRN found in the training micrographs (paper 3.3.2)."""

    def __init__(
        self,
        data: LabelledSet,
        model: Model,
        selection: SelectionConfig,
        batch_size: int = 64,
        patches_per_epoch: int = 0,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        validation_share: float = 0.1,
        num_workers: int = 0,
    ):
        """A labelled set (labels are looked at only under `selection.labels: truth`) and a model with its FCRN.

        `patches_per_epoch`: 0 for every mined patch once, the rarer class repeated.
        """
        super().__init__()
        self.data, self.model, self.selection = data, model, selection
        self.patches_per_epoch = patches_per_epoch
        self.batch_size, self.augmentation, self.seed = batch_size, augmentation, seed
        self.validation_share, self.num_workers = validation_share, num_workers
        self.train_set: LabelledPatches | None = None
        self.val_set: LabelledPatches | None = None

    def _micrographs(self) -> Iterable[Mined]:
        for micrograph in track(self.data.train, "Detecting in training micrographs", transient=True):
            yield Mined(*micrograph.read(), micrograph.centres, micrograph.doubtful, micrograph.edge)

    def setup(self, stage: str | None = None) -> None:
        """Detect, select and cut out the patches once; validation patches come from other micrographs where possible."""
        if self.train_set is not None:
            return
        picker = Picker(self.model)
        samples = mine_samples(picker, self._micrographs(), self.data.particle_diameter, self.selection, self.seed)
        log.info("classifier samples: %d positive, %d negative", samples.labels.sum(), (samples.labels == 0).sum())
        last = samples.micrograph.max()
        held_out = (
            samples.micrograph > last - max(1, round(self.validation_share * (last + 1)))
            if last > 0
            else np.random.default_rng(self.seed).random(len(samples.labels)) < self.validation_share
        )
        if held_out.all() or not held_out.any():
            raise InputError(
                f"all {len(held_out)} classifier samples fell on one side of the split into training and validation; "
                "use more micrographs"
            )
        self.train_set = LabelledPatches(
            samples.patches[~held_out], samples.labels[~held_out], self.augmentation, self.seed
        )
        self.val_set = LabelledPatches(samples.patches[held_out], samples.labels[held_out])

    def train_dataloader(self) -> DataLoader:
        """Patches in the order of (seed, epoch)."""
        assert self.train_set is not None
        return loader(self.train_set, self.batch_size, self.seed, self.num_workers, self.patches_per_epoch)

    def val_dataloader(self) -> DataLoader:
        """Unaugmented patches; processes that train together see all of them each, so that none counts twice."""
        assert self.val_set is not None
        return DataLoader(self.val_set, batch_size=256, sampler=EpochSampler(len(self.val_set), 0, deal=False))


def loader(
    dataset: DistanceMapPatches | LabelledPatches, batch_size: int, seed: int, num_workers: int = 0, items: int = 0
) -> DataLoader:
    """Batches of seeded patches in the order of (seed, epoch), `items` patches an epoch (0: all).

    `batch_size` is that of all processes which train together: a step sees the same patches however many they are.
    """
    sampler = EpochSampler(len(dataset), seed, items)
    share = max(1, batch_size // sampler.num_replicas)
    return DataLoader(
        dataset, batch_size=share, sampler=sampler, num_workers=num_workers, persistent_workers=num_workers > 0
    )
