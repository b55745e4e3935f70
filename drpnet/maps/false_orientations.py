"""Orientations for false picks, which have none: the two bounds of what a refinement could do with them."""

from dataclasses import replace

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from drpnet.maps.half_maps import extract, micrographs_of
from drpnet.maps.known_poses import PosedPicks, Simulation
from drpnet.reconstruction.symmetry import fold
from drpnet.reconstruction.views import pixel_centres, rot_and_tilt
from drpnet.simulation.projection import project

VIEWS_NSIDE, PSI_STEP = 8, 15.0
_CHUNK = 512


def at_random(picks: PosedPicks, rng: np.random.Generator) -> PosedPicks:
    """False picks in random orientations: they add noise and pull to nothing."""
    drawn = Rotation.random(len(picks.angles), random_state=rng).as_euler("ZYZ", degrees=True)
    return replace(picks, angles=np.where(picks.is_true[:, None], picks.angles, drawn))


def best_aligned(simulation: Simulation, picks: PosedPicks, box: int, symmetry: str) -> PosedPicks:
    """False picks in the orientations in which they look most like the structure, at the picked centre.

    The largest correlation with its projections, seen through the micrograph's CTF, on a grid of 7 degrees for the view and
    15 for psi. So noise comes to look like the reference («Einstein from noise»; Henderson, PNAS 110:18037, 2013): both
    half maps get the same bias, and no FSC tells it from signal.
    """
    false = np.flatnonzero(~picks.is_true)
    angles = picks.angles.copy()
    if not len(false):
        return picks
    grid, images = templates(simulation, box, symmetry)
    spectra = rfft2(images)
    for number, rows, image in micrographs_of(simulation, picks.at(false)):
        boxes, _ = extract(image, picks.centres[false[rows]], box)
        transfer = simulation.ctf(number).transfer(box, simulation.pixel_size)[0].astype(np.float32)
        angles[false[rows]] = grid[best_template(boxes, spectra, transfer)]
    return replace(picks, angles=angles)


def best_template(boxes: np.ndarray, spectra: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Which template (n,) correlates best with each box (n, b, b); half transforms (k, b, b // 2 + 1), a CTF for all."""
    size = boxes.shape[-1]
    flat = boxes.reshape(len(boxes), -1)
    best, which = np.full(len(boxes), -np.inf), np.zeros(len(boxes), int)
    for start in range(0, len(spectra), _CHUNK):
        seen = irfft2(spectra[start : start + _CHUNK] * transfer, s=(size, size)).reshape(-1, size * size)
        seen -= seen.mean(axis=1, keepdims=True)
        seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-12)
        likeness = flat @ seen.T
        top = likeness.argmax(axis=1)
        better = likeness[np.arange(len(flat)), top] > best
        best[better], which[better] = likeness[better, top[better]], start + top[better]
    return which


def templates(simulation: Simulation, box: int, symmetry: str) -> tuple[np.ndarray, np.ndarray]:
    """Rot, tilt, psi (k, 3) in degrees that cover the asymmetric unit, and the structure's projections (k, box, box).

    Every view is projected once, at psi = 0, and turned in its plane, which takes a twentieth of the time.
    """
    views = np.unique(np.round(fold(pixel_centres(VIEWS_NSIDE), symmetry), 6), axis=0)
    rot, tilt = rot_and_tilt(views)
    psi = np.arange(0.0, 360.0, PSI_STEP)
    angles = np.stack([np.repeat(rot, len(psi)), np.repeat(tilt, len(psi)), np.tile(psi, len(rot))], axis=1)
    flat = np.stack([rot, tilt, np.zeros(len(rot))], axis=1)
    upright = windowed(project(simulation.structure, flat, simulation.pixel_size), box)
    return angles, np.concatenate([[turned(image, one) for one in psi] for image in upright])


def turned(image: np.ndarray, psi: float) -> np.ndarray:
    """A projection (b, b) float32 at psi degrees from that at psi = 0: in-plane, about pixel b // 2."""
    cos, sin = np.cos(np.deg2rad(psi)), np.sin(np.deg2rad(psi))
    matrix = np.array([[cos, sin], [-sin, cos]])  # (y, x) of the output to (y, x) of the input
    middle = np.full(2, image.shape[0] // 2)
    return affine_transform(image, matrix, middle - matrix @ middle, order=1, mode="constant", output=np.float32)


def windowed(images: np.ndarray, box: int) -> np.ndarray:
    """Images (n, b, b) cut or padded to (n, box, box), pixel b // 2 at box // 2."""
    size = images.shape[-1]
    if size < box:
        before = box // 2 - size // 2
        after = box - size - before
        return np.pad(images, ((0, 0), (before, after), (before, after)))
    start = size // 2 - box // 2
    return images[:, start : start + box, start : start + box]
