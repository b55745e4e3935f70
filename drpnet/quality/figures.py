"""Pictures of refinements side by side: the paper's Figure 6; views and probabilities as its Figures 3 to 5, G to I."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MultipleLocator

from drpnet.io.atomic import whole_file
from drpnet.quality.histogram_picture import draw_histogram
from drpnet.reconstruction.views import attainable, pixel_centres, rot_and_tilt

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = ("-", "--", "-.", ":")
Results = Sequence[dict[str, Any]]


def draw_quality(results: Results, folder: Path) -> list[Path]:
    """Write figure6.png and views.png into a folder; returns the files."""
    written = []
    for name, figure in (("figure6.png", figure6(results)), ("views.png", views_figure(results))):
        with whole_file(folder / name) as temporary:
            figure.savefig(temporary, dpi=200)
        plt.close(figure)
        written.append(folder / name)
    return written


def figure6(results: Results) -> Figure:
    """Resolution against particles, angular distributions, FSC: one row, as a row of the paper's Figure 6."""
    plotted = any(result["rosenthal_henderson"] for result in results)
    columns = -(-len(results) // 3)
    rows = -(-len(results) // columns)
    height = max(3.4, 1.75 * rows)
    widths = ([3.5 if len(results) < 4 else 4.3] if plotted else []) + [columns * height / rows * 0.95, 3.9]
    figure = plt.figure(figsize=(sum(widths), height), layout="constrained")
    parts = list(figure.subfigures(1, len(widths), width_ratios=widths, squeeze=False)[0])
    letters = iter("ABC")
    if plotted:
        axis = parts[0].subplots()
        _rosenthal_henderson(axis, results)
        _letter(parts[0], next(letters))
    spheres = parts[-2].subplots(rows, columns, squeeze=False).ravel()
    for axis in spheres:
        axis.set_axis_off()
    for axis, result in zip(spheres, results, strict=False):
        draw_histogram(axis, result["views"], result["symmetry"])
        axis.set_title(f"{result['name']}, $E_{{od}}$ {result['efficiency']['e_od']:.2f}", fontsize=8, pad=2)
    _letter(parts[-2], next(letters))
    _fsc(parts[-1].subplots(), results)
    _letter(parts[-1], next(letters))
    if any(result["fsc"]["masked"] is not None for result in results):
        parts[-1].supxlabel(
            "strong: corrected; thin: unmasked; dotted: masked random phases", fontsize=6.5, color="0.35"
        )
    return figure


def views_figure(results: Results) -> Figure:
    """Rot against tilt of every run with its missing views, and the histograms of the maximum probability."""
    known = any(result["maximum_probability"] for result in results)
    count = len(results) + known
    columns = min(count, 3)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.1 * columns, 3.1 * rows), layout="constrained", squeeze=False)
    flat = axes.ravel()
    for axis, result in zip(flat, results, strict=False):
        _rot_tilt(axis, result)
    if known:
        _probabilities(flat[len(results)], results)
    for axis in flat[count:]:
        axis.set_axis_off()
    return figure


def _letter(part: SubFigure, letter: str) -> None:
    part.text(0.01, 0.99, letter, fontsize=12, fontweight="bold", va="top", ha="left")


def _rosenthal_henderson(axis: Axes, results: Results) -> None:
    for number, result in enumerate(results):
        plot = result["rosenthal_henderson"]
        if plot is None:
            continue
        colour, fit = COLOURS[number % len(COLOURS)], plot["fit"]
        particles, d = np.array(plot["particles"]), np.array(plot["resolution"])
        axis.plot(particles, 1 / d**2, "os^Dv"[number % 5], color=colour, ms=5, mec="white", mew=0.6)
        line = np.array([particles.min() / 1.2, particles.max() * 1.2])
        label = f"{result['name']}, B = {fit['b_factor']:.0f} Å$^2$"
        axis.plot(line, fit["slope"] * np.log(line) + fit["intercept"], color=colour, lw=1.2, label=label)
    axis.set_xscale("log")
    plots = [result["rosenthal_henderson"] for result in results if result["rosenthal_henderson"] is not None]
    shown = max((plot["particles"] for plot in plots), key=len)
    if len(shown) < 6 and max(shown) < 20 * min(shown):  # the logarithmic axis would write a crowd of its own
        axis.set_xticks(shown, [f"{count:,.0f}" for count in shown])
        axis.minorticks_off()
    axis.set(xlabel="particles", ylabel="1 / resolution$^2$ (Å$^{-2}$)")
    low, high = axis.get_ylim()
    high += 0.08 * max(len(plots) - 3, 0) * (high - low)  # room for the names of many runs
    axis.set_ylim(low, high)
    right = axis.twinx()
    right.set_ylim(low, high)
    ticks = np.linspace(max(low, 1e-6), high, 7)[1:-1]
    right.set_yticks(ticks, [f"{1 / np.sqrt(tick):.1f}" for tick in ticks])
    right.set_ylabel("resolution (Å)")
    axis.legend(fontsize=7, loc="upper left", frameon=False)


