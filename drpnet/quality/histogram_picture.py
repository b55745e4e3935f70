"""The histogram on the sphere, as a viewer shows a .bild, drawn flat."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle

from drpnet.reconstruction.symmetry import in_unit
from drpnet.reconstruction.views import NSIDE, pixel_centres

_LENGTH = 0.4


def draw_histogram(axis: Axes, counts: np.ndarray, symmetry: str, nside: int = NSIDE // 2) -> None:
    """Bars over the views (counts at nside 32, in the asymmetric unit), seen from above the middle of the unit.

    From blue to red by how far a view is above the mean, as RELION's .bild; what the sphere hides is not drawn.
    """
    views = pixel_centres(nside)
    density = counts.reshape(len(views), -1).sum(axis=1).astype(float)
    right, up, towards = _camera(views[in_unit(views, symmetry)].mean(axis=0))
    depth = views @ towards
    shown = np.flatnonzero((density > 0) & (depth > -0.35))
    shown = shown[np.argsort(depth[shown])]
    length = 1 + _LENGTH * density[shown] / density.max()
    plane = views[shown] @ np.stack([right, up], axis=1)
    tips = plane * length[:, None]
    hidden = (depth[shown] < 0) & (np.linalg.norm(tips, axis=1) < 1)
    red = (np.clip((density - density.mean()) / (density.std() or 1.0), -1, 5) + 1)[shown] / 6
    colours = np.stack([red, np.zeros_like(red), 1 - red], axis=1)
    light = (0.55 + 0.45 * np.clip(depth[shown], 0, 1))[:, None]
    colours = 1 - light * (1 - colours)
    keep = ~hidden
    axis.add_patch(Circle((0, 0), 1, facecolor="0.93", edgecolor="0.75", lw=0.5, zorder=0))
    segments = np.stack([plane, tips], axis=1)[keep]
    axis.add_collection(LineCollection(list(segments), colors=colours[keep], linewidths=1.3, capstyle="butt", zorder=1))
    reach = 1 + _LENGTH + 0.03
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")


def _camera(middle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors to the right, up and towards the eye; z is up unless one looks along it."""
    towards = middle / np.linalg.norm(middle) if np.linalg.norm(middle) > 0.05 else np.array([1.0, 0.0, 0.0])
    side = np.cross([0.0, 0.0, 1.0], towards) if abs(towards[2]) < 0.95 else np.array([1.0, 0.0, 0.0])
    towards = towards + 0.35 * side + np.array([0.0, 0.0, 0.45])  # from the side, or the bars are points
    towards /= np.linalg.norm(towards)
    z = np.array([0.0, 0.0, 1.0]) if abs(towards[2]) < 0.95 else np.array([0.0, 1.0, 0.0])
    right = np.cross(z, towards)
    right /= np.linalg.norm(right)
    return right, np.cross(towards, right), towards
