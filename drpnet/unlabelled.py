"""Incomplete labels: where a particle may lie that nobody labelled, so that training does not call it background.

Hardly anybody labels particles at the edges, whose box is not whole. That shows in the labels themselves, and nothing is
learnt there.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.progress import track

from drpnet.cascade import Picker
from drpnet.errors import InputError
from drpnet.io.micrographs import read_pixel_size, read_shape
from drpnet.labelled import LabelledMicrograph, LabelledSet
from drpnet.measures.matching import inside_edge, match_one_to_one
from drpnet.model import load_model

log = logging.getLogger(__name__)
WIDEST, CHANCE = 1.5, 0.01
"""Particle diameters of an unlabelled edge at the most; how improbable it must be that labels keep so far from it by chance."""
GLANCE, SURE = 3, 0.5
"""Micrographs that `warn_of_unlabelled` looks at, and the figure of merit from which an unlabelled pick counts for it."""
DOUBT = 0.1
"""Figure of merit from which an unlabelled candidate may be a particle."""


def with_edges(data: LabelledSet, given: float | None) -> LabelledSet:
    """The set with the width of the edge in which nobody labelled: `given` particle diameters, else as the labels show it.

    Raises InputError where the given width leaves nothing of a micrograph.
    """
    every = (*data.train, *data.validation)
    width = unlabelled_edge(every, data.particle_diameter) if given is None else given
    # a particle whose centre lies in the edge reaches half a diameter beyond
    small = [one.path for one in every if min(_in_diameters(one, data.particle_diameter)) <= 2 * (width + 0.5)]
    if width and small and given is not None:
        raise InputError(
            f"{small[0]}: without an edge of {width:g} particle diameters, and half a particle, nothing of it is left; lower "
            "dataset.unlabelled_edge"
        )
    if not width or small:
        return data
    log.info("%s: no labels within %.2g particle diameters of an edge, where nothing is learnt", data.name, width)
    parts = []
    for part in (data.train, data.validation):
        diameters = (data.particle_diameter / _pixel_size(one) for one in part)
        parts.append(tuple(replace(one, edge=width * px) for one, px in zip(part, diameters, strict=True)))
    return replace(data, train=parts[0], validation=parts[1])


def unlabelled_edge(micrographs: Sequence[LabelledMicrograph], diameter: float) -> float:
    """Particle diameters between the edges and the labels next to them (rejected ones are labels, too), `WIDEST` at most.

    0 where labels anywhere in the micrographs would leave as wide an edge with a probability of `CHANCE` or more.
    """
    shapes = [_in_diameters(one, diameter) for one in micrographs]
    width = WIDEST
    looked_at = [np.concatenate([one.centres, one.rejected]) for one in micrographs]
    for one, judged, shape in zip(micrographs, looked_at, shapes, strict=True):
        places = (judged + 0.5) * _pixel_size(one) / diameter
        width = min(width, float(np.minimum(places, shape - places).min(initial=np.inf)))
    inside = [np.prod(np.maximum(shape - 2 * width, 1e-9)) / np.prod(shape) for shape in shapes]
    chance = np.prod([share ** len(judged) for judged, share in zip(looked_at, inside, strict=True)])
    return width if chance < CHANCE else 0.0


def _in_diameters(micrograph: LabelledMicrograph, diameter: float) -> np.ndarray:
    """The micrograph's size (h, w) in particle diameters."""
    size: np.ndarray = np.array(read_shape(micrograph.path)) * _pixel_size(micrograph) / diameter
    return size


def _pixel_size(micrograph: LabelledMicrograph) -> float:
    return micrograph.pixel_size or read_pixel_size(micrograph.path) or micrograph.read()[1]


def warn_of_unlabelled(data: LabelledSet, weights: str) -> None:
    """A warning where the model `weights` sees more particles beside the labels than there are labels.

    What has no label is learnt as background: a network that was good then finds nothing any more.
    """
    picker, labels, more = Picker(load_model(weights)), 0, 0
    for one in data.train[:GLANCE]:
        image, pixel_size = one.read()
        found = picker.pick(image, pixel_size, one.particle_diameter or data.particle_diameter)
        sure = (found.figure_of_merit >= SURE) & inside_edge(found.centres, image.shape, one.edge)
        for known in (one.centres, one.rejected):
            matched = match_one_to_one(found.centres, known, data.particle_diameter / pixel_size / 2)
            sure[matched.pick_index] = False
        labels, more = labels + len(one.centres), more + int(sure.sum())
    if more > labels:
        log.warning(
            "%s sees %d particles beside the %d labels of the first %d training micrographs; what has no label is learnt as "
            "background. If the labels are incomplete, set dataset.incomplete=true",
            weights, more, labels, min(GLANCE, len(data.train)),
        )  # fmt: skip


def with_doubtful(data: LabelledSet, weights: str | None) -> LabelledSet:
    """The set with what the model `weights` finds beside the labels of the training and validation micrographs.

    Raises InputError without weights: a network that knows nothing cannot tell what was left unlabelled.
    """
    if weights is None:
        raise InputError(
            f"dataset.incomplete=true of {data.name} needs a network that finds unlabelled particles; set initial_weights, "
            "such as initial_weights=default"
        )
    picker = Picker(load_model(weights))
    parts = []
    for name, part in (("training", data.train), ("validation", data.validation)):
        shown = track(part, f"Unlabelled particles of {name} micrographs", transient=True)
        parts.append(tuple(_doubt(picker, one, data.particle_diameter) for one in shown))
    return replace(data, train=parts[0], validation=parts[1])


def _doubt(picker: Picker, micrograph: LabelledMicrograph, diameter: float) -> LabelledMicrograph:
    image, pixel_size = micrograph.read()
    found = picker.pick(image, pixel_size, diameter)
    doubtful = found.figure_of_merit >= DOUBT
    for known in (micrograph.centres, micrograph.rejected):
        doubtful[match_one_to_one(found.centres, known, diameter / pixel_size / 2).pick_index] = False
    return replace(micrograph, doubtful=found.centres[doubtful], doubt=found.figure_of_merit[doubtful])
