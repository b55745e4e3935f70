"""Pictures of micrographs with their picks."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from drpnet.io.atomic import write_bytes
from drpnet.preprocess import centre_and_spread, correct_illumination, rescale, without_offset

GREEN, RED, YELLOW, CYAN = (64, 220, 96), (255, 80, 72), (255, 208, 40), (80, 200, 255)
EDGE = 1200
DARKEST, BRIGHTEST = -5.0, 4.0
"""Robust deviations from the median that become black and white."""


def to_picture(image: np.ndarray, diameter_px: float, edge: int = EDGE) -> tuple[np.ndarray, float]:
    """An 8-bit view (h, w) of a micrograph, evenly lit and low-passed, and its scale (px per px); `edge` px at most.

    Ice and carbon take no part in the contrast, so that particles beside them stay visible.
    """
    factor = max(1.0, max(image.shape) / edge)
    small, scale = rescale(without_offset(image), 1.0, factor)
    even = correct_illumination(small, 2 * diameter_px / factor, 4.0)
    blurred = ndimage.gaussian_filter(even, max(0.5, diameter_px / factor / 20))
    median, spread = centre_and_spread(blurred)
    grey = np.clip(((blurred - median) / spread - DARKEST) / (BRIGHTEST - DARKEST), 0, 1) * 255
    return grey.astype(np.uint8), scale[0]


def draw_picks(
    image: np.ndarray,
    groups: list[tuple[np.ndarray, tuple[int, int, int]]],
    diameter_px: float,
    caption: str = "",
) -> Image.Image:
    """A micrograph (h, w) with circles of one particle diameter around groups of centres (n, 2) (y, x)."""
    grey, scale = to_picture(image, diameter_px)
    picture = Image.fromarray(grey).convert("RGB")
    draw = ImageDraw.Draw(picture)
    radius = diameter_px / scale / 2
    for centres, colour in groups:
        for y, x in (np.asarray(centres).reshape(-1, 2) + 0.5) / scale - 0.5:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)
    if caption:
        left, top, right, bottom = draw.textbbox((8, 6), caption, font_size=18)
        draw.rectangle((left - 6, top - 4, right + 6, bottom + 4), fill=(0, 0, 0))
        draw.text((8, 6), caption, fill=(255, 255, 255), font_size=18)
    return picture


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture as its suffix says (.png, .jpg), whole or not at all."""
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG", quality=85)
    write_bytes(path, buffer.getvalue())


def draw_truth(
    image: np.ndarray,
    picks: np.ndarray,
    truth: np.ndarray,
    hit: np.ndarray,
    found: np.ndarray,
    diameter_px: float,
    caption: str,
) -> Image.Image:
    """True picks green, false picks red, missed particles yellow; `hit` (n,) and `found` (k,) are boolean."""
    groups = [(truth[~found], YELLOW), (picks[~hit], RED), (picks[hit], GREEN)]
    return draw_picks(image, groups, diameter_px, caption)
