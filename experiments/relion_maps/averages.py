"""Figures 3 to 5, C and D: both pickers' 2D class averages as RELION made them, the largest class first."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import mrcfile
import numpy as np

from drpnet.errors import InputError
from drpnet.io.star import numbers, read_star
from experiments.relion_maps.classes import good_classes, resolutions

KEPT, LEFT = "#1b7837", "#b2182b"


def draw_averages(models: dict[str, Path], picture: Path) -> None:
    """One row of averages a picker, from its _model.star; a green frame where the class is kept, a red one where it is not.

    Under each average its share of the particles and the resolution that RELION estimates for it, in Angstrom.
    """
    rows = {picker: read_averages(model) for picker, model in models.items()}
    columns = max(len(averages) for averages in rows.values())
    figure = plt.figure(figsize=(1.15 * columns, 1.75 * len(rows)), layout="constrained")
    strips = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for letter, strip, (picker, averages) in zip("CDEFGH", strips, rows.items(), strict=False):
        strip.suptitle(f"{letter}   {picker}", x=0.01, ha="left", fontsize=10)
        axes = strip.subplots(1, columns, squeeze=False)[0]
        for axis in axes:
            axis.set(xticks=[], yticks=[], frame_on=False)
        for axis, (image, share, resolution, kept) in zip(axes, averages, strict=False):
            low, high = np.percentile(image, (0.5, 99.5))
            axis.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
            axis.set_frame_on(True)
            for side in axis.spines.values():
                side.set(color=KEPT if kept else LEFT, linewidth=2)
            finest = f"{resolution:.0f} Å" if np.isfinite(resolution) else "none"
            axis.set_xlabel(f"{share:.0%}, {finest}", fontsize=8)
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def read_averages(model: Path) -> list[tuple[np.ndarray, float, float, bool]]:
    """Averages (h, w) of a _model.star with share, resolution and whether the rules keep them, largest share first."""
    kept = good_classes(model)
    table = read_star(model)["model_classes"]
    shares, finest = numbers(model, table, "rlnClassDistribution"), resolutions(table)
    stack = model.with_name(model.name.replace("model.star", "classes.mrcs"))
    if not stack.is_file():
        raise InputError(f"{stack} is missing; it holds the averages that {model} describes")
    with mrcfile.open(stack) as file:
        images = np.array(file.data, np.float32)
    order = np.argsort(-shares, kind="stable")
    return [(images[i], float(shares[i]), float(finest[i]), int(i) + 1 in kept) for i in order]
