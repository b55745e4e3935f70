"""Training patches for the classifier, mined from the FCRN's own detections (paper 3.3.2)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from drpnet.cascade import Detection, Picker
from drpnet.config import DetectionConfig, SelectionConfig
from drpnet.errors import InputError
from drpnet.measures.matching import inside_edge, match_one_to_one
from drpnet.peaks import Peaks, find_peaks
from drpnet.selection import (
    NEGATIVE,
    POSITIVE,
    UNUSED,
    background_centres,
    drop_near_positives,
    judge_by_grey_levels,
    select_samples,
)


class Mined(NamedTuple):
    """A micrograph: image (h, w), Angstrom a px; centres (n, 2), places (n, 2) of which nobody knows whether they are some, and
    px along the edges without labels.

    The last three are used only under `labels: truth`.
    """

    image: np.ndarray
    pixel_size: float
    truth: np.ndarray | None = None
    doubtful: np.ndarray = np.zeros((0, 2))
    edge: float = 0.0


@dataclass(frozen=True)
class MinedSamples:
    """Patches (n, s, s) with labels (n,) 1 for particles and 0, and the index (n,) of the micrograph they come from."""

    patches: np.ndarray
    labels: np.ndarray
    micrograph: np.ndarray


def mine_samples(
    picker: Picker,
    micrographs: Iterable[Mined],
    particle_diameter: float,
    config: SelectionConfig,
    seed: int = 0,
) -> MinedSamples:
    """Positive and negative patches from micrographs. Raises InputError when one of the two classes stays empty."""
    peaks: list[Peaks] = []
    known, places, patches, owner = [], [], [], []
    background: list[tuple[int, np.ndarray]] = []
    rng = np.random.default_rng(seed)
    for index, (image, pixel_size, truth, doubtful, edge) in enumerate(micrographs):
        detection = picker.detect(image, pixel_size, particle_diameter)
        found, labels = _candidates(detection, picker.model.detection, config)
        centres = detection.frame.to_micrograph(found.centres)
        radius = particle_diameter / pixel_size / 2
        all_centres = centres
        if config.labels == "truth":
            if truth is None:
                raise InputError("selection.labels=truth needs labelled micrographs; use 'confidence' without labels")
            labels[match_one_to_one(centres, doubtful, radius).pick_index] = UNUSED
            labels[~inside_edge(centres, image.shape, edge)] = UNUSED
            labels[match_one_to_one(centres, truth, radius).pick_index] = POSITIVE
            all_centres = np.concatenate([centres, truth, doubtful])
        peaks.append(found)
        known.append(labels)
        places.append(centres / radius)
        patches.append(picker.patches(image, pixel_size, particle_diameter, centres))
        owner.append(np.full(len(centres), index))
        empty = background_centres(image.shape, all_centres, radius, len(centres), rng)
        if config.labels == "truth":
            empty = empty[inside_edge(empty, image.shape, edge)]
        background.append((index, picker.patches(image, pixel_size, particle_diameter, empty)))

    if not owner:
        raise InputError("there are no micrographs to take the classifier's training samples from; give some")
    owners, pool = np.concatenate(owner), np.concatenate(patches)
    labels = np.concatenate(known)
    if config.labels in ("confidence", "deviation"):
        heights, levels = (np.concatenate([getattr(one, name) for one in peaks]) for name in ("heights", "levels"))
        labels = select_samples(heights, levels, pool.std(axis=(1, 2)), config)
    if config.labels in ("confidence", "levels"):
        labels = judge_by_grey_levels(labels, pool.std(axis=(1, 2)), pool.mean(axis=(1, 2)), config)
    if config.labels != "truth":
        for index, centres in enumerate(places):
            mine = owners == index
            labels[mine] = drop_near_positives(centres, labels[mine], 1 / 3)
    return _with_background(pool, labels, owners, background, config.background_share, rng)


def _candidates(
    detection: Detection, settings: DetectionConfig, config: SelectionConfig
) -> tuple[Peaks, np.ndarray]:
    """The peaks to choose from and, under `levels`, their labels (n,): those of two detections with their own settings."""
    if config.labels != "levels":
        return detection.peaks, np.full(len(detection.peaks.heights), NEGATIVE)
    sides = (
        (config.positive_level, config.positive_sigma_px, config.positive_threshold),
        (config.negative_level, config.negative_sigma_px, config.negative_threshold),
    )
    found = []
    for level, sigma, threshold in sides:
        own = replace(settings, minimum_level=level, levels=level, threshold=threshold or settings.threshold)
        own = replace(own, smoothing_sigma_px=sigma) if sigma else own
        found.append(find_peaks(detection.distance_map, detection.frame.particle_diameter_px, own))
    joined = (np.concatenate([getattr(one, name) for one in found]) for name in ("centres", "heights", "levels"))
    labels = np.repeat([POSITIVE, NEGATIVE], [len(one.heights) for one in found])
    return Peaks(*joined), labels


def _with_background(
    pool: np.ndarray,
    labels: np.ndarray,
    owners: np.ndarray,
    background: list[tuple[int, np.ndarray]],
    share: float,
    rng: np.random.Generator,
) -> MinedSamples:
    """The chosen ones of all patches (n, s, s), and a `share` of the negatives from places far from every candidate."""
    used = labels >= 0
    wanted = round((labels == NEGATIVE).sum() * share / (1 - share))
    empty = np.concatenate([found for _, found in background])
    empty_owner = np.concatenate([np.full(len(found), index) for index, found in background])
    drawn = rng.permutation(len(empty))[:wanted]
    samples = MinedSamples(
        np.concatenate([pool[used], empty[drawn]]),
        np.concatenate([labels[used], np.full(len(drawn), NEGATIVE)]),
        np.concatenate([owners[used], empty_owner[drawn]]),
    )
    counts = {name: int((samples.labels == value).sum()) for name, value in (("positive", 1), ("negative", 0))}
    for name, count in counts.items():
        if count < 2:
            raise InputError(
                f"the detector gave only {count} {name} samples on these micrographs, too few to train a classifier; "
                "use more micrographs, or pick without adapting it"
            )
    return samples
