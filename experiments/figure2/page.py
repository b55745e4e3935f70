"""Scale bars, and a figure written in full and once more in few bytes."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

from drpnet.io.atomic import write_bytes

COMPACT_BYTES = 250_000
"""Upper limit of a picture that is committed."""


def show(axis: Axes, image: np.ndarray, pixel_size: float, **options) -> None:
    """An image (h, w) with axes in Angstrom, row 0 at the top, and no ticks."""
    height, width = image.shape[:2]
    axis.imshow(image, extent=(0, width * pixel_size, height * pixel_size, 0), **options)
    axis.set_xticks([])
    axis.set_yticks([])


def scale_bar(axis: Axes, length: float, colour: str = "white") -> None:
    """A bar of `length` Angstrom in the lower left corner of an axis in Angstrom, with its length above it."""
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    x, y = left + 0.05 * (right - left), bottom + 0.06 * (top - bottom)
    outline = [withStroke(linewidth=5, foreground="black" if colour == "white" else "white")]
    axis.plot([x, x + length], [y, y], color=colour, lw=3, solid_capstyle="butt", path_effects=outline)
    thin = [withStroke(linewidth=2.5, foreground="black" if colour == "white" else "white")]
    words = f"{length:g} \N{ANGSTROM SIGN}"
    lift = y + 0.03 * (top - bottom)
    axis.text(x, lift, words, color=colour, ha="left", va="bottom", fontsize=9, fontweight="bold", path_effects=thin)
    axis.set_xlim(left, right)
    axis.set_ylim(bottom, top)


def picture_of(figure: Figure, dpi: int) -> Image.Image:
    """The figure as an RGB picture; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    return Image.open(buffer).convert("RGB")


def save(picture: Image.Image, folder: Path, name: str) -> list[Path]:
    """Write NAME.png and NAME.jpg into a folder."""
    written = []
    for suffix, options in ((".png", {}), (".jpg", {"quality": 92})):
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG" if suffix == ".png" else "JPEG", **options)
        written.append(folder / f"{name}{suffix}")
        write_bytes(written[-1], buffer.getvalue())
    return written


def save_compact(picture: Image.Image, path: Path, limit: int = COMPACT_BYTES) -> Path:
    """Write a .jpg of less than `limit` bytes: the best quality that fits, and a smaller picture where none does."""
    while True:
        for quality in range(90, 50, -5):
            buffer = io.BytesIO()
            picture.save(buffer, format="JPEG", quality=quality, optimize=True, progressive=True)
            if buffer.tell() < limit:
                write_bytes(path, buffer.getvalue())
                return path
        width, height = picture.size
        picture = picture.resize((round(width * 0.85), round(height * 0.85)), Image.Resampling.LANCZOS)
