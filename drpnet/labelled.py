"""Labelled micrographs, and data sets of them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.coordinates import require_inside
from drpnet.io.micrographs import read_micrograph, split_suffix


@dataclass(frozen=True)
class LabelledMicrograph:
    """A micrograph on disk with its particle centres (n, 2) (y, x) in its own pixels."""

    path: Path
    centres: np.ndarray
    pixel_size: float | None = None
    tree: str = ""
    """The folder, where another micrograph of the data set has the same file name."""
    particle_diameter: float | None = None
    """In Angstrom, where it is not the data set's: this micrograph was joined to it from another."""
    doubtful: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Places (n, 2) that may hold particles without a label: see `drpnet.unlabelled`."""
    doubt: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """How probable it is (n,) that they do."""
    rejected: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """Places (n, 2) that were picked once and are known to hold no particle."""
    edge: float = 0.0
    """Px along the edges in which nobody labelled: see `drpnet.unlabelled`."""

    @property
    def stem(self) -> str:
        """The name in splits and scores: the file's without suffix; "<tree>/<stem>" where two have it."""
        stem = split_suffix(self.path.name)[0]
        return f"{self.tree}/{stem}" if self.tree else stem

    def read(self) -> tuple[np.ndarray, float]:
        """Image (h, w) float32 and pixel size; InputError when nobody knows the pixel size."""
        image, pixel_size = read_micrograph(self.path)
        pixel_size = self.pixel_size or pixel_size
        if pixel_size is None:
            raise InputError(
                f"{self.path} has no pixel size in its header (0 and exactly 1 count as none); "
                "set dataset.pixel_size (Angstrom per pixel)"
            )
        height, width = image.shape
        require_inside(self.centres, (height, width), self.path)
        return image, pixel_size


@dataclass(frozen=True)
class LabelledSet:
    """The micrographs of a data set, split by micrograph."""

    name: str
    particle_diameter: float
    train: tuple[LabelledMicrograph, ...]
    validation: tuple[LabelledMicrograph, ...]
    test: tuple[LabelledMicrograph, ...]
    simulated: bool


def joined(data: LabelledSet, other: LabelledSet) -> LabelledSet:
    """A data set that is trained on another one's micrographs, too, all but those under test; validation stays its own."""
    more = (replace(one, particle_diameter=other.particle_diameter) for one in (*other.train, *other.validation))
    return replace(data, name=f"{data.name}+{other.name}", train=(*data.train, *more))