def _fsc(axis: Axes, results: Results) -> None:
    for number, result in enumerate(results):
        fsc, colour = result["fsc"], COLOURS[number % len(COLOURS)]
        frequency = fsc["frequency"]
        found = fsc["resolution"]["corrected"]["0.143"]["shell"]
        label = result["name"] + ("" if found is None else f", {found:.2f} Å")
        axis.plot(frequency, fsc["corrected"], STYLES[number % 4], color=colour, lw=1.5, label=label)
        if fsc["masked"] is not None:
            axis.plot(frequency, fsc["unmasked"], STYLES[number % 4], color=colour, lw=0.8, alpha=0.45)
            axis.plot(frequency, fsc["randomised"], ":", color=colour, lw=0.8, alpha=0.6)
        bare = result["without_symmetry"]
        if bare is not None:
            found = bare["fsc"]["resolution"]["corrected"]["0.143"]["shell"]
            words = f"{result['name']}, C1" + ("" if found is None else f", {found:.2f} Å")
            light = 0.5 + 0.5 * np.array(to_rgb(colour))
            curve = bare["fsc"]["frequency"], bare["fsc"]["corrected"]
            axis.plot(*curve, STYLES[number % 4], color=light, lw=1.5, label=words)
    last = max(result["fsc"]["frequency"][-1] for result in results)
    for level in (0.143, 0.5):
        axis.axhline(level, color="0.6", lw=0.7, zorder=0)
        axis.text(last, level, f"{level:g} ", fontsize=7, color="0.4", va="bottom", ha="right")
    axis.axhline(0, color="0.2", lw=0.7, zorder=0)
    axis.set(xlim=(0, last), ylim=(-0.1, 1.03), xlabel="spatial frequency (1/Å)", ylabel="Fourier shell correlation")
    top = axis.secondary_xaxis("top")
    places = np.linspace(0, last, 6)[1:]
    top.set_xticks(places, [f"{1 / place:.1f}" for place in places], fontsize=8)
    top.set_xlabel("resolution (Å)")
    axis.legend(fontsize=7, loc="best", frameon=True, framealpha=0.85, edgecolor="none")


def _rot_tilt(axis: Axes, result: dict[str, Any]) -> None:
    rot, tilt = result["scatter"]
    possible = attainable(result["symmetry"]) > 0
    missing = possible & (result["views"] == 0)
    x, y = (angles[missing] for angles in rot_and_tilt(pixel_centres()))
    alpha = float(np.clip(4000 / max(len(rot), 1), 0.15, 0.8))
    axis.plot(rot, tilt, ".", ms=2, mew=0, color=COLOURS[0], alpha=alpha)
    size = float(np.clip(4.5 - missing.sum() / 1000, 1.8, 4))
    axis.plot(x, y, "x", ms=size, mew=size / 6, color="0.45")
    (left, right), (top, bottom) = _reach(rot, 180.0), (0.0, 180.0 if tilt.max() > 95 else 95.0)
    axis.set(xlim=(left, right), ylim=(bottom, top), xlabel="rot (degrees)", ylabel="tilt (degrees)")
    axis.set_yticks(range(0, int(bottom) + 1, 30))
    axis.xaxis.set_major_locator(MultipleLocator(60 if right - left > 200 else 30 if right - left > 120 else 15))
    axis.set_title(
        f"{result['name']} ({result['symmetry']}): {result['particles']:,} particles\n"
        f"gray x: {missing.sum():,} of {possible.sum():,} views of the asymmetric unit are missing",
        fontsize=8,
    )


def _reach(angles: np.ndarray, limit: float) -> tuple[float, float]:
    """Where the angles lie, with a margin; the whole circle when they fill most of it."""
    low, high = float(angles.min()), float(angles.max())
    margin = 0.04 * (high - low) + 1
    return max(low - margin, -limit), min(high + margin, limit)


def _probabilities(axis: Axes, results: Results) -> None:
    for number, result in enumerate(results):
        found = result["maximum_probability"]
        if found is None:
            continue
        colour = COLOURS[number % len(COLOURS)]
        edges = np.linspace(0, 1, found["bins"] + 1)
        label = f"{result['name']}: {found['mean']:.3f} ± {found['deviation']:.3f}"
        style = STYLES[number % 4]
        axis.stairs(found["histogram"], edges, color=colour, lw=1.4, ls=style, label=label)
    axis.set(xlim=(0, 1), xlabel="maximum of the probability distribution", ylabel="particles")
    axis.legend(fontsize=8, frameon=False, title="mean ± standard deviation", title_fontsize=7)
