"""Whose picks are true, false and missed, in numbers and in words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from drpnet.cascade import Picker
from drpnet.config import PRESETS
from drpnet.measures.matching import match_one_to_one, outside_border
from drpnet.measures.rules import RULES
from experiments.figures3to5_picks.scenes import Scene, best_on

RULE = "common"
OURS = "DRPnet"


@dataclass(frozen=True)
class Panel:
    """One picker's picks (n, 2) (y, x) in px; those outside the scored frame are in neither `hit` nor `false`."""

    name: str
    picks: np.ndarray
    hit: np.ndarray
    false: np.ndarray
    missed: np.ndarray
    scores: Mapping[str, Any] | None
    """precision, recall, f_measure, picks, truth; None without labels."""
    threshold: float | None = None
    """The figure of merit of DRPnet's picks; a peer's is not known."""


def panels(scene: Scene, picker: Picker, threshold: float | None) -> list[Panel]:
    """DRPnet's picks at a figure of merit, then those of every peer.

    Without `threshold` it is the preset `balanced`, and on a stand-in the best one on the scene's other micrograph.
    """
    one, diameter = scene.micrograph, scene.particle_diameter
    if threshold is None and scene.other is not None:
        found = picker.pick(scene.other.image, scene.other.pixel_size, diameter)
        threshold = best_on(scene.other, diameter, found.centres, found.figure_of_merit)
    elif threshold is None:
        threshold = PRESETS["balanced"]
    found = picker.pick(one.image, one.pixel_size, diameter)
    own = replace(panel(scene, OURS, found.centres[found.figure_of_merit >= threshold]), threshold=threshold)
    return [own, *(panel(scene, name, picks) for name, picks in scene.peers.items())]


def panel(scene: Scene, name: str, picks: np.ndarray) -> Panel:
    """A picker's picks with what is true, false and missed, one to one within half a particle diameter."""
    one = scene.micrograph
    if one.centres is None:
        nothing = np.empty((0, 2))
        return Panel(name, picks, nothing, nothing, nothing, None)
    shape, radius = one.image.shape, scene.particle_diameter / one.pixel_size / 2
    counted = picks[outside_border(picks, shape, scene.border)] if scene.border else picks
    truth = one.centres[outside_border(one.centres, shape, scene.border)] if scene.border else one.centres
    matching = match_one_to_one(counted, truth, radius)
    hit, seen = np.zeros(len(counted), bool), np.zeros(len(truth), bool)
    hit[matching.pick_index], seen[matching.truth_index] = True, True
    precision, recall, f = RULES[RULE].count(counted, truth, radius).precision_recall_f()
    scores = {"precision": precision, "recall": recall, "f_measure": f, "picks": len(counted), "truth": len(truth)}
    return Panel(name, picks, counted[hit], counted[~hit], truth[~seen], scores)


def caption(shown: Panel) -> str:
    """The line above a panel: name, number of picks, and F where there are labels."""
    if shown.scores is None:
        return f"{shown.name}: {len(shown.picks)} picks, no labels"
    s = shown.scores
    return f"{shown.name}: {s['picks']} picks, P {s['precision']:.3f}, R {s['recall']:.3f}, F {s['f_measure']:.3f}"


def rule_in_words(scene: Scene, threshold: float | None, weights: str) -> str:
    """Under the figure: how F was counted and where DRPnet's threshold comes from; two lines."""
    words = "The entry has no labels, so nothing is scored"
    if scene.micrograph.centres is not None:
        radius = scene.particle_diameter / scene.micrograph.pixel_size / 2
        words = f"True: {RULES[RULE].words.format(radius=f'{radius:.0f} px')} (half a particle diameter)"
        words += f"; what lies within {scene.border:g} px of an edge does not count" if scene.border else ""
    if threshold is None:
        return words
    words += f"\nDRPnet: weights {weights}, figure of merit from {threshold:.2f} up"
    if scene.other is not None:
        words += f"; A's and B's thresholds are the best ones on another simulated micrograph, {scene.other.name}"
    return words
