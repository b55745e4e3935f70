"""Isosurfaces of maps side by side: one orientation and one rule for the level, drawn without another program.

The surfaces come from marching cubes (Lewiner, as scikit-image has it); every triangle is lit by one light and drawn from the
back to the front, in parallel projection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from scipy.fft import irfftn, rfftn
from scipy.spatial.transform import Rotation
from skimage.filters import threshold_otsu
from skimage.measure import marching_cubes

from drpnet.errors import InputError

CUBIC_ANGSTROM_PER_KILODALTON = 1210.0
"""Of protein: 0.73 cm^3 a gram."""
SIDE_AND_TOP = ((-90.0, 20.0), (0.0, 90.0))
"""Azimuth and height of the eye in degrees: from the side, a little from above, z up; and along z."""
_LIGHT = np.array([-0.45, 0.55, 0.7])
_LEAST_BOX, _LARGEST_BOX = 96, 144
_COLOUR = np.array([0.36, 0.56, 0.78])


@dataclass(frozen=True)
class Surface:
    """Triangles (n, 3, 3) in (x, y, z) Angstrom around the centre of the box, and their outward normals (n, 3).

    Normals are those of the density at the corners, averaged: the grid does not show in the shading.
    """

    triangles: np.ndarray
    normals: np.ndarray


def level_of_volume(volume: np.ndarray, voxel_size: float, enclosed: float) -> float:
    """The density above which a map (b, b, b) encloses `enclosed` cubic Angstrom within the ball of its box.

    Raises InputError for a volume that is less than a voxel or more than the ball.
    """
    voxels = round(enclosed / voxel_size**3)
    inside = np.sort(volume[in_ball(len(volume))])[::-1]
    if not 1 <= voxels < len(inside):
        most = len(inside) * voxel_size**3
        raise InputError(
            f"a surface around {enclosed:,.0f} cubic Angstrom does not fit into the map, which holds {voxel_size**3:,.0f} to "
            f"{most:,.0f}; give the volume of the particle (about {CUBIC_ANGSTROM_PER_KILODALTON:,.0f} a kilodalton)"
        )
    return float((inside[voxels - 1] + inside[voxels]) / 2)


def volume_at_otsu(volume: np.ndarray, voxel_size: float) -> float:
    """Cubic Angstrom of a map (b, b, b) that Otsu's threshold takes for particle: a size where none is known."""
    inside = volume[in_ball(len(volume))]
    return float((inside > threshold_otsu(inside)).sum() * voxel_size**3)


