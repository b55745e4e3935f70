"""Half maps from picks with orientations: boxes are cut, turned into slices and forgotten, a micrograph at a time."""

from collections.abc import Iterator

import numpy as np

from drpnet.errors import InputError
from drpnet.io.micrographs import read_micrograph
from drpnet.maps.known_poses import PosedPicks, Simulation
from drpnet.reconstruction.direct_fourier import Reconstruction


def half_maps(
    simulation: Simulation, picks: PosedPicks, box: int, symmetry: str, *, recentred: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two maps (box, box, box) in (z, y, x) of random halves of the picks, all of which need angles.

    `recentred` takes the true centre of true picks, as a refinement would find it. Memory holds the boxes of one micrograph
    and the sums of both halves, however many picks there are. Raises InputError for fewer than two picks.
    """
    if len(picks.micrograph) < 2:
        raise InputError(f"{len(picks.micrograph)} picks give no two half maps; give two or more whose box fits")
    half = rng.permutation(len(picks.micrograph)) % 2
    sums = [Reconstruction(box, simulation.pixel_size, symmetry) for _ in range(2)]
    for number, rows, image in micrographs_of(simulation, picks):
        centres = (picks.true_centres if recentred else picks.centres)[rows]
        boxes, shifts = extract(image, centres, box)
        transfer = simulation.ctf(number)
        for side in (0, 1):
            own = half[rows] == side
            if own.any():
                sums[side].add(boxes[own], picks.angles[rows[own]], transfer, shifts[own])
    return sums[0].volume(), sums[1].volume()


def extract(image: np.ndarray, centres: np.ndarray, box: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, box, box) float32 of an image (h, w) near centres (n, 2), mean 0 and deviation 1.

    Also the shifts (n, 2) in (y, x) px that bring a centre to pixel box // 2: less than a pixel, more where the box would
    leave the image and is moved into it.
    """
    corner = np.floor(centres + 0.5).astype(int) - box // 2
    corner = np.clip(corner, 0, np.array(image.shape) - box)
    boxes = np.stack([image[y : y + box, x : x + box] for y, x in corner]).astype(np.float32)
    boxes -= boxes.mean(axis=(1, 2), keepdims=True)
    boxes /= np.maximum(boxes.std(axis=(1, 2), keepdims=True), 1e-12)
    return boxes, corner + box // 2 - centres


def has_whole_box(centres: np.ndarray, box: int, shape: tuple[int, int]) -> np.ndarray:
    """Which centres (n, 2) have their box inside an (h, w) image; the others are extracted by nobody."""
    corner = np.floor(centres + 0.5).astype(int) - box // 2
    return np.asarray(((corner >= 0) & (corner + box <= np.array(shape))).all(axis=1))


def micrographs_of(simulation: Simulation, picks: PosedPicks) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Number, places of its picks, and image of every micrograph that has some, one after another."""
    for number in np.unique(picks.micrograph):
        rows = np.flatnonzero(picks.micrograph == number)
        yield int(number), rows, read_micrograph(simulation.path(int(number)))[0]
