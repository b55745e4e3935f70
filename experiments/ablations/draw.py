"""The ablation table as a picture: paired differences with both intervals."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt


def draw_differences(result: dict[str, Any], path: Path) -> None:
    """Write a PNG: for every row its difference in F to its baseline, thick over seeds, thin over micrographs."""
    rows = [row for row in result["rows"] if row["difference"] is not None]
    if not rows:
        return
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.27 * len(rows)), layout="constrained")
    for place, row in enumerate(rows):
        found = row["difference"]
        over = found["over_micrographs"]
        axis.plot([over["low"], over["high"]], [place, place], color="0.6", lw=1)
        axis.plot([found["low"], found["high"]], [place, place], color="C0", lw=4, solid_capstyle="butt", alpha=0.6)
        axis.plot(found["mean"], place, "o", color="C0", ms=5)
    axis.axvline(0, color="0.2", lw=1)
    axis.set_yticks(range(len(rows)), [f"{row['group']}: {row['says']}" for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("difference in F to the baseline\n(95 %: thick over seeds, thin over micrographs)")
    axis.set_title(f"{result['dataset']}, {result['seeds']} seeds, budget {result['budget']}", fontsize=10)
    figure.savefig(path, dpi=90)
    plt.close(figure)
