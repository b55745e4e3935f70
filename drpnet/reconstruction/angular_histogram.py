"""The angular distribution as a three-dimensional histogram on the sphere, a .bild file for Chimera and ChimeraX."""

import numpy as np

from drpnet.reconstruction.views import NSIDE, pixel_centres


def bild(
    views: np.ndarray, density: np.ndarray, box: int, voxel_size: float, sampling: float, length: float = 0.3
) -> str:
    """The text of a .bild: a cylinder for every view (n, 3) with a positive density (n,), around a map.

    As RELION's `*_angdist.bild`: from the sphere whose radius is half the box (`voxel_size` in Angstrom), as high as
    `length` radii at the largest density, from blue to red by how far it is above the mean; `sampling` is the angle
    between neighbouring views in degrees.
    """
    radius = 0.5 * box * voxel_size
    width = 0.5 * np.pi * radius * sampling / 360
    red = (np.clip((density - density.mean()) / (density.std() or 1.0), -1, 5) + 1) / 6
    lines = []
    for view, share, shade in zip(views, density / density.max(), red, strict=True):
        if share > 0:
            start, stop = radius * view + radius, radius * (1 + length * share) * view + radius
            ends = " ".join(f"{value:g}" for value in (*start, *stop))
            lines += [f".color {shade:g} 0 {1 - shade:g}", f".cylinder {ends} {width:g}"]
    return "\n".join(lines) + "\n"


def counted_bild(counts: np.ndarray, box: int, voxel_size: float, nside: int = NSIDE // 2) -> str:
    """The same from particles counted by view at nside 32, gathered in the 12 nside^2 pixels of a coarser grid."""
    coarse = counts.reshape(12 * nside**2, -1).sum(axis=1)
    return bild(pixel_centres(nside), coarse.astype(float), box, voxel_size, 60.0 / nside)
