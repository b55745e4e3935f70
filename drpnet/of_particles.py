"""The labelled micrographs of a particles .star of RELION."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from drpnet.config import DatasetConfig
from drpnet.errors import InputError
from drpnet.io.particle_labels import ParticleLabels, read_particle_labels
from drpnet.io.paths import tree_and_stem
from drpnet.labelled import LabelledMicrograph

log = logging.getLogger(__name__)


def micrographs_of_particles(config: DatasetConfig) -> list[LabelledMicrograph]:
    """The micrographs that a particles .star of RELION names, sorted by name, with the centres of its particles.

    Of those that only `selected_from` names all particles were rejected. Raises InputError for a star that is missing or is
    none, and as `read_particle_labels`.
    """
    kept = {labels.path.resolve(): labels for labels in read_particle_labels(_star(config, "star"), config.pixel_size)}
    before = {}
    if config.selected_from:
        every = read_particle_labels(_star(config, "selected_from"), config.pixel_size)
        before = {labels.path.resolve(): labels for labels in every}
        if unknown := [labels.name for path, labels in kept.items() if path not in before]:
            raise InputError(
                f"dataset {config.name}: {len(unknown)} of {len(kept)} micrographs of {config.star}, first {unknown[0]}, are "
                f"not in {config.selected_from}: it was selected from another star; correct dataset.selected_from"
            )
        kept = {path: kept.get(path, replace(labels, centres=np.zeros((0, 2)))) for path, labels in before.items()}
    found = sorted(kept.values(), key=lambda labels: labels.name)
    trees = [tree_and_stem(labels.name) for labels in found]
    stems = Counter(stem for _, stem in trees)
    particles = sum(len(labels.centres) for labels in found)
    log.info("%s: %d particles on %d micrographs", _star(config, "star"), particles, len(found))
    micrographs = []
    for labels, (tree, stem) in zip(found, trees, strict=True):
        folder = "" if stems[stem] == 1 else tree.as_posix()
        one = LabelledMicrograph(labels.path, labels.centres, labels.pixel_size, folder)
        micrographs.append(_with_rejected(one, before.get(labels.path.resolve()), config.particle_diameter))
    if config.selected_from:
        log.info("%s: %d particles were rejected", config.selected_from, sum(len(one.rejected) for one in micrographs))
    return micrographs


def _star(config: DatasetConfig, key: str) -> Path:
    star = Path(config.root) / getattr(config, key)
    if not star.is_file():
        raise InputError(f"dataset {config.name}: {star} does not exist; name it in dataset.{key}, below dataset.root")
    return star


def _with_rejected(kept: LabelledMicrograph, before: ParticleLabels | None, diameter: float) -> LabelledMicrograph:
    """The micrograph with those earlier particles that lie on none of its own: a duplicate of a good one is no bad one."""
    if before is None:
        return kept
    radius = diameter / (kept.pixel_size or kept.read()[1]) / 2
    near = cKDTree(before.centres).query_ball_tree(cKDTree(kept.centres), radius)
    return replace(kept, rejected=before.centres[[not others for others in near]])
