"""The picture: the templates, and the picks of RELION and of DRPnet on a part of one micrograph."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from PIL import Image, ImageDraw

from drpnet.cascade import Picker
from drpnet.io.coordinates import read_coordinate_set
from drpnet.measures.matching import match_one_to_one
from drpnet.model import load_model
from drpnet.overlay import draw_truth, save_picture
from experiments.relion_baseline.project import DIAMETER, PIXEL_SIZE, Project

REGION = 900
"""Side in px of the part of the micrograph, in its middle."""
PANEL, GAP, LINE = 480, 8, 26
"""Side of a panel, gap between panels and height of a line of text, in px of the picture."""


def draw(project: Project, result: Mapping[str, Any], weights: str, path: Path) -> None:
    """Write the picture of the first scored micrograph, as JPEG.

    DRPnet's picks are those of `weights`, not of real10017's folds, whose models are not kept.
    """
    micrograph = project.scored[0]
    image, pixel_size = micrograph.read()
    found = Picker(load_model(weights)).pick(image, pixel_size, DIAMETER)
    threshold = result["rows"]["drpnet_shipped"]["setting"]["threshold"]
    picks = {
        "RELION, templates": relion_picks(project, result, "templates"),
        "RELION, LoG": relion_picks(project, result, "log"),
        "DRPnet, shipped weights": found.centres[found.figure_of_merit >= threshold],
    }
    panels = {name: panel(image, centres, micrograph.centres) for name, centres in picks.items()}
    chosen = [row["image"] for row in sorted(result["classes"], key=lambda row: -row["share"]) if row["template"]]
    save_picture(sheet([read_average(project.folder, name) for name in chosen], panels), path)


def relion_picks(project: Project, result: Mapping[str, Any], kind: str) -> np.ndarray:
    """RELION's picks (n, 2) (y, x) of the first scored micrograph at the chosen setting."""
    folder = project.folder / f"scored_{kind}" / result["rows"][f"{kind}_chosen"]["folder"]
    return read_coordinate_set(folder)[project.scored[0].stem].centres


def read_average(folder: Path, name: str) -> np.ndarray:
    """The class average (h, w) that RELION calls <number from 1>@<stack>."""
    number, stack = name.split("@")
    return np.asarray(mrcfile.read(folder / stack))[int(number) - 1]


def panel(image: np.ndarray, picks: np.ndarray, truth: np.ndarray) -> Image.Image:
    """The middle of a micrograph with true, false and missed picks, matched on the whole of it."""
    match = match_one_to_one(picks, truth, DIAMETER / PIXEL_SIZE / 2)
    hit, found = np.zeros(len(picks), bool), np.zeros(len(truth), bool)
    hit[match.pick_index], found[match.truth_index] = True, True
    corner = (np.array(image.shape) - REGION) // 2
    window = tuple(slice(start, start + REGION) for start in corner)
    return draw_truth(image[window], picks - corner, truth - corner, hit, found, DIAMETER / PIXEL_SIZE, "")


def sheet(averages: list[np.ndarray], panels: Mapping[str, Image.Image]) -> Image.Image:
    """The averages in one row above the panels in another, each row under a line of text."""
    width = len(panels) * (PANEL + GAP) - GAP
    side = min(PANEL // 3, (width + GAP) // len(averages) - GAP)
    picture = Image.new("RGB", (width, 3 * LINE + side + GAP + PANEL), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((4, 3), "2D class averages used as templates, largest class first", fill="black", font_size=18)
    low, high = np.min(averages), np.max(averages) + 1e-6
    for number, average in enumerate(averages):
        grey = ((average - low) / (high - low) * 255).astype(np.uint8)
        small = Image.fromarray(grey).resize((side, side), Image.Resampling.BICUBIC)
        picture.paste(small.convert("RGB"), (number * (side + GAP), LINE))
    top = LINE + side + GAP
    for number, (name, image) in enumerate(panels.items()):
        left = number * (PANEL + GAP)
        draw.text((left + 4, top + 3), name, fill="black", font_size=18)
        picture.paste(image.resize((PANEL, PANEL), Image.Resampling.LANCZOS), (left, top + LINE))
    legend = "green: matches a label within half a diameter; red: matches none; yellow: label that no pick matches"
    draw.text((4, top + LINE + PANEL + 3), legend, fill="black", font_size=18)
    return picture
