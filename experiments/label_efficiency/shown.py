"""The table and the curve of the result's rows."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from drpnet.io.atomic import whole_file

NAMES = {
    "shipped": "shipped weights, untrained", "background": "tuned", "incomplete": "tuned, `incomplete=true`",
    "topaz": "Topaz, trained",
}  # fmt: skip
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
    """F at the default threshold against the number of labels, a panel an entry, a dot a seed."""
    entries = sorted({row["entry"] for row in rows})
    figure = Figure(figsize=(4.2 * len(entries), 3.6), layout="tight")
    axes = figure.subplots(1, len(entries), sharey=True, squeeze=False)
    for axis, entry in zip(axes[0], entries, strict=True):
        own = {key[1:]: group for key, group in grouped(rows).items() if key[0] == entry}
        if untrained := own.get((0, 0, "shipped")):
            shipped = np.mean([row["f_measure"] for row in untrained])
            axis.axhline(shipped, color="0.4", linestyle=":", label="shipped weights, untrained")
        for way, whole, colour, name in LINES:
            groups = [group for key, group in own.items() if key[2] == way and (key[1] < 0) is whole]
            if not groups:
                continue
            means = sorted(tuple(np.mean([row[key] for row in group]) for key in ("used", "f_measure")) for group in groups)
            axis.plot(*zip(*means, strict=True), color=colour, label=name)
            every = [row for group in groups for row in group]
            axis.plot([row["used"] for row in every], [row["f_measure"] for row in every], ".", color=colour, alpha=0.5)
        axis.set(xscale="log", xlabel="labels", title=entry, ylim=(-0.02, 1.02), xticks=[50, 100, 200, 500, 1000])
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("F at the default threshold")
    axes[0, 0].legend(fontsize=7, loc="upper right")
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
