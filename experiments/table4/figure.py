"""The figure of Table 4: precision against recall by rule, and labels found per true pick, beside the published points."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from drpnet.io.atomic import whole_file
from experiments.table4.measure import primary

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "one to one, 0.5 D": ("o", {}),
    "one to one, 0.2 D": ("v", {"radius_diameters": 0.2}),
    "many to one, 0.5 D": ("s", {"rule": "many_to_one"}),
    "one to one, 0.5 D, mean": ("x", {"average": "mean"}),
}
"""Marker and what is changed in the primary score."""
PUBLISHED = {"DRPnet": "black", "RELION": "dimgrey"}
"""Colours of the published rows."""
PALETTE = [colour for colour in plt.get_cmap("tab10").colors if len(set(colour)) > 1]  # type: ignore[attr-defined]
"""Colours of the measured rows: no grey, which the published ones have."""


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the figure of a result with measured rows, whole or not at all."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.6), layout="constrained", width_ratios=(1.15, 1))
    colours = {row["picker"]: PALETTE[number % len(PALETTE)] for number, row in enumerate(result["rows"])}
    _iso_f(left)
    for row in result["rows"]:
        for marker, change in WAYS.values():
            score = primary(row, **change)
            left.plot(score["recall"], score["precision"], marker, color=colours[row["picker"]], ms=7, mfc="none", mew=1.6)
    for name, row in result["arithmetic"]["rows"].items():
        left.plot(row["recall"], row["precision"], "*", color=PUBLISHED[name], ms=17)
        left.annotate(f"published, {name}", (row["recall"], row["precision"]), (-9, -4), textcoords="offset points", ha="right")
    for label, (marker, _) in WAYS.items():
        left.plot([], [], marker, color="black", mfc="none", mew=1.6, label=label)
    left.legend(loc="lower right", title="rule (pooled but for the last)", framealpha=1)
    left.set(xlim=(0.15, 1.005), ylim=(0.3, 1.0), xlabel="recall", ylabel="precision")
    _ratios(right, result, colours)
    figure.suptitle(f"Table 4 on {result['data']['words']}", fontsize=11)
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=90)
    plt.close(figure)


def _iso_f(axis: Axes) -> None:
    """Curves of equal F."""
    recall = np.linspace(0.01, 1, 400)
    for f in (0.5, 0.6, 0.7, 0.8, 0.9):
        known = recall[recall > f / (2 - f)]
        axis.plot(known, f * known / (2 * known - f), color="lightgrey", lw=1, zorder=0)
        axis.annotate(f"F {f:g}", (1, f / (2 - f)), (3, 0), textcoords="offset points", color="grey", fontsize=8, va="center",
                      annotation_clip=False)  # fmt: skip


def _ratios(axis: Axes, result: dict[str, Any], colours: dict[str, Any]) -> None:
    """Labels found per true pick: a line a picker, a marker a rule, the published rows as vertical lines."""
    rows = result["rows"]
    for place, row in enumerate(rows):
        for marker, change in WAYS.values():
            ratio = primary(row, **change)["found_per_true_pick"]
            if ratio is not None:
                axis.plot(ratio, place, marker, color=colours[row["picker"]], ms=8, mfc="none", mew=1.6)
    for name, row in result["arithmetic"]["rows"].items():
        axis.axvline(row["found_per_true_pick"], color=PUBLISHED[name], ls="--", lw=1)
        point = (row["found_per_true_pick"], -0.45 if name == "RELION" else -0.75)
        axis.annotate(f" published, {name}", point, color=PUBLISHED[name], fontsize=9, va="center")
    counts = [len(row["micrographs"]) for row in rows]
    plural = ["" if count == 1 else "s" for count in counts]
    names = [f"{row['picker']}\n({n} micrograph{s})" for row, n, s in zip(rows, counts, plural, strict=True)]
    axis.set_yticks(range(len(rows)), names, fontsize=9)
    for label, row in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_color(colours[row["picker"]])
    axis.set(ylim=(len(rows) - 0.5, -1), xlabel="labels found per true pick")
    axis.grid(axis="x", alpha=0.3)
