"""What every step of the released pipeline is worth: the contained picks with one step changed; picks of dark blobs."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drpnet.cascade import Picker
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import read_micrograph
from drpnet.model import Model, load_model
from drpnet.peaks import find_peaks
from experiments.released_pipeline.compare import BOX, TOLERANCE, Sources, contained

CLOSE = 3
"""A second, narrower tolerance in binned px, which tells orientations apart."""
Turn = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Step:
    """A change of the released pipeline: other settings, or kernels (out, in, rows, columns) turned."""

    name: str
    preprocess: dict[str, Any] = field(default_factory=dict)
    detection: dict[str, Any] = field(default_factory=dict)
    turn: Turn | None = None


STEPS = (
    Step("as released"),
    Step("stretched once", preprocess={"stretch_passes": 1}),
    Step("image not in 8 bit", preprocess={"eight_bit": False}),
    Step("Gaussians of the image up to 4 sigma", preprocess={"smoothing_reach_sigmas": 4.0}),
    Step("sigma 4 before the network", preprocess={"smoothing_after_px": 4.0}),
    Step("map not in 8 bit", detection={"eight_bit": False}),
    Step("no first Gaussian on the map", detection={"first_smoothing_px": 0.0}),
    Step("centred kernel on the map", detection={"even_kernel": False}),
    Step("square kernels transposed", turn=lambda k: k.mT if k.shape[2] == k.shape[3] else k),
    Step("rows of the kernels reversed", turn=lambda k: k.flip(2)),
    Step("columns of the kernels reversed", turn=lambda k: k.flip(3)),
    Step("both reversed", turn=lambda k: k.flip(2, 3)),
)


def changed(model: Model, step: Step) -> Model:
    """The model with one step changed."""
    fcrn = copy.deepcopy(model.fcrn)
    assert fcrn is not None
    if step.turn is not None:
        for parameter in fcrn.parameters():
            if parameter.ndim == 4:
                parameter.data = step.turn(parameter.data).contiguous()
    preprocess, detection = replace(model.preprocess, **step.preprocess), replace(model.detection, **step.detection)
    return replace(model, fcrn=fcrn, preprocess=preprocess, detection=detection)


def steps(sources: Sources, weights: Path) -> Iterator[dict[str, Any]]:
    """For every step the contained picks of each micrograph within both tolerances."""
    model = load_model(weights)
    authors = {stem: picks.centres for stem, picks in read_coordinate_set(sources.authors).items()}
    images = {stem: read_micrograph(sources.micrograph(stem)) for stem in authors}
    for step in STEPS:
        picker = Picker(changed(model, step))
        found = {stem: picker.pick(image, size or 1.77, BOX).centres for stem, (image, size) in images.items()}
        counts = {
            f"within_{radius}": [contained(found[stem], theirs, radius) for stem, theirs in authors.items()]
            for radius in (TOLERANCE, CLOSE)
        }
        yield {"step": step.name, "picks": [len(found[stem]) for stem in authors], **counts}


def dark_blobs(weights: Path) -> Iterator[dict[str, Any]]:
    """Where the pick of a Gaussian blob (sigma 7 px, ground .58) lies from its middle, (y, x) in binned px, by its darkness."""
    picker = Picker(load_model(weights))
    rows, columns = np.mgrid[:160, :160] - 80
    for depth in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45):
        image = 0.58 - depth * np.exp(-(rows**2 + columns**2) / (2 * 7**2))
        # the zeros around an image are dark, too
        answer = picker.distance_map(image.astype(np.float32))[15:-15, 15:-15]
        peak = find_peaks(answer, 46, picker.model.detection).centres[0] - 65
        yield {"grey_level": round(0.58 - depth, 2), "pick": peak.round(1).tolist()}
