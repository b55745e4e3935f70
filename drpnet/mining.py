"""Training patches for the classifier, mined from the FCRN's own detections (paper 3.3.2)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from drpnet.cascade import Picker
from drpnet.config import SelectionConfig
from drpnet.errors import InputError
from drpnet.matching import match_one_to_one
from drpnet.selection import NEGATIVE, POSITIVE, background_centres, drop_near_positives, select_samples


@dataclass(frozen=True)
class MinedSamples:
    """Patches (n, s, s) with labels (n,) 1 for particles and 0, and the index (n,) of the micrograph they come from."""

    patches: np.ndarray
    labels: np.ndarray
    micrograph: np.ndarray


def mine_samples(
    picker: Picker,
    micrographs: Iterable[tuple[np.ndarray, float, np.ndarray | None]],
    particle_diameter: float,
    config: SelectionConfig,
    seed: int = 0,
) -> MinedSamples:
    """Positive and negative patches from micrographs given as (image (h, w), pixel size, centres (n, 2) or None).

    The centres are used only under `labels: truth`. Raises InputError when one of the two classes stays empty.
    """
    heights, levels, deviations, places, patches, owner, truths = [], [], [], [], [], [], []
    background: list[tuple[int, np.ndarray]] = []
    rng = np.random.default_rng(seed)
    for index, (image, pixel_size, truth) in enumerate(micrographs):
        detection = picker.detect(image, pixel_size, particle_diameter)
        centres = detection.frame.to_micrograph(detection.peaks.centres)
        found = picker.patches(image, pixel_size, particle_diameter, centres)
        radius = particle_diameter / pixel_size / 2
        heights.append(detection.peaks.heights)
        levels.append(detection.peaks.levels)
        deviations.append(found.std(axis=(1, 2)))
        places.append(centres / radius)
        patches.append(found)
        owner.append(np.full(len(found), index))
        is_true = np.zeros(len(centres), bool)
        if config.labels == "truth":
            if truth is None:
                raise InputError("selection.labels=truth needs labelled micrographs; use 'confidence' without labels")
            is_true[match_one_to_one(centres, truth, radius).pick_index] = True
        truths.append(is_true)
        known = centres if truth is None or config.labels != "truth" else np.concatenate([centres, truth])
        empty = background_centres(image.shape, known, radius, len(centres), rng)
        background.append((index, picker.patches(image, pixel_size, particle_diameter, empty)))

    if not owner:
        raise InputError("there are no micrographs to take the classifier's training samples from; give some")
    owners = np.concatenate(owner)
    if config.labels == "truth":
        labels = np.where(np.concatenate(truths), POSITIVE, NEGATIVE)
    else:
        labels = select_samples(np.concatenate(heights), np.concatenate(levels), np.concatenate(deviations), config)
        for index, centres in enumerate(places):
            mine = owners == index
            labels[mine] = drop_near_positives(centres, labels[mine], 1 / 3)
    used = labels >= 0
    chosen = [np.concatenate(patches)[used]]
    chosen_labels, chosen_owner = [labels[used]], [owners[used]]
    share = config.background_share
    wanted = round((labels == NEGATIVE).sum() * share / (1 - share))
    pool = np.concatenate([found for _, found in background])
    pool_owner = np.concatenate([np.full(len(found), index) for index, found in background])
    drawn = rng.permutation(len(pool))[:wanted]
    samples = MinedSamples(
        np.concatenate([*chosen, pool[drawn]]),
        np.concatenate([*chosen_labels, np.full(len(drawn), NEGATIVE)]),
        np.concatenate([*chosen_owner, pool_owner[drawn]]),
    )
    counts = {name: int((samples.labels == value).sum()) for name, value in (("positive", 1), ("negative", 0))}
    for name, count in counts.items():
        if count < 2:
            raise InputError(
                f"the detector gave only {count} {name} samples on these micrographs, too few to train a classifier; "
                "use more micrographs, or pick without adapting it"
            )
    return samples
