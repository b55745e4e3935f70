"""Rotational point groups with RELION's axes: their matrices, their asymmetric unit, views brought into it.

Cn: the axis along z. Dn: a second, two-fold axis along x. T: three-fold along z. O: four-fold along z. I (which is I2):
two-fold along z, five-fold in the xz plane; I1, I3 and I4 are the same group in other orientations.
"""

import re
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from drpnet.errors import InputError

_PHI = (1 + np.sqrt(5)) / 2
_T_AXIS = (0.0, np.sqrt(2.0), 1.0)
_I_AXES = {
    "I1": ((5, (_PHI, 0, -1)), (2, (1, 0, 0)), (2, (0, 0, 1))),
    "I2": ((5, (1, 0, _PHI)), (2, (1, 0, 0)), (2, (0, 0, 1))),
    "I3": ((5, (0, 0, 1)), (2, (-1, 0, _PHI))),
    "I4": ((5, (2, 0, 1)), (2, (1, 0, _PHI))),
}
"""Generators as (order, axis (x, y, z))."""
_FIVE_FOLD_TILT = float(np.rad2deg(np.arctan(1 / _PHI)))
_I_TILTS = {"I1": -90.0, "I2": 0.0, "I3": -_FIVE_FOLD_TILT, "I4": _FIVE_FOLD_TILT}
_LARGEST = 60
_CHUNK = 1 << 13


def parse_symmetry(name: str) -> str:
    """The name of a point group in RELION's spelling: `C4`, `D2`, `T`, `O`, `I2`.

    Raises InputError for what is none of them.
    """
    text = name.strip().upper()
    text = {"I": "I2"}.get(text, text)
    found = re.fullmatch(r"([CD])([1-9]\d{0,2})", text)
    if text in ("T", "O", *_I_AXES) or (found and int(found[2]) <= _LARGEST):
        return text
    raise InputError(
        f"point group {name!r} is unknown; use C1 to C{_LARGEST}, D1 to D{_LARGEST}, T, O, or I (I1, I2, I3, I4), as RELION"
    )


@lru_cache
def symmetry_matrices(name: str) -> np.ndarray:
    """Rotation matrices (k, 3, 3) of a point group, the identity first; they act on columns (x, y, z).

    Raises InputError for an unknown group.
    """
    group = parse_symmetry(name)
    if group[0] in "CD":
        order = int(group[1:])
        generators = [(order, (0.0, 0.0, 1.0)), *([(2, (1.0, 0.0, 0.0))] if group[0] == "D" else [])]
    elif group == "T":
        generators = [(3, (0.0, 0.0, 1.0)), (2, _T_AXIS)]
    elif group == "O":
        generators = [(4, (0.0, 0.0, 1.0)), (3, (1.0, 1.0, 1.0))]
    else:
        generators = list(_I_AXES[group])
    turns = []
    for order, axis in generators:
        unit = np.asarray(axis, float) / np.linalg.norm(axis)
        turns.append(Rotation.from_rotvec(2 * np.pi / order * unit).as_matrix())
    found = [np.eye(3)]
    for matrix in found:  # grows while it is walked
        for turn in turns:
            product = turn @ matrix
            if not any(np.allclose(product, known, atol=1e-6) for known in found):
                found.append(product)
    return np.stack(found)


def on_the_grid(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point group (k, 3, 3) as products h r: rotations h that map the integer grid onto itself, and the r that remain."""
    whole = matrices[np.isclose(matrices, np.rint(matrices), atol=1e-6).all(axis=(1, 2))]
    rest: list[np.ndarray] = []
    for matrix in matrices:
        if not any(np.allclose(turn @ other, matrix, atol=1e-6) for turn in whole for other in rest):
            rest.append(matrix)
    return np.rint(whole), np.stack(rest)


@lru_cache
def unit_planes(name: str) -> np.ndarray:
    """Inner normals (m, 3) of the planes that bound RELION's asymmetric unit of views: v . n >= 0 inside.

    Cn is the sector -180/n <= rot <= 180/n, Dn the sector 90 - 180/n <= rot <= 90 + 180/n with tilt <= 90, T, O and I are
    pyramids between symmetry axes (RELION, healpix_sampling.cpp; the tests ask relion_refine for its directions).
    """
    group = parse_symmetry(name)
    order = int(group[1:]) if group[0] in "CD" else 0
    middle = 90.0 if group[0] == "D" else 0.0
    planes = [(0.0, 0.0, 1.0)] if group[0] == "D" else []
    if order == 2:
        planes.append((np.cos(np.deg2rad(middle)), np.sin(np.deg2rad(middle)), 0.0))
    elif order > 2:
        for side in (-1, 1):
            normal = np.deg2rad(middle + side * (180.0 / order - 90.0))
            planes.append((np.cos(normal), np.sin(normal), 0.0))
    elif group == "T":
        planes = [(-0.942809, 0.0, 0.0), (0.471405, 0.272165, 0.7698), (0.471404, 0.816497, 0.0)]
    elif group == "O":
        planes = [(0.0, -1.0, 1.0), (1.0, 1.0, 0.0), (-1.0, 1.0, 0.0)]
    elif group[0] == "I":
        planes = _icosahedral_planes(group)
    return np.array(planes, float).reshape(-1, 3)


def _icosahedral_planes(group: str) -> list[tuple[float, float, float]]:
    """A third of the triangle between a five-fold axis and its neighbours, turned about y as the group is against I2."""
    in_i2 = np.array([(0, 1, 0), (-0.5, -_PHI / 2, 0.5 / _PHI), (0.5, -_PHI / 2, 0.5 / _PHI)])
    tilt = _I_TILTS[group]
    return [tuple(row) for row in Rotation.from_euler("y", tilt, degrees=True).apply(in_i2)]


def in_unit(directions: np.ndarray, name: str) -> np.ndarray:
    """Which views (n, 3) lie in the asymmetric unit, its boundary included: bool (n,)."""
    planes = unit_planes(name)
    return (directions @ planes.T >= -1e-6).all(axis=1)


def expand(directions: np.ndarray, name: str) -> np.ndarray:
    """All symmetric copies (k n, 3) of views (n, 3)."""
    return np.einsum("kij,nj->kni", symmetry_matrices(name), directions).reshape(-1, 3)


def fold(directions: np.ndarray, name: str) -> np.ndarray:
    """The copy of each view (n, 3) that lies in the asymmetric unit."""
    planes, matrices = unit_planes(name), symmetry_matrices(name)
    if not len(planes):
        return directions
    folded = np.empty_like(directions)
    for start in range(0, len(directions), _CHUNK):
        copies = np.einsum("kij,nj->nki", matrices, directions[start : start + _CHUNK])
        best = (copies @ planes.T).min(axis=2).argmax(axis=1)
        folded[start : start + _CHUNK] = copies[np.arange(len(copies)), best]
    return folded
