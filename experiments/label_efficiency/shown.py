"""The table and the curve of the result's rows."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from drpnet.io.atomic import whole_file

NAMES = {
    "shipped": "shipped weights, untrained", "background": "tuned", "incomplete": "tuned, `incomplete=true`",
    "topaz": "Topaz, trained",
}  # fmt: skip
SCORES = {"f_measure": "F at the default threshold", "best_f_measure": "F at the best threshold on these labels"}
LINES = (
    ("background", True, "tab:blue", "tuned, whole micrographs labelled"),
    ("background", False, "tab:orange", "tuned, a part labelled"),
    ("incomplete", False, "tab:green", "tuned, a part labelled, incomplete=true"),
    ("topaz", True, "tab:red", "Topaz, whole micrographs labelled"),
    ("topaz", False, "tab:pink", "Topaz, a part labelled"),
)
"""Way, whether all particles of the micrographs are labelled, colour and name of each line of the picture."""


def grouped(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, int, int, str], list[dict[str, Any]]]:
    """Rows of several seeds together, by entry, micrographs, labels (-1: all) and way."""
    found = defaultdict(list)
    for row in rows:
        labels = -1 if row["labels"] is None else row["labels"]
        found[row["entry"], row["micrographs"], labels, row["way"]].append(row)
    return dict(sorted(found.items()))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Means over the seeds, with the lowest and the highest of F, as Markdown."""
    lines = ["| entry | micrographs | labels | picker | F | lowest, highest | best F | F at 0.2 D | seeds |", "|" + "---|" * 9]
    for (entry, micrographs, labels, way), group in grouped(rows).items():
        values = {key: [row[key] for row in group] for key in ("f_measure", "best_f_measure", "tight_f_measure", "used")}
        given = f"all, {np.mean(values['used']):.0f}" if labels < 0 else str(labels)
        f = values["f_measure"]
        lines.append(
            f"| {entry} | {micrographs} | {given} | {NAMES[way]} | {np.mean(f):.3f} | {min(f):.3f}, {max(f):.3f} | "
            f"{np.mean(values['best_f_measure']):.3f} | {np.mean(values['tight_f_measure']):.3f} | {len(group)} |"
        )
    return "\n".join(lines)


def curve(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """F against the number of labels, a column an entry, a dot a seed: at the default threshold and at the best one."""
    entries = sorted({row["entry"] for row in rows})
    figure = Figure(figsize=(4 * len(entries), 6.6))
    axes = figure.subplots(len(SCORES), len(entries), sharex="col", sharey=True, squeeze=False)
    for column, entry in zip(axes.T, entries, strict=True):
        own = {key[1:]: group for key, group in grouped(rows).items() if key[0] == entry}
        for axis, key in zip(column, SCORES, strict=True):
            _lines(axis, own, key)
        column[0].set_title(entry)
        column[-1].set(xlabel="labels", xscale="log", ylim=(-0.02, 1.02), xticks=[50, 100, 200, 500, 1000])
        column[-1].xaxis.set_major_formatter(ScalarFormatter())
        column[-1].xaxis.set_minor_formatter(NullFormatter())
    for axis, said in zip(axes[:, 0], SCORES.values(), strict=True):
        axis.set_ylabel(said)
    named = {label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.legend(named.values(), named.keys(), loc="lower center", ncols=3, fontsize=9, frameon=False)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _lines(axis: Axes, groups: dict[tuple[int, int, str], list[dict[str, Any]]], key: str) -> None:
    """The score `key` of one entry: a line a way through the means over the seeds."""
    if untrained := groups.get((0, 0, "shipped")):
        shipped = np.mean([row[key] for row in untrained])
        axis.axhline(shipped, color="0.4", linestyle=":", label="shipped weights, untrained")
    for way, whole, colour, name in LINES:
        chosen = [group for at, group in groups.items() if at[2] == way and (at[1] < 0) is whole]
        if chosen:
            means = sorted(tuple(np.mean([row[what] for row in group]) for what in ("used", key)) for group in chosen)
            axis.plot(*zip(*means, strict=True), color=colour, label=name)
            every = [row for group in chosen for row in group]
            axis.plot([row["used"] for row in every], [row[key] for row in every], ".", color=colour, alpha=0.5)
    axis.grid(alpha=0.3)
