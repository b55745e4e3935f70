"""Micrographs side by side, each with one picker's picks, readable also without colour."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from drpnet.overlay import CYAN, GREEN, RED, YELLOW, to_picture
from experiments.figure2.page import scale_bar, show
from experiments.figures3to5_picks.panels import Panel, caption, rule_in_words
from experiments.figures3to5_picks.scenes import Scene

LINE = 1.5
"""Points, for particles that are drawn at least `LARGE` points wide; thinner for smaller ones."""
LARGE = 22.0
DIMMED = 420
"""Grey level (of 255) that would be white: a dim micrograph leaves the marks visible without their colours, too."""
BAR = 500
"""Angstrom."""


def draw(scene: Scene, shown: Sequence[Panel], weights: str) -> Figure:
    """A figure with one panel a picker: A is DRPnet, B (B1, B2 ...) are the peers."""
    count, width = len(shown), 15.0
    height, columns = scene.micrograph.image.shape
    tall = (width / count - 0.1) * height / columns + 1.3
    figure = plt.figure(figsize=(width, tall))
    figure.text(
        0.006, 1 - 0.28 / tall, f"Figure {scene.figure} A, B of the paper: {scene.title}", fontsize=14, va="center"
    )
    grid = figure.add_gridspec(1, count, left=0.006, right=0.994, top=1 - 0.8 / tall, bottom=0.55 / tall, wspace=0.02)
    view, scale = to_picture(scene.micrograph.image, scene.particle_diameter / scene.micrograph.pixel_size)
    for index, panel in enumerate(shown):
        axis = figure.add_subplot(grid[index])
        show(axis, view, scene.micrograph.pixel_size * scale, cmap="gray", vmin=0, vmax=DIMMED)
        axis.set_title(f"{letter(index, count)}  {caption(panel)}", loc="left", fontsize=11)
        axis.autoscale(False)
        _mark(axis, scene, panel)
        scale_bar(axis, BAR)
    labelled = scene.micrograph.centres is not None
    figure.legend(
        handles=legend(labelled, bool(scene.border)), loc="lower left", ncols=4, fontsize=10, frameon=False,
        bbox_to_anchor=(0.0, 0.02 / tall), handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip
    figure.text(
        0.994, 0.26 / tall, rule_in_words(scene, shown[0].threshold, weights), fontsize=9.5, va="center", ha="right"
    )
    return figure


def letter(index: int, count: int) -> str:
    """A for DRPnet, B for its peer, B1, B2 ... for several."""
    return "A" if index == 0 else "B" if count == 2 else f"B{index}"


def _mark(axis: Axes, scene: Scene, panel: Panel) -> None:
    """Circles around true picks, crosses in false ones, dashed squares around missed particles, dots in the rest."""
    pixel_size, diameter = scene.micrograph.pixel_size, scene.particle_diameter
    columns = axis.get_window_extent().width / axis.figure.dpi * 72
    drawn_points = diameter / (scene.micrograph.image.shape[1] * pixel_size) * columns
    line = LINE * min(1.0, max(0.6, drawn_points / LARGE))
    hit, false, missed, picks = (
        (np.asarray(group).reshape(-1, 2)[:, ::-1] + 0.5) * pixel_size
        for group in (panel.hit, panel.false, panel.missed, panel.picks)
    )
    if panel.scores is None:
        axis.add_collection(_circles(axis, picks, diameter, CYAN, line))
        return
    uncounted = picks[~_within(panel.picks, np.concatenate([panel.hit, panel.false]))]
    axis.scatter(uncounted[:, 0], uncounted[:, 1], s=9, color=_share(CYAN), marker=".")
    half = diameter / 2
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    squares = missed[:, None] + 0.9 * corners
    axis.add_collection(
        PolyCollection(
            list(squares),
            facecolors="none",
            edgecolors=[_share(YELLOW)],
            linestyles="--",
            linewidths=1.2 * line,
            zorder=4,
        )
    )
    arms = 0.6 * corners
    strokes = [place + arm for place in false for arm in (arms[[0, 2]], arms[[1, 3]])]
    axis.add_collection(LineCollection(strokes, colors=[_share(RED)], linewidths=1.3 * line, zorder=3))
    axis.add_collection(_circles(axis, hit, diameter, GREEN, line))
    if scene.border:
        height, width = (n * pixel_size for n in scene.micrograph.image.shape)
        edge = scene.border * pixel_size
        frame = Rectangle(
            (edge, edge), width - 2 * edge, height - 2 * edge, fill=False, edgecolor="white", ls=":", lw=1
        )
        axis.add_patch(frame)


def _circles(
    axis: Axes, places: np.ndarray, diameter: float, colour: tuple[int, int, int], line: float
) -> EllipseCollection:
    size = np.full(len(places), diameter)
    return EllipseCollection(
        size, size, np.zeros(len(places)), units="xy", offsets=places, offset_transform=axis.transData,
        facecolors="none", edgecolors=[_share(colour)], linewidths=line,
    )  # fmt: skip


def _within(picks: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Boolean (n,): which picks (n, 2) are among the chosen ones (m, 2)."""
    known = {tuple(row) for row in chosen.tolist()}
    return np.array([tuple(row) in known for row in picks.tolist()], bool)


def legend(labelled: bool, border: bool) -> list[Line2D]:
    """What the marks mean."""

    def mark(marker: str, colour: tuple[int, int, int], words: str, **options) -> Line2D:
        face = {"markerfacecolor": "none", "markeredgecolor": [c * 0.8 for c in _share(colour)], "markersize": 10}
        return Line2D([], [], ls="none", marker=marker, label=words, **{**face, "markeredgewidth": 1.8, **options})

    if not labelled:
        return [mark("o", CYAN, "pick")]
    marks = [mark("o", GREEN, "true"), mark("x", RED, "false"), mark("s", YELLOW, "missed (dashed square)")]
    return marks + ([mark(".", CYAN, "in the border: not counted", markersize=7)] if border else [])


def _share(colour: tuple[int, int, int]) -> tuple[float, ...]:
    return tuple(channel / 255 for channel in colour)
