"""Images of a page: a small picture of each micrograph, and particles cut out of it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage

from drpnet.overlay import BRIGHTEST, DARKEST, EDGE, to_picture
from drpnet.patches import extract_patches
from drpnet.preprocess import centre_and_spread, correct_illumination, rescale, without_offset

PICTURE_BYTES = 36e6
"""What all pictures of a page may take, as base64."""
EDGES = (EDGE, 1000, 840, 700, 600, 520, 440, 360, 300)
TILE, PARTICLE = 64, 40
"""Pixels of a particle's picture, and of the particle in it."""
_QUALITY = 65


@dataclass(frozen=True)
class Frame:
    """A micrograph as particles are cut out of it: (h, w) in robust deviations from its median, evenly lit, low-passed.

    `scale` is micrograph px per px of it along (y, x), `box` the width of a particle's picture in its px.
    """

    image: np.ndarray
    scale: tuple[float, float]
    box: int


def particle_frame(image: np.ndarray, diameter_px: float) -> Frame:
    """The frame of a micrograph (h, w) in which its particles are `PARTICLE` px wide, or less: nothing is enlarged."""
    factor = max(1.0, diameter_px / PARTICLE)
    small, scale = rescale(without_offset(image), 1.0, factor)
    diameter = diameter_px / factor
    blurred = ndimage.gaussian_filter(correct_illumination(small, 2 * diameter, 4.0), max(0.5, diameter / 20))
    median, spread = centre_and_spread(blurred)
    box = max(4, 2 * round(diameter * TILE / PARTICLE / 2))
    return Frame(((blurred - median) / spread).astype(np.float32), scale, box)


def cut_out(frame: Frame, centres: np.ndarray) -> np.ndarray:
    """Pictures (n, TILE, TILE) around centres (n, 2) of the micrograph; beyond its edge it is mirrored."""
    places = (np.asarray(centres, float).reshape(-1, 2) + 0.5) / np.asarray(frame.scale) - 0.5
    patches = extract_patches(frame.image, places, frame.box)
    if frame.box == TILE or not len(patches):
        return patches.reshape(-1, TILE, TILE)
    tensor = F.interpolate(torch.from_numpy(patches)[:, None], size=(TILE, TILE), mode="bilinear", antialias=True)
    return tensor[:, 0].numpy()


def picture(image: np.ndarray, diameter_px: float, edge: int) -> str:
    """A micrograph (h, w) as a JPEG file in base64, `edge` px at most."""
    return _jpeg(to_picture(image, diameter_px, edge)[0])


def choose_edge(samples: Sequence[tuple[np.ndarray, float]], count: int) -> int:
    """The largest of `EDGES` at which `count` pictures like those of the samples (image (h, w), diameter in px) fit."""
    for edge in EDGES:
        bytes_each = np.mean([len(picture(image, diameter, edge)) for image, diameter in samples])
        if bytes_each * count <= PICTURE_BYTES:
            return edge
    return EDGES[-1]


def sheet(tiles: np.ndarray, columns: int) -> str:
    """Particles (n, TILE, TILE) in rows of `columns` as one JPEG file in base64, grey as in the pictures."""
    rows = max(1, -(-len(tiles) // columns))
    grid = np.zeros((rows * columns, TILE, TILE), np.float32)
    grid[: len(tiles)] = tiles
    flat = grid.reshape(rows, columns, TILE, TILE).transpose(0, 2, 1, 3).reshape(rows * TILE, columns * TILE)
    return _jpeg((np.clip((flat - DARKEST) / (BRIGHTEST - DARKEST), 0, 1) * 255).astype(np.uint8))


def _jpeg(grey: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
