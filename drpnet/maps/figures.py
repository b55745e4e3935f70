"""Pictures of pickers compared by their maps: Figure 6, the variants, false picks, recall by view, isosurfaces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from drpnet.io.atomic import whole_file
from drpnet.maps.compare import MAIN, TRUTH, VARIANTS, Compared
from drpnet.maps.false_picks import SERIES
from drpnet.maps.tables import p_value
from drpnet.maps.view_recall import BANDS, NSIDE
from drpnet.quality.figures import COLOURS, figure6
from drpnet.quality.isosurface import isosurface_figure, volume_at_otsu
from drpnet.reconstruction.views import pixels

MARKS = "os^Dvp"
_FEWEST = 5
"""Particles of a direction below which its recall is not drawn."""


def draw_maps(compared: Compared, folder: Path, dpi: int = 200, prefix: str = "") -> list[Path]:
    """Write the pictures into a folder, their names with a prefix; returns the files."""
    figures = {
        "figure6.png": figure6(as_refinements(compared)),
        "resolution.png": resolution_figure(compared.result),
        "recall_by_view.png": recall_figure(compared),
        "isosurfaces.png": surfaces_figure(compared),
    }
    written = []
    for name, figure in figures.items():
        with whole_file(folder / f"{prefix}{name}") as temporary:
            figure.savefig(temporary, dpi=dpi, format="png")
        plt.close(figure)
        written.append(folder / f"{prefix}{name}")
    return written


def as_refinements(compared: Compared) -> list[dict[str, Any]]:
    """The pickers as `quality.figures` draws refinements: means over the sets, of the map with false picks at random."""
    runs = []
    for row in compared.result["pickers"]:
        curves, found = row["curves"][MAIN], row["variants"][MAIN]["halves"]["mean"]
        line, points = row["rosenthal_henderson"]["fit"], row["by_number"]
        shown = [(point["picks"], point["halves"]["mean"]) for point in points if point["halves"]["mean"] is not None]
        particles, resolutions = zip(*shown, strict=True) if shown else ((), ())
        plot = {"particles": particles, "resolution": resolutions, "fit": line}
        runs.append(
            {
                "name": row["name"],
                "symmetry": compared.result["settings"]["symmetry"],
                "views": compared.views[row["name"]],
                "efficiency": row["views"]["efficiency"],
                "fsc": {
                    "frequency": curves["frequency"],
                    "corrected": curves["halves"],
                    "masked": None,
                    "resolution": {"corrected": {"0.143": {"shell": found}}},
                },
                "rosenthal_henderson": None if line is None or not shown else plot,
                "without_symmetry": None,
            }
        )
    return runs


def resolution_figure(result: dict[str, Any]) -> Figure:
    """A: resolution of every variant; B: resolution against the share of false picks. Bars are 95 % over the sets."""
    dose = result["false_picks"]
    figure, axes = plt.subplots(1, 1 if dose is None else 2, figsize=(5.4 if dose is None else 9.6, 3.9), layout="constrained")
    first = np.atleast_1d(axes)[0]
    _variants(first, result)
    if dose is not None:
        _dose(axes[1], dose)
        for axis, letter in zip(axes, "AB", strict=True):
            axis.set_title(letter, loc="left", fontweight="bold", fontsize=12)
    return figure


def recall_figure(compared: Compared) -> Figure:
    """Recall by viewing direction of every picker, seen along z, and against the distance from the side views."""
    rows = [row for row in compared.result["pickers"] if row["name"] != TRUTH]
    count = len(rows)
    width = 2.3 * count + 4.4
    figure = plt.figure(figsize=(width, 3.3))
    grid = figure.add_gridspec(
        1, count + 1, width_ratios=[2.3] * count + [4.2], left=0.01, right=0.985, top=0.86, bottom=0.17, wspace=0.08
    )
    axes = [figure.add_subplot(grid[0, column]) for column in range(count + 1)]
    axes[count].set_position((1 - 3.45 / width, 0.17, 3.3 / width, 0.75))
    recalls = [_recall_on_disc(*compared.recall_maps[row["name"]]) for row in rows]
    low = np.floor(10 * min(np.nanmin(values) for values in recalls)) / 10
    for axis, row, values in zip(axes, rows, recalls, strict=False):
        image = axis.imshow(values, cmap="viridis", vmin=low, vmax=1, extent=(-1, 1, -1, 1), origin="lower")
        axis.add_patch(Circle((0, 0), 1, fill=False, edgecolor="0.5", lw=0.7))
        axis.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), xticks=[], yticks=[])
        axis.set_frame_on(False)
        recall = row["recall_by_view"]
        axis.set_title(f"{row['name']}\nrecall {row['recall']:.2f}, {p_value(recall['p_uniform'], 'p = ')}", fontsize=8)
    words = "recall; middle: view along z, rim: side views"
    bar = figure.add_axes((0.15 * count * 2.3 / width, 0.13, 0.7 * count * 2.3 / width, 0.035))
    figure.colorbar(image, cax=bar, orientation="horizontal", label=words)
    _bands(axes[count], rows)
    return figure


def surfaces_figure(compared: Compared) -> Figure:
    """The structure and the map of every picker, filtered by what its half maps share, around the structure's volume."""
    reference = compared.reference
    enclosed = volume_at_otsu(reference.volume, reference.voxel_size)
    maps = {"structure": (reference.volume, reference.voxel_size)}
    captions = {"structure": "as simulated"}
    for row in compared.result["pickers"]:
        name = "all particles" if row["name"] == TRUTH else row["name"]
        maps[name] = (compared.maps[row["name"]], reference.voxel_size)
        found = row["variants"][MAIN]["halves"]["values"][0]
        captions[name] = "-" if found is None else f"{found:.1f} Å"
    return isosurface_figure(maps, enclosed, captions)


