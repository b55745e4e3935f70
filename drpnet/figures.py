"""Pictures of a training run: learning curves, and a micrograph with its distance map and picks."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from drpnet.cascade import Picker
from drpnet.config import PRESETS
from drpnet.io.atomic import write_bytes
from drpnet.labelled import LabelledMicrograph, LabelledSet
from drpnet.measures.matching import match_one_to_one
from drpnet.model import Model
from drpnet.overlay import draw_truth, save_picture
from drpnet.report.training import read_curves


def draw_training(folder: Path, model: Model, micrograph: LabelledMicrograph, data: LabelledSet) -> None:
    """Write curves.png, distance_map.png and picks.png into a run folder; simulated data are called so in each title."""
    kind = " (simulated)" if data.simulated else ""
    curves = folder / "curves" / "metrics.csv"
    if curves.is_file():
        _save(_draw_curves(curves, f"{data.name}{kind}"), folder / "curves.png")
    image, pixel_size = micrograph.read()
    picker = Picker(model)
    detection = picker.detect(image, pixel_size, data.particle_diameter)
    title = f"{micrograph.stem}{kind}"
    _save(_draw_map(detection.frame.image, detection.distance_map, title), folder / "distance_map.png")

    candidates = picker.pick(image, pixel_size, data.particle_diameter)
    picks = candidates.centres[candidates.figure_of_merit >= PRESETS["balanced"]]
    diameter_px = data.particle_diameter / pixel_size
    matching = match_one_to_one(picks, micrograph.centres, diameter_px / 2)
    hit, found = np.zeros(len(picks), bool), np.zeros(len(micrograph.centres), bool)
    hit[matching.pick_index], found[matching.truth_index] = True, True
    caption = f"{title}: {hit.sum()} true (green), {(~hit).sum()} false (red), {(~found).sum()} missed (yellow)"
    picture: Image.Image = draw_truth(image, picks, micrograph.centres, hit, found, diameter_px, caption)
    save_picture(picture, folder / "picks.png")


def _draw_curves(path: Path, title: str) -> Figure:
    """Every logged quantity over the epochs."""
    series = read_curves(path)
    losses = [key for key in series if "loss" in key]
    others = [key for key in series if key not in losses]
    figure, axes = plt.subplots(1, 1 + bool(others), figsize=(5 + 5 * bool(others), 3.6), squeeze=False, layout="constrained")
    for axis, keys in zip(axes[0], (losses, others), strict=False):
        for key in keys:
            axis.plot([epoch + 1 for epoch in series[key]], list(series[key].values()), marker="o", ms=3, label=key)
        axis.set_xlabel("epoch")
        axis.legend()
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def _draw_map(frame: np.ndarray, distance_map: np.ndarray, title: str) -> Figure:
    """The network's input beside its output."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 6), layout="constrained")
    low, high = np.percentile(frame, [0.5, 99.5])
    axes[0].imshow(frame, cmap="gray", vmin=low, vmax=high)
    axes[0].set_title(f"{title}: the FCRN's input")
    shown = axes[1].imshow(distance_map, cmap="magma", vmin=0)
    axes[1].set_title("predicted distance map")
    figure.colorbar(shown, ax=axes[1], shrink=0.8)
    for axis in axes:
        axis.set_axis_off()
    return figure


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    plt.close(figure)
    write_bytes(path, buffer.getvalue())
