"""What the configurations say of the three entries, and what of it lies on disk."""

import logging
from pathlib import Path
from typing import Any

from drpnet.archive import ArchiveEntry
from drpnet.config import DatasetConfig
from drpnet.datasets import open_dataset
from drpnet.errors import InputError
from drpnet.io.labels import read_labels
from drpnet.io.micrographs import read_shape
from drpnet.schema import compose_config, dataset_facts

log = logging.getLogger(__name__)
ENTRIES = ("empiar10005", "empiar10017", "empiar10061")
"""Names in conf/dataset, in the order of Table 2."""
Facts = dict[str, Any]
"""Facts of an entry by name; what is not known is missing."""


def settings(name: str, data: Path | None = None) -> tuple[DatasetConfig, bool]:
    """The typed facts of an entry below the data root (None: DRPNET_DATA or data), and whether its stain is negative."""
    overrides = [f"dataset={name}", *([] if data is None else [f"data_root='{data}'"])]
    config = compose_config("train", overrides)
    return dataset_facts(config.dataset), bool(config.preprocess.negative_stain)


def configured(dataset: DatasetConfig, negative_stain: bool) -> Facts:
    """The facts of Table 2 as conf/dataset/*.yaml has them, under the names of expected.json.

    Shape is (h, w) in px, pixel sizes are in Angstrom, defocus in micrometres. Test micrographs are those that
    training leaves: the whole entry but `dataset.limit`. `labelled_particles` is by folder of coordinates.
    """
    archive = entry_of(dataset)
    facts = {
        "type": "Negative stain" if negative_stain else "Vitreous",
        "voltage_kv": archive.voltage_kv,
        "camera": archive.camera,
        "defocus_range": list(archive.defocus_range),
        "micrographs": archive.micrograph_count,
        "test_micrographs": archive.micrograph_count - dataset.limit,
        "micrograph_shape": list(archive.micrograph_shape),
        "pixel_size": dataset.pixel_size,
        "labelled_particles": dict(archive.particle_counts),
    }
    if dataset.pixel_size is not None:
        facts["pixel_size_binned_twice"] = round(2 * dataset.pixel_size, 6)
    if dataset.limit:
        facts["training_micrographs"] = dataset.limit
    return facts


def entry_of(dataset: DatasetConfig) -> ArchiveEntry:
    """The archive's part of a data set; InputError where there is none."""
    if dataset.archive is None:
        raise InputError(f"dataset {dataset.name} has no archive entry; give one of {', '.join(ENTRIES)}")
    assert isinstance(dataset.archive, ArchiveEntry)
    return dataset.archive


def on_disk(dataset: DatasetConfig) -> Facts | None:
    """What really lies below the entry's root, counted; None where there are no micrographs and no coordinates.

    Labels count in every folder of coordinates that is there. Training particles are those of the micrographs that
    the configured split trains and validates on; they need labels for enough of the entry.
    """
    root = Path(dataset.root)
    paths = sorted(root.glob(dataset.micrographs))
    labels = {folder: _labels(root, folder) for folder in entry_of(dataset).coordinates}
    counts = {folder: count for folder, count in labels.items() if count is not None}
    if not paths and not counts:
        return None
    facts: Facts = {"micrographs": len(paths), "labelled_particles": counts}
    if paths:
        shapes = sorted({read_shape(path) for path in paths})
        facts["micrograph_shape"] = list(shapes[0]) if len(shapes) == 1 else [list(shape) for shape in shapes]
    if dataset.limit and paths and counts.get(dataset.coordinates):
        facts |= _training(dataset)
    return facts


def _labels(root: Path, folder: str) -> int | None:
    """How many particles a folder of coordinates holds; None where there are none."""
    if not (root / folder).is_dir():
        return None
    try:
        return sum(len(found.centres) for found in read_labels(root / folder).values())
    except InputError as error:
        # 10017 keeps its coordinates beside the micrographs: a folder without any is no error here
        log.info("%s", error)
        return None


def _training(dataset: DatasetConfig) -> Facts:
    try:
        split = open_dataset(dataset)
    except InputError as error:
        log.info("%s", error)
        return {}
    chosen = split.train + split.validation
    return {
        "training_micrographs": len(chosen),
        "training_particles": sum(len(micrograph.centres) for micrograph in chosen),
    }
