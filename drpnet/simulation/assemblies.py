"""Procedural protein assemblies: residues as points, laid out as helices and strands in domains.

Points are (n, 3) float64 in (x, y, z) Angstrom, the main symmetry axis along z. None is an atomic model: the
two named assemblies copy outline, symmetry and domain layout of TRPV1 and of beta-galactosidase.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.distance import cdist, pdist
from scipy.spatial.transform import Rotation

_RESIDUE_VOLUME = 130.0
_DRAWS = 100
_FINEST_DIAMETER = 200.0
_SHELL_COVER = 1.3
"""Discs of the wall's domains over the surface of a hollow shell."""


@dataclass(frozen=True)
class Assembly:
    """Residues of a whole complex: `points` (n, 3) xyz in Angstrom, `weights` (n,), `symmetry` (`C4`)."""

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
    """C-alpha trace (n, 3) of an alpha helix: rise 1.5 A, radius 2.3 A, 100 degrees a residue."""
    axis = np.asarray(stop, float) - np.asarray(start, float)
    length = float(np.linalg.norm(axis))
    axis = axis / length
    side = np.cross(axis, [0.31, -0.55, 0.77])
    side /= np.linalg.norm(side)
    step = np.arange(max(2, int(length / 1.5)))
    turn = np.deg2rad(100.0) * step[:, None]
    return (
        start + 1.5 * step[:, None] * axis + 2.3 * (np.cos(turn) * side + np.sin(turn) * np.cross(axis, side))
    )


def domain(
    rng: np.random.Generator, centre: tuple[float, float, float], radii: tuple[float, float, float], fold: str
) -> np.ndarray:
    """Residues (n, 3) of an ellipsoidal domain of helices, sheets or both (`alpha`, `beta`, `mixed`)."""
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
        out, tangent = (
            np.array([np.cos(angle), np.sin(angle), 0]),
            np.array([-np.sin(angle), np.cos(angle), 0]),
        )
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
    """The asymmetric unit, a list of (points (n, 3), weight), in all orientations of the point group."""
    points = np.concatenate([p for p, _ in parts])
    weights = np.concatenate([np.full(len(p), w) for p, w in parts])
    matrices = symmetry_matrices(symmetry)
    everywhere = np.einsum("kij,nj->kni", matrices, points).reshape(-1, 3)
    weights = np.tile(weights * _crowding(points, everywhere), len(matrices))
    return Assembly(everywhere - np.average(everywhere, axis=0, weights=weights), weights, symmetry)


def _crowding(points: np.ndarray, everywhere: np.ndarray) -> np.ndarray:
    """Weights (n,) that bring places where domains overlap back to the density of protein."""
    radius = 8.0
    neighbours = cKDTree(everywhere).query_ball_point(points, radius, return_length=True)
    return 1 / np.maximum(1.0, neighbours / (4 / 3 * np.pi * radius**3 / _RESIDUE_VOLUME))


def trpv1() -> Assembly:
    """A C4 channel: membrane helices in a faint detergent belt above a skirt of ankyrin repeats.

    The body is about 115 A, 173 A with loose ends.
    """
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
    parts.append((domain(rng, tuple(at(16, 40, 25)), (16, 16, 11), "mixed"), 1.0))
    parts.append((domain(rng, tuple(at(31, 42, -37)), (22, 22, 17), "mixed"), 1.0))
    for repeat in range(6):
        turn = 28 - 13.0 * repeat
        middle = at(38 + 2.4 * repeat, turn, -46 - 4.5 * repeat)
        reach = at(9, turn + 20, 0)
        for lift, shift in ((0.0, 0.0), (9.0, 3.0)):
            foot = middle + [0, 0, -lift] + at(shift, turn + 90, 0)
            parts.append((helix(foot - reach, foot + reach), 1.0))
        parts.append((domain(rng, tuple(middle - [0, 0, 6]), (13, 9, 11), "mixed"), 0.6))
    parts.append((loose_end(rng, tuple(at(50, -37, -82)), tuple(at(62, -64, -100))), 0.7))
    parts.append((loose_end(rng, tuple(at(18, 45, 33)), tuple(at(30, 80, 47))), 0.7))
    angle, height = rng.uniform(0, np.pi / 2, 1100), 23 * rng.uniform(-1, 1, 1100)
    distance = np.sqrt(rng.uniform(18**2, (52 - 0.012 * height**2) ** 2))
    parts.append((np.stack([distance * np.cos(angle), distance * np.sin(angle), height], 1), 0.5))
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
    """A random complex, `diameter` Angstrom long: compact, shell, branched, ring, cage or rod, in C, D or O symmetry."""
    grain = max(1.0, diameter / _FINEST_DIAMETER)
    for _ in range(_DRAWS):
        symmetry, places, widths = _random_blueprint(rng, diameter / grain)
        if _is_connected(symmetry, places, widths):
            break
    parts = []
    for place, width in zip(places, widths, strict=True):
        radii = np.maximum(width * rng.uniform(0.85, 1.2, 3), 7.0)
        fold = str(rng.choice(["alpha", "beta", "mixed"]))
        parts.append((domain(rng, tuple(place), tuple(radii), fold), rng.uniform(0.8, 1.1)))
    whole = replicate([(p, w) for p, w in parts if len(p)], symmetry)
    return Assembly(whole.points * (diameter / longest_dimension(whole.points)), whole.weights, symmetry)


