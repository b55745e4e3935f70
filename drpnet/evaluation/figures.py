"""Pictures of an evaluation: precision-recall curves, reliability of the scores, their histogram, offsets of the matches."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from drpnet.io.atomic import whole_file

STYLES = ("-", "--", "-.", ":")
BLUE, ORANGE = "#0072B2", "#D55E00"
"""Told apart with any colour vision, and in grey by their lightness."""


def draw_evaluation(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write what can be drawn of a result as .png into `folder`, made if missing; returns the files.

    precision_recall.png, scores.png, reliability.png need scores, localisation.png matched pairs. A picture that this
    result has no numbers for is not written, and one of an earlier result goes.
    """
    drawings: dict[str, Callable[[Mapping[str, Any]], Figure | None]] = {
        "precision_recall.png": _curves,
        "scores.png": _histogram,
        "reliability.png": _reliability,
        "localisation.png": _offsets,
    }
    written = []
    for name, draw in drawings.items():
        figure = draw(result)
        if figure is None:
            (folder / name).unlink(missing_ok=True)
            continue
        with whole_file(folder / name) as temporary:
            figure.savefig(temporary, dpi=120)
        plt.close(figure)
        written.append(folder / name)
    return written


def _curves(result: Mapping[str, Any]) -> Figure | None:
    """Precision over recall of each picker, its picks as they are as a dot, and lines of equal F."""
    rows = result["comparison"]["rows"] if result["comparison"] else [{"picker": "picks", **result}]
    rows = [row for row in rows if row["curve"] and row["curve"]["recall"]]
    if not rows:
        return None
    figure, axis = plt.subplots(figsize=(6.2, 5.4), layout="constrained")
    for f in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(f / (2 - f), 1, 100)
        axis.plot(recall, f * recall / (2 * recall - f), color="0.85", lw=0.8, zorder=0)
        axis.text(1.0, f / (2 - f), f" F {f:g}", color="0.5", fontsize=7, va="center")
    for number, row in enumerate(rows):
        area = row["average_precision"]
        label = row["picker"] + ("" if area is None else f", AP {area:.3f}")
        curve = row["curve"]
        style = STYLES[number % len(STYLES)] if len(curve["recall"]) > 1 else "."
        (line,) = axis.plot(curve["recall"], curve["precision"], style, label=label)
        axis.plot(row["recall"], row["precision"], "o", color=line.get_color(), ms=6, mec="white")
    axis.set(xlim=(0, 1.08), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axis.set_title(f"Rule {result['rule']}; dots: all picks that were given", fontsize=10)
    axis.legend(loc="lower left", fontsize=8)
    return figure


def _histogram(result: Mapping[str, Any]) -> Figure | None:
    """How many true and false picks there are by score, and where F is best."""
    bars = result["score_histogram"]
    if not bars:
        return None
    figure, axis = plt.subplots(figsize=(6.2, 4), layout="constrained")
    bounds = bars["bounds"]
    axis.stairs(bars["true"], bounds, fill=True, color=BLUE, alpha=0.75, label="true picks")
    axis.stairs(bars["false"], bounds, color=ORANGE, lw=2, label="false picks")
    if result["best_threshold"] is not None:
        words = f"best F {result['best_f_measure']:.3f} at {result['best_threshold']:.3g}"
        axis.axvline(result["best_threshold"], color="0.3", ls="--", lw=1, label=words)
    axis.set(xlabel="score", ylabel="picks")
    axis.legend(fontsize=8)
    return figure


def _reliability(result: Mapping[str, Any]) -> Figure | None:
    """The share of true picks over the mean score of each bin, and how many picks are in it."""
    fit = result["calibration"]
    if not fit:
        return None
    figure, (axis, below) = plt.subplots(
        2, 1, figsize=(5, 5.8), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    axis.plot([0, 1], [0, 1], color="0.6", ls="--", lw=1, label="a probability")
    curve = fit["curve"]
    axis.plot([row["mean_score"] for row in curve], [row["share_true"] for row in curve], "o-", color=BLUE)
    axis.set(ylabel="share that is true", xlim=(0, 1), ylim=(-0.02, 1.02))
    axis.set_title(f"expected calibration error {fit['expected_calibration_error']:.3f}", fontsize=10)
    axis.legend(fontsize=8, loc="upper left")
    width = curve[0]["to"] - curve[0]["from"]
    below.bar([row["from"] for row in curve], [row["picks"] for row in curve], width, align="edge", color="0.6", ec="white")
    below.set(xlabel="score", ylabel="picks")
    return figure


def _offsets(result: Mapping[str, Any]) -> Figure | None:
    """Pick minus label of the matches, with the mean and the circle that holds half of them."""
    place = result["localisation"]
    if not place:
        return None
    figure, axis = plt.subplots(figsize=(5.4, 5.4), layout="constrained")
    x, y = (np.array([row[key] for row in place["offsets_px"]]) for key in "xy")
    axis.plot(x, y, ".", ms=3, color=BLUE, alpha=0.6)
    px = place["px"]
    for radius, style, words in ((px["median"], "-", "half"), (px["p95"], ":", "95 %")):
        axis.add_patch(plt.Circle((0, 0), radius, fill=False, color="0.2", ls=style, label=f"{words} within {radius:.1f} px"))
    shift = f"mean x {px['mean_x']:+.2f}, y {px['mean_y']:+.2f} px"
    axis.plot(px["mean_x"], px["mean_y"], "P", color=ORANGE, mec="white", ms=10, label=shift)
    reach = 1.08 * max(np.abs(x).max(), np.abs(y).max(), px["p95"], 0.5)
    axis.set(xlim=(-reach, reach), ylim=(reach, -reach), xlabel="pick minus label, x in px", ylabel="y in px, downwards")
    axis.set_aspect("equal")
    axis.set_title(f"{len(x)} of {place['matches']} matches", fontsize=10)
    axis.legend(fontsize=8, loc="upper right")
    return figure