def _variants(axis: Axes, result: dict[str, Any]) -> None:
    rows = result["pickers"]
    for place, row in enumerate(rows):
        colour, mark = COLOURS[place % len(COLOURS)], MARKS[place % len(MARKS)]
        for column, name in enumerate(VARIANTS):
            if name not in row["variants"] or (row["name"] == TRUTH and name != MAIN):
                continue
            found = row["variants"][name]["truth"]
            if found["mean"] is None:
                continue
            x = column + 0.13 * (place - (len(rows) - 1) / 2)
            if row["name"] == TRUTH:
                axis.axhline(found["mean"], color=colour, lw=1, label="all particles", zorder=0)
                if found["interval"] is not None:
                    axis.axhspan(*found["interval"], color=colour, alpha=0.15, lw=0, zorder=0)
                continue
            label = row["name"] if column == 0 else None
            axis.errorbar(x, found["mean"], _bars(found), fmt=mark, color=colour, ms=5, capsize=2, lw=1, label=label)
    words = ("true,\nrecentred", "true,\nas picked", "with false,\nat random", "with false,\naligned")
    axis.set_xticks(range(len(VARIANTS)), words, fontsize=8)
    axis.set(ylabel="resolution (Å): FSC with the structure 0.5", xlim=(-0.5, len(VARIANTS) - 0.5))
    _better_upwards(axis, [found["truth"]["mean"] for row in rows for found in row["variants"].values()])
    axis.legend(fontsize=7, frameon=False)
    axis.grid(axis="y", color="0.92", zorder=-1)


def _dose(axis: Axes, dose: dict[str, Any]) -> None:
    styles = dict(zip(SERIES, (("0.45", "o", "--"), (COLOURS[1], "s", "-"), (COLOURS[0], "^", "-")), strict=True))
    words = dict(zip(SERIES, ("false ones left out", "false at random", "false aligned"), strict=True))
    for step, name in enumerate(SERIES):
        colour, mark, line = styles[name]
        known = [(share, found["truth"]) for share, found in zip(dose["shares"], dose["series"][name], strict=True)]
        known = [(share, found) for share, found in known if found["mean"] is not None]
        x = [100 * share + 0.5 * (step - 1) for share, _ in known]
        y, bars = [found["mean"] for _, found in known], np.hstack([_bars(found) for _, found in known])
        axis.errorbar(x, y, bars, color=colour, marker=mark, ls=line, ms=5, capsize=2, lw=1.2, label=words[name])
    axis.set(xlabel=f"false among {dose['picks_each_set']:,} picks (%)", ylabel="resolution (Å): FSC with the structure 0.5")
    _better_upwards(axis, [found["truth"]["mean"] for name in SERIES for found in dose["series"][name]])
    axis.grid(axis="y", color="0.92", zorder=-1)
    only = dose["only_false"]["halves"]
    title = None if only["mean"] is None else f"halves of aligned false picks alone agree to {only['mean']:.1f} Å"
    axis.legend(fontsize=7, frameon=False, title=title, title_fontsize=7)


def _bands(axis: Axes, rows: list[dict[str, Any]]) -> None:
    middle = (np.arange(BANDS) + 0.5) / BANDS
    for place, row in enumerate(rows, 1):
        found = row["recall_by_view"]
        known = [i for i in range(BANDS) if found["recall"][i] is not None]
        values = [{"mean": found["recall"][i], "interval": found["intervals"][i]} for i in known]
        style: dict[str, Any] = {"color": COLOURS[place % len(COLOURS)], "marker": MARKS[place % len(MARKS)]}
        x = middle[known] + 0.012 * (place - (len(rows) + 1) / 2)
        bars = np.hstack([_bars(value) for value in values])
        axis.errorbar(x, [value["mean"] for value in values], bars, label=row["name"], ms=5, capsize=2, lw=1.2, **style)
    axis.set(xlabel="|cos tilt| (0: side views, 1: along z)", ylabel="recall", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(fontsize=7, frameon=False, loc="lower right")
    axis.grid(axis="y", color="0.92", zorder=-1)


def _better_upwards(axis: Axes, means: Sequence[float | None]) -> None:
    """Fine resolution on top; the axis follows the means, since a wide interval would flatten them."""
    known = [mean for mean in means if mean is not None]
    if known:
        reach = max(max(known) - min(known), 2.0)
        axis.set_ylim(max(known) + 0.3 * reach, max(min(known) - 0.4 * reach, 0.0))


def _bars(found: dict[str, Any]) -> np.ndarray:
    """The interval (2, 1) as distances from the mean; 0 without one."""
    if found["interval"] is None:
        return np.zeros((2, 1))
    low, high = found["interval"]
    return np.clip([[found["mean"] - low], [high - found["mean"]]], 0, None)


def _recall_on_disc(total: np.ndarray, hits: np.ndarray, edge: int = 300) -> np.ndarray:
    """Recall (edge, edge) of the views of the upper half on Lambert's equal-area disc; nan outside and where few are known."""
    axis = np.linspace(-1, 1, edge)
    x, y = np.meshgrid(axis, axis)
    square = x**2 + y**2
    inside = square < 1
    # the equal-area map of a hemisphere: z = 1 - r^2
    flat = np.sqrt(np.clip(2 - square, 0, None))
    views = np.stack([x * flat, y * flat, 1 - square], axis=-1)[inside]
    place = pixels(views / np.linalg.norm(views, axis=1, keepdims=True), NSIDE)
    picture = np.full((edge, edge), np.nan)
    picture[inside] = np.where(total[place] >= _FEWEST, hits[place] / np.maximum(total[place], 1), np.nan)
    return picture
