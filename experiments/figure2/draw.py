"""The panels of the paper's Figure 2 on one page."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from mpl_toolkits.mplot3d import Axes3D

from drpnet.preprocess import centre_and_spread
from experiments.figure2.page import scale_bar, show
from experiments.figure2.parts import FIELD, Parts, View, seen

COLUMNS = 8
"""Samples in a row of F and G."""
GAP = 3
"""White px between two samples."""
DARKEST, BRIGHTEST = -5.0, 4.0
"""Robust deviations from the median that become black and white in F and G; ice and carbon do not count."""


def draw(shown: Parts, title: str, particle_diameter: float) -> Figure:
    """The figure: A to C one particle, D and E the micrograph, F and G the classifier's samples."""
    figure = plt.figure(figsize=(13, 11.4))
    figure.suptitle(title, fontsize=13, y=0.988)
    top = height_scale(shown.predicted_map.image)
    _draw_particle(figure, shown, top)
    _draw_micrograph(figure, shown, particle_diameter, top)
    _draw_samples(figure, shown, particle_diameter)
    return figure


def height_scale(distance_map: np.ndarray) -> float:
    """The top of the colour scale of C and E: the map's 99.95th percentile, rounded up to a tenth, at most 1."""
    return float(np.clip(np.ceil(10 * np.quantile(distance_map, 0.9995)) / 10, 0.1, 1))


def _draw_particle(figure: Figure, shown: Parts, top: float) -> None:
    """A the particle, B its target and C the network's answer, both as a picture and as a surface."""
    grid = figure.add_gridspec(
        1, 5, width_ratios=(1, 1, 1.4, 1, 1.4), left=0.01, right=0.975, top=0.93, bottom=0.74, wspace=0.04
    )
    axis = figure.add_subplot(grid[0])
    low, high = np.percentile(shown.particle.image, [0.5, 99.5])
    show(axis, shown.particle.image, shown.particle.pixel_size, cmap="gray", vmin=low, vmax=high)
    axis.set_title("A  particle (low-passed)", loc="left", fontsize=11)
    scale_bar(axis, 50)
    panels = ((1, "B  distance transform, 0 to 1", shown.target, 1.0), (3, "C  predicted map", shown.predicted, top))
    for column, name, view, highest in panels:
        axis = figure.add_subplot(grid[column])
        show(axis, view.image, view.pixel_size, cmap="magma", vmin=0, vmax=highest)
        axis.set_title(name, loc="left", fontsize=11)
        scale_bar(axis, 50)
        surface(figure.add_subplot(grid[column + 1], projection="3d"), view, highest)


def _draw_micrograph(figure: Figure, shown: Parts, particle_diameter: float, top: float) -> None:
    """D the micrograph and E its predicted map; a square marks the particle of A."""
    grid = figure.add_gridspec(
        1, 3, width_ratios=(1, 1, 1.2), left=0.01, right=0.975, top=0.69, bottom=0.335, wspace=0.03
    )
    left = figure.add_subplot(grid[0])
    show(left, shown.micrograph.image, shown.micrograph.pixel_size, cmap="gray", vmin=0, vmax=255)
    left.set_title("D  micrograph (square: the particle of A to C)", loc="left", fontsize=11)
    middle = figure.add_subplot(grid[1])
    show(middle, shown.predicted_map.image, shown.predicted_map.pixel_size, cmap="magma", vmin=0, vmax=top)
    middle.set_title("E  predicted map", loc="left", fontsize=11)
    edge = FIELD * particle_diameter
    y, x = shown.centre - edge / 2
    for axis in (left, middle):
        axis.add_patch(Rectangle((x, y), edge, edge, fill=False, edgecolor="cyan", lw=1.8))
        scale_bar(axis, 500)
    mesh = surface(figure.add_subplot(grid[2], projection="3d"), shown.predicted_map, top, 200)
    bar = figure.colorbar(mesh, cax=figure.add_axes((0.345, 0.322, 0.225, 0.012)), orientation="horizontal")
    bar.ax.tick_params(labelsize=8)
    bar.set_label("height of the predicted map in C and E", fontsize=9)


def _draw_samples(figure: Figure, shown: Parts, particle_diameter: float) -> None:
    """F positive and G negative samples, all with the same grey levels."""
    diameter_px = particle_diameter / shown.patch_pixel_size
    both = seen(shown.samples.patches[np.concatenate([shown.positives, shown.negatives])], diameter_px)
    median, spread = centre_and_spread(both.reshape(len(both), -1))
    levels = (median + DARKEST * spread, median + BRIGHTEST * spread)
    grid = figure.add_gridspec(1, 2, left=0.01, right=0.99, top=0.255, bottom=0.012, wspace=0.03)
    panels = (
        ("F  positive", both[: len(shown.positives)], 1),
        ("G  negative", both[len(shown.positives) :], 0),
    )
    for index, (name, patches, label) in enumerate(panels):
        axis = figure.add_subplot(grid[index])
        show(axis, mosaic(patches, levels), shown.patch_pixel_size, cmap="gray", vmin=0, vmax=1)
        count = int((shown.samples.labels == label).sum())
        axis.set_title(f"{name} samples: {len(patches)} of {count} (low-passed)", loc="left", fontsize=11)
        axis.set_frame_on(False)
        scale_bar(axis, 200)


def mosaic(patches: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """Patches (n, s, s) side by side, grey levels from (low, high) scaled to 0..1, white (1) between them."""
    count, size = len(patches), patches.shape[-1]
    rows = -(-count // COLUMNS)
    step = size + GAP
    page = np.ones((rows * step - GAP, COLUMNS * step - GAP), np.float32)
    low, high = levels
    for index, patch in enumerate(np.clip((patches - low) / (high - low), 0, 1)):
        top, left = index // COLUMNS * step, index % COLUMNS * step
        page[top : top + size, left : left + size] = patch
    return page


def surface(axis: Axes3D, view: View, top: float, points: int = 60) -> Any:
    """A map (h, w) as a surface over Angstrom, coloured from 0 to `top`."""
    rows, columns = ((np.arange(n) + 0.5) * view.pixel_size for n in view.image.shape)
    mesh = axis.plot_surface(
        columns[None], rows[:, None], view.image, rcount=points, ccount=points, linewidth=0, antialiased=False,
        cmap="magma", vmin=0, vmax=top,
    )  # fmt: skip
    axis.set_zlim(0, max(top, float(view.image.max())))
    axis.set_ylim(rows[-1], 0)
    axis.set_box_aspect((1, 1, 0.6), zoom=1.05)
    axis.tick_params(labelsize=7, pad=-2)
    axis.set_xlabel("x (\N{ANGSTROM SIGN})", fontsize=8, labelpad=-6)
    axis.set_ylabel("y (\N{ANGSTROM SIGN})", fontsize=8, labelpad=-6)
    axis.set_zlabel("height", fontsize=8, labelpad=-6)
    axis.locator_params(nbins=4)
    return mesh