def in_ball(box: int) -> np.ndarray:
    """Voxels (b, b, b) of the largest ball around the centre b // 2."""
    return np.asarray(np.linalg.norm(np.mgrid[:box, :box, :box] - box // 2, axis=0) < box // 2)


def surface_of(volume: np.ndarray, voxel_size: float, level: float) -> Surface:
    """The surface of a map (b, b, b) in (z, y, x) at a density; small maps are enlarged first, which rounds no detail.

    Raises InputError where the map has no such density.
    """
    inside = np.where(in_ball(len(volume)), volume, min(float(volume.min()), level - abs(level)))
    if not inside.min() < level < inside.max():
        raise InputError(f"the map is {inside.min():.3g} to {inside.max():.3g}; there is no surface at {level:.3g}")
    box = min(max(len(volume), _LEAST_BOX), _LARGEST_BOX)
    fine = volume if box == len(volume) else resampled(volume, box)
    size = voxel_size * len(volume) / box
    fine = np.where(in_ball(box), fine, min(float(fine.min()), level - abs(level)))
    places, faces, slopes, _ = marching_cubes(fine, level)
    triangles = ((places - box // 2) * size)[:, ::-1][faces]
    normals = slopes[:, ::-1][faces].mean(axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return Surface(triangles, normals * _outward(fine, triangles, normals, size))


def resampled(volume: np.ndarray, box: int) -> np.ndarray:
    """A map (a, a, a) on (box, box, box) voxels of the same field, both even, by its Fourier transform."""
    small = len(volume)
    kept = min(small, box) // 2
    spectrum = rfftn(np.fft.ifftshift(volume))
    moved = np.zeros((box, box, box // 2 + 1), spectrum.dtype)
    places = np.r_[:kept, -kept + 1 : 0]
    moved[np.ix_(places, places, np.arange(kept))] = spectrum[np.ix_(places, places, np.arange(kept))]
    return np.fft.fftshift(irfftn(moved, s=(box,) * 3)).astype(np.float32) * (box / small) ** 3


def draw_surface(axis: Axes, surface: Surface, azimuth: float, height: float) -> float:
    """Draw a surface as seen from azimuth and height (degrees), z up; returns how far it reaches in Angstrom."""
    turn = Rotation.from_euler("ZX", [90.0 + azimuth, 90.0 - height], degrees=True).inv()
    seen, normals = turn.apply(surface.triangles.reshape(-1, 3)).reshape(-1, 3, 3), turn.apply(surface.normals)
    front = normals[:, 2] > 0
    seen, normals = seen[front], normals[front]
    depth = seen[..., 2].mean(axis=1)
    order = np.argsort(depth)
    colours = shade(normals[order], depth[order] / np.abs(surface.triangles).max())
    faces = PolyCollection(list(seen[order][..., :2]), facecolors=colours, edgecolors=colours, linewidths=0.15)
    faces.set_rasterized(True)
    axis.add_collection(faces)
    axis.set_axis_off()
    return float(np.abs(seen[..., :2]).max(initial=0.0))


def shade(normals: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Colours (n, 3) of faces with normals (n, 3) towards the eye (z): light, highlight, and paler with depth (-1 to 1)."""
    light = _LIGHT / np.linalg.norm(_LIGHT)
    halfway = light + np.array([0.0, 0.0, 1.0])
    diffuse = np.clip(normals @ light, 0, 1)[:, None]
    shine = np.clip(normals @ (halfway / np.linalg.norm(halfway)), 0, 1)[:, None] ** 30
    lit = np.clip(_COLOUR * (0.30 + 0.80 * diffuse) + 0.22 * shine, 0, 1)
    haze = 0.45 * np.clip((0.5 - depth) / 1.2, 0, 1)[:, None]
    return lit * (1 - haze) + haze


def isosurface_figure(
    maps: Mapping[str, tuple[np.ndarray, float]], enclosed: float, captions: Mapping[str, str] | None = None,
    eyes: Sequence[tuple[float, float]] = SIDE_AND_TOP,
) -> Figure:  # fmt: skip
    """Maps (b, b, b) with their voxel sizes, a column each and a row a view, all around the same `enclosed` volume.

    Raises InputError where a map has no such surface.
    """
    columns = len(maps)
    figure = Figure(figsize=(1.75 * columns, 1.6 * len(eyes) + 0.6), layout="constrained")
    axes = figure.subplots(len(eyes), columns, squeeze=False)
    surfaces = {
        name: surface_of(volume, size, level_of_volume(volume, size, enclosed)) for name, (volume, size) in maps.items()
    }
    reaches = []
    for column, (name, surface) in enumerate(surfaces.items()):
        reaches += [draw_surface(axes[row, column], surface, *eye) for row, eye in enumerate(eyes)]
        words = f"\n{captions[name]}" if captions and name in captions else ""
        axes[0, column].set_title(f"{name}{words}", fontsize=8)
    reach = 1.03 * max(reaches)
    for axis in axes.ravel():
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    says = f"surfaces around {enclosed / 1000:,.0f} nm$^3$ each;", "from the side and along z"
    figure.supxlabel(("\n" if columns == 1 else " ").join(says), fontsize=7, color="0.35")
    return figure


def _outward(volume: np.ndarray, triangles: np.ndarray, normals: np.ndarray, size: float) -> float:
    """1 where the normals point to lower densities, -1 where the winding is the other way round."""
    box = len(volume)
    middle = triangles.mean(axis=1)

    def densities(places: np.ndarray) -> np.ndarray:
        index = np.clip(np.rint(places[:, ::-1] / size + box // 2).astype(int), 0, box - 1)
        return volume[tuple(index.T)]

    step = 1.5 * size * normals
    return 1.0 if densities(middle + step).mean() < densities(middle - step).mean() else -1.0
