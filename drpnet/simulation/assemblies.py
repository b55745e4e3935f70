"""Procedural protein assemblies: residues as points, laid out as helices and strands in domains, in a point group.

Points are (n, 3) float64 in (x, y, z) Angstrom, the main symmetry axis along z. Nothing here is an atomic model: the
two named assemblies copy the outline, symmetry and domain layout of TRPV1 and of beta-galactosidase.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

_RESIDUE_VOLUME = 130.0


@dataclass(frozen=True)
class Assembly:
    """Residues of a whole complex: `points` (n, 3) xyz in Angstrom, `weights` (n,), `symmetry` such as `C4`."""

    points: np.ndarray
    weights: np.ndarray
    symmetry: str


def longest_dimension(points: np.ndarray) -> float:
    """Largest distance of two of the points (n, 3), in their unit."""
    return float(pdist(points[ConvexHull(points).vertices]).max())


def symmetry_matrices(symmetry: str) -> np.ndarray:
    """Rotation matrices (k, 3, 3) of a point group (`C4`, `D2`, `O`, ...), main axis along z."""
    return Rotation.create_group(symmetry, axis="Z").as_matrix()


def helix(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """C-alpha trace (n, 3) of an alpha helix between two points: rise 1.5 A, radius 2.3 A, 100 degrees a residue."""
    axis = np.asarray(stop, float) - np.asarray(start, float)
    length = float(np.linalg.norm(axis))
    axis = axis / length
    side = np.cross(axis, [0.31, -0.55, 0.77])
    side /= np.linalg.norm(side)
    step = np.arange(max(2, int(length / 1.5)))
    turn = np.deg2rad(100.0) * step[:, None]
    return start + 1.5 * step[:, None] * axis + 2.3 * (np.cos(turn) * side + np.sin(turn) * np.cross(axis, side))


def domain(
    rng: np.random.Generator, centre: tuple[float, float, float], radii: tuple[float, float, float], fold: str
) -> np.ndarray:
    """Residues (n, 3) of an ellipsoidal domain packed with helices (`alpha`), sheets (`beta`) or both (`mixed`)."""
    reach = max(radii)
    spacing, rise = {"alpha": ((9.4, 8.2), 1.5), "beta": ((4.8, 10.0), 3.3), "mixed": ((7.0, 9.5), 1.9)}[fold]
    across, up = (np.arange(-np.ceil(reach / s), np.ceil(reach / s) + 1) * s for s in spacing)
    rods = np.stack(np.meshgrid(across, up, indexing="ij"), -1).reshape(-1, 2)
    rods = rods + rng.normal(0, 0.6, rods.shape)
    along = np.arange(-reach, reach, rise)
    trace = np.empty((len(rods), len(along), 3))
    trace[..., 2] = along
    phase = np.deg2rad(100.0 if fold != "beta" else 180.0) * np.arange(len(along)) + rng.uniform(
        0, 2 * np.pi, (len(rods), 1)
    )
    curl = 2.3 if fold == "alpha" else 1.2
    trace[..., 0] = rods[:, :1] + curl * np.cos(phase)
    trace[..., 1] = rods[:, 1:] + curl * np.sin(phase)
    points = trace.reshape(-1, 3) @ Rotation.random(random_state=rng).as_matrix().T
    points += rng.normal(0, 0.8, points.shape)
    inside = ((points / np.asarray(radii)) ** 2).sum(1) < 1
    return points[inside] + np.asarray(centre)


def barrel(rng: np.random.Generator, centre: tuple[float, float, float], tilt: Rotation) -> np.ndarray:
    """Residues (n, 3) of a TIM barrel: eight strands at 7 A, eight helices at 16 A from its axis."""
    parts = []
    for angle in np.arange(8) * np.pi / 4:
        out, tangent = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
        strand = 7.0 * out + np.linspace(-1, 1, 7)[:, None] * (np.array([0, 0, 10.0]) + 6.0 * tangent)
        parts.append(strand)
        turned = 16.0 * (np.cos(0.4) * out + np.sin(0.4) * tangent)
        lean = np.array([0, 0, 10.0]) - 4.0 * tangent
        parts.append(helix(turned - lean, turned + lean))
    points = np.concatenate(parts)
    return tilt.apply(points + rng.normal(0, 0.8, points.shape)) + np.asarray(centre)


def loose_end(rng: np.random.Generator, start: tuple[float, ...], stop: tuple[float, ...]) -> np.ndarray:
    """Residues (n, 3) of an unfolded chain that wanders from `start` to `stop`."""
    length = np.linalg.norm(np.subtract(stop, start))
    fraction = np.linspace(0, 1, max(3, int(length / 2.2)))[:, None]
    wander = np.cumsum(rng.normal(0, 1.6, (len(fraction), 3)), 0)
    wander -= fraction * wander[-1]
    return np.asarray(start) + fraction * np.subtract(stop, start) + wander


def replicate(parts: list[tuple[np.ndarray, float]], symmetry: str) -> Assembly:
    """Copies of the asymmetric unit, a list of (points (n, 3), weight), in all orientations of the point group."""
    points = np.concatenate([p for p, _ in parts])
    weights = np.concatenate([np.full(len(p), w) for p, w in parts])
    matrices = symmetry_matrices(symmetry)
    everywhere = np.einsum("kij,nj->kni", matrices, points).reshape(-1, 3)
    weights = np.tile(weights, len(matrices)) * _crowding(everywhere)
    return Assembly(everywhere - np.average(everywhere, axis=0, weights=weights), weights, symmetry)


def _crowding(points: np.ndarray) -> np.ndarray:
    """Weights (n,) that bring places where domains overlap back to the density of protein."""
    tree = cKDTree(points)
    neighbours = tree.query_ball_point(points, 8.0, return_length=True)
    return 1 / np.maximum(1.0, neighbours / (4 / 3 * np.pi * 8.0**3 / _RESIDUE_VOLUME))


def trpv1() -> Assembly:
    """A C4 channel: membrane helices in a faint detergent belt above a skirt of ankyrin repeats, 173 A with loose ends."""
    rng = np.random.default_rng(5778)
    parts: list[tuple[np.ndarray, float]] = []

    def at(radius: float, degrees: float, z: float) -> np.ndarray:
        return np.array([radius * np.cos(np.deg2rad(degrees)), radius * np.sin(np.deg2rad(degrees)), z])

    parts.append((helix(at(8, 10, -24), at(15, 35, 20)), 1.0))
    parts.append((helix(at(24, 22, -20), at(20, 48, 20)), 1.0))
    parts.append((helix(at(10, 30, 6), at(15, 55, 18)), 1.0))
    for radius, degrees in ((30, 60), (38, 74), (41, 56), (33, 43)):
        parts.append((helix(at(radius, degrees, -19), at(radius + 2, degrees + 5, 19)), 1.0))
    parts.append((helix(at(12, 20, -27), at(38, 30, -28)), 1.0))
    parts.append((domain(rng, tuple(at(15, 40, 27)), (13, 13, 9), "mixed"), 1.0))
    parts.append((domain(rng, tuple(at(32, 45, -40)), (20, 20, 14), "mixed"), 1.0))
    for repeat in range(6):
        middle = at(40 + 2.6 * repeat, 22 - 12.5 * repeat, -48 - 5.0 * repeat)
        reach = at(9, 22 - 12.5 * repeat + 20, 0)
        for lift, shift in ((0.0, 0.0), (9.5, 3.0)):
            foot = middle + [0, 0, -lift] + at(shift, 22 - 12.5 * repeat + 90, 0)
            parts.append((helix(foot - reach, foot + reach), 1.0))
        parts.append((loose_end(rng, tuple(middle - reach), tuple(middle - reach + [0, 0, -9.5])), 1.0))
    parts.append((loose_end(rng, tuple(at(50, -45, -82)), tuple(at(60, -70, -101))), 0.7))
    parts.append((loose_end(rng, tuple(at(18, 45, 33)), tuple(at(30, 80, 47))), 0.7))
    angle, lift, depth = rng.uniform(0, np.pi / 2, 420), rng.uniform(-17, 17, 420), rng.normal(46, 3.5, 420)
    belt = np.stack([depth * np.cos(angle), depth * np.sin(angle), lift], 1)
    parts.append((belt, 0.45))
    return replicate(parts, "C4")


def beta_galactosidase() -> Assembly:
    """A D2 tetramer of five-domain subunits, about 180 x 130 x 95 A, 191 A with loose ends."""
    rng = np.random.default_rng(2984)
    parts = [
        (barrel(rng, (34, 27, 6), Rotation.from_euler("xyz", [35, 50, 0], degrees=True)), 1.0),
        (domain(rng, (34, 27, 6), (23, 23, 23), "mixed"), 0.5),
        (domain(rng, (64, 39, -6), (23, 23, 20), "beta"), 1.0),
        (domain(rng, (36, 50, -18), (18, 15, 20), "beta"), 1.0),
        (domain(rng, (17, 14, 29), (17, 16, 18), "beta"), 1.0),
        (domain(rng, (62, 20, 25), (26, 22, 21), "mixed"), 1.0),
        (domain(rng, (13, 14, 2), (13, 15, 16), "alpha"), 1.0),
        (loose_end(rng, (76, 38, -8), (83, 40, -10)), 0.7),
    ]
    return replicate(parts, "D2")


def random_assembly(rng: np.random.Generator, diameter: float) -> Assembly:
    """A random complex with its longest dimension equal to `diameter` (A): globular, ring or rod, in C, D or O symmetry."""
    grain = max(1.0, diameter / 300.0)
    size = diameter / grain
    shape = rng.choice(["cyclic", "dihedral", "octahedral", "ring", "rod"], p=[0.35, 0.25, 0.1, 0.15, 0.15])
    if shape == "octahedral":
        symmetry, places = "O", [_towards(rng, size * rng.uniform(0.3, 0.36))]
        widths = [size * rng.uniform(0.09, 0.13)]
    elif shape == "ring":
        order = int(rng.integers(5, 9))
        symmetry, ring = f"{rng.choice(['C', 'D'])}{order}", size * rng.uniform(0.28, 0.36)
        places = [np.array([ring, 0, size * rng.uniform(0.0, 0.12)])]
        widths = [ring * np.sin(np.pi / order) * rng.uniform(0.9, 1.15)]
        if rng.random() < 0.6:
            places.append(places[0] + [-size * 0.1, 0, size * rng.uniform(0.1, 0.18)])
            widths.append(widths[0] * rng.uniform(0.5, 0.8))
    elif shape == "rod":
        symmetry, count = str(rng.choice(["C1", "C2", "D1", "D2", "C3", "D3"])), int(rng.integers(3, 6))
        heights = np.linspace(0.05 if symmetry[0] == "D" else -0.42, 0.42, count)
        places = [np.array([size * rng.uniform(0.04, 0.12), 0, size * z]) for z in heights]
        widths = [size * rng.uniform(0.08, 0.13) for _ in heights]
    else:
        order = int(rng.integers(1, 7) if shape == "cyclic" else rng.integers(2, 8))
        symmetry = f"{'C' if shape == 'cyclic' else 'D'}{order}"
        copies = order * (1 if shape == "cyclic" else 2)
        width = size * 0.42 / copies ** (1 / 3) * rng.uniform(0.7, 0.95)
        places, widths = [_towards(rng, size * rng.uniform(0.12, 0.26))], [width]
        for _ in range(int(rng.integers(1, 4)) + (4 if copies == 1 else 1)):
            base = int(rng.integers(len(places)))
            places.append(places[base] + _towards(rng, (widths[base] + width) * rng.uniform(0.65, 0.85)))
            widths.append(width * rng.uniform(0.7, 1.1))
    parts = []
    for place, width in zip(places, widths, strict=True):
        radii = np.maximum(width * rng.uniform(0.75, 1.2, 3), 7.0)
        fold = str(rng.choice(["alpha", "beta", "mixed"]))
        parts.append((domain(rng, tuple(place), tuple(radii), fold), rng.uniform(0.8, 1.1)))
    whole = replicate([(p, w) for p, w in parts if len(p)], symmetry)
    return Assembly(whole.points * (diameter / longest_dimension(whole.points)), whole.weights, symmetry)


def _towards(rng: np.random.Generator, length: float) -> np.ndarray:
    direction = rng.normal(size=3)
    return length * direction / np.linalg.norm(direction)