def hollow_assembly(rng: np.random.Generator, diameter: float) -> Assembly:
    """A closed shell `diameter` Angstrom across with a thin wall, as of ferritins and small viruses, in O or I symmetry."""
    symmetry, order = [("O", 24), ("I", 60)][int(rng.integers(2))]
    wall = diameter * rng.uniform(0.06, 0.11)
    radius = diameter / 2 - wall
    count = int(np.ceil(_SHELL_COVER * 4 * radius**2 / wall**2 / order))
    parts = []
    for _ in range(count):
        radii = np.maximum(wall * rng.uniform(0.85, 1.2, 3), 7.0)
        fold = str(rng.choice(["alpha", "beta", "mixed"]))
        parts.append((domain(rng, tuple(_towards(rng, radius)), tuple(radii), fold), rng.uniform(0.8, 1.1)))
    whole = replicate([(p, w) for p, w in parts if len(p)], symmetry)
    return Assembly(whole.points * (diameter / longest_dimension(whole.points)), whole.weights, symmetry)


def _random_blueprint(rng: np.random.Generator, size: float) -> tuple[str, np.ndarray, np.ndarray]:
    """Point group, domain centres (k, 3) and radii (k,) of the asymmetric unit of a complex `size` A long."""
    kinds = ["compact", "shell", "cyclic", "dihedral", "cage", "ring", "rod"]
    shape = rng.choice(kinds, p=[0.3, 0.1, 0.2, 0.12, 0.08, 0.1, 0.1])
    if shape == "compact":  # most complexes fill their sphere: ribosomes, chaperones, polymerases
        order = int(rng.integers(1, 5))
        count = int(rng.integers(8, 15)) // order + 1
        places = np.array([_towards(rng, size * rng.uniform(0.1, 0.33)) for _ in range(count)])
        return f"C{order}", places, size * rng.uniform(0.13, 0.22, count)
    if shape == "shell":  # ferritins, virus-like particles
        width = size * rng.uniform(0.11, 0.15)
        places = np.array([_towards(rng, size / 2 - width) for _ in range(int(rng.integers(2, 4)))])
        return "O", places, np.full(len(places), width)
    if shape == "cage":
        return "O", _towards(rng, size * rng.uniform(0.3, 0.36))[None], size * rng.uniform(0.1, 0.16, 1)
    if shape == "ring":
        order, radius = int(rng.integers(5, 9)), size * rng.uniform(0.28, 0.36)
        width = radius * np.sin(np.pi / order) * rng.uniform(1.05, 1.3)
        above = [radius - size * rng.uniform(0, 0.12), 0, width * rng.uniform(0.9, 1.4)]
        places = np.array([[radius, 0, width * rng.uniform(0, 0.7)], above])[: rng.integers(1, 3)]
        return f"{rng.choice(['C', 'D'])}{order}", places, (width * np.array([1.0, 0.7]))[: len(places)]
    if shape == "rod":
        symmetry, count = str(rng.choice(["C1", "C2", "D1", "D2", "C3", "D3"])), int(rng.integers(3, 6))
        heights = np.linspace(0.06 if symmetry[0] == "D" else -0.4, 0.4, count) * size
        widths = np.maximum(heights[1] - heights[0], size * 0.1) * rng.uniform(0.6, 0.8, count)
        places = np.stack([size * rng.uniform(0.03, 0.1, count), np.zeros(count), heights], 1)
        return symmetry, places, widths
    order = int(rng.integers(1, 7) if shape == "cyclic" else rng.integers(2, 8))
    copies = order * (1 if shape == "cyclic" else 2)
    width = size * 0.4 / copies ** (1 / 3) * rng.uniform(0.7, 0.95)
    places, widths = _towards(rng, size * rng.uniform(0.08, 0.24))[None], np.array([width])
    for _ in range(int(rng.integers(1, 4)) + (4 if copies == 1 else 1)):
        base = int(rng.integers(len(places)))
        step = _towards(rng, (widths[base] + width) * rng.uniform(0.65, 0.85))
        places, widths = (
            np.vstack([places, places[base] + step]),
            np.append(widths, width * rng.uniform(0.7, 1.1)),
        )
    return f"{'C' if shape == 'cyclic' else 'D'}{order}", places, widths


def _is_connected(symmetry: str, places: np.ndarray, widths: np.ndarray) -> bool:
    everywhere = np.einsum("kij,nj->kni", symmetry_matrices(symmetry), places).reshape(-1, 3)
    radii = np.tile(widths, len(everywhere) // len(places))
    touching = cdist(everywhere, everywhere) < 0.85 * (radii[:, None] + radii)
    return connected_components(touching)[0] == 1


def _towards(rng: np.random.Generator, length: float) -> np.ndarray:
    direction = rng.normal(size=3)
    return length * direction / np.linalg.norm(direction)
