"""The picture: F of every picker with its interval, a panel a set of micrographs."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS, THEIRS = "#0b6e4f", "#8a8d91"
COLUMNS = 2


def draw(result: dict[str, Any], path: Path) -> None:
    """Filled: at the threshold that the picker ships; open: at the best one for these labels."""
    sets = result["sets"]
    rows = -(-len(sets) // COLUMNS)
    figure, grid = plt.subplots(rows, COLUMNS, figsize=(5.2 * COLUMNS, 3.6 * rows), layout="constrained")
    axes = list(grid.flat)
    for axis in axes[len(sets) :]:
        axis.set_axis_off()
        for colour, who in ((OURS, "DRPnet"), (THEIRS, "others")):
            axis.plot([], [], "o-", color=colour, label=f"{who}, at the threshold that it ships")
            axis.plot([], [], "o-", color=colour, fillstyle="none", label=f"{who}, at the best threshold on these labels")
        axis.legend(loc="center", frameon=False, title="95 % intervals over micrographs")
    for axis, (name, ways) in zip(axes, sets.items(), strict=False):
        order = sorted({row["picker"]: row["f_measure"] for way in ("best", "default") for row in ways.get(way, [])}.items(),
                       key=lambda item: item[1])  # fmt: skip
        places = {picker: place for place, (picker, _) in enumerate(order)}
        for way, filled, shift in (("default", True, 0.12), ("best", False, -0.12)):
            for row in ways.get(way, []):
                colour = OURS if row["picker"].startswith("DRPnet") else THEIRS
                low, high = row["interval"]
                place = places[row["picker"]] + shift
                axis.plot([low, high], [place, place], color=colour, linewidth=1.2)
                axis.plot(row["f_measure"], place, "o", color=colour, markersize=5, fillstyle="full" if filled else "none")
        axis.set_yticks(list(places.values()), list(places))
        axis.set_title(f"{name}\n{ways['default'][0]['micrographs']} micrographs", fontsize=10)
        axis.set_xlabel("F within half a diameter")
        axis.grid(axis="x", alpha=0.3)
        axis.set_ylim(-0.6, len(places) - 0.4)
        lowest = min(row["interval"][0] for kind in ("default", "best") for row in ways.get(kind, []))
        axis.set_xlim(max(0.0, lowest - 0.03), 1.0)
    figure.savefig(path, dpi=110)
    plt.close(figure)
