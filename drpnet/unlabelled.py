"""Incomplete labels: where a particle may lie that nobody labelled, so that training does not call it background."""

from dataclasses import replace

from rich.progress import track

from drpnet.cascade import Picker
from drpnet.datasets import LabelledMicrograph, LabelledSet
from drpnet.errors import InputError
from drpnet.measures.matching import match_one_to_one
from drpnet.model import load_model

DOUBT = 0.1
"""Figure of merit from which an unlabelled candidate may be a particle."""


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
