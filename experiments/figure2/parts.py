"""What the paper's Figure 2 shows, as arrays: nothing here draws."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from drpnet.cascade import Picker
from drpnet.config import SelectionConfig
from drpnet.errors import InputError
from drpnet.mining import Mined, MinedSamples, mine_samples
from drpnet.overlay import to_picture
from drpnet.patches import extract_patches
from drpnet.selection import NEGATIVE, POSITIVE
from drpnet.targets import DistanceTarget
from experiments.figure2.sources import Shown, Source

FIELD = 2.0
"""Edge of the views of one particle, in particle diameters."""
ALONE = 1.5
"""A particle is alone when its nearest neighbour is so many diameters away: no other reaches into its view."""
SMOOTHING = 0.07
"""Low-pass for the eye of A, F and G: sigma in particle diameters."""
TARGET = DistanceTarget(merge_touching=True)
"""The paper's: the distance transform of the particles' discs."""


@dataclass(frozen=True)
class View:
    """An image (h, w) and its Angstrom per px."""

    image: np.ndarray
    pixel_size: float


@dataclass(frozen=True)
class Parts:
    """The figure's panels; `centre` (y, x) is the particle's place in the micrograph, in Angstrom."""

    particle: View
    target: View
    predicted: View
    micrograph: View
    predicted_map: View
    centre: np.ndarray
    samples: MinedSamples
    positives: np.ndarray
    negatives: np.ndarray
    patch_pixel_size: float


def parts(picker: Picker, source: Source, tiles: int = 24, seed: int = 0) -> Parts:
    """Everything that is shown of a source: its first micrograph, one particle of it, `tiles` samples of each class.

    The samples come from all micrographs of the source, selected without labels (paper 3.3.2).
    """
    first, diameter = source.micrographs[0], source.particle_diameter
    detection = picker.detect(first.image, first.pixel_size, diameter)
    frame, found = detection.frame, detection.distance_map
    centres = np.empty((0, 2)) if first.centres is None else first.centres
    chosen = centres[typical_particle(first, found, frame.from_micrograph(centres), diameter)]
    target = TARGET(found.shape, frame.from_micrograph(centres), frame.particle_diameter_px)
    size = 2 * round(FIELD * frame.particle_diameter_px / 2) + 1
    place = frame.from_micrograph(chosen[None])
    view, scale = to_picture(first.image, diameter / first.pixel_size)
    fields = [Mined(one.image, one.pixel_size) for one in source.micrographs]
    samples = mine_samples(picker, fields, diameter, SelectionConfig(), seed)
    rng = np.random.default_rng(seed)
    return Parts(
        particle=particle_view(first, chosen, diameter),
        target=View(extract_patches(target, place, size)[0], frame.pixel_size),
        predicted=View(extract_patches(found, place, size)[0], frame.pixel_size),
        micrograph=View(view, first.pixel_size * scale),
        predicted_map=View(found, frame.pixel_size),
        centre=(chosen + 0.5) * first.pixel_size,
        samples=samples,
        positives=drawn(samples, POSITIVE, tiles, rng),
        negatives=drawn(samples, NEGATIVE, tiles, rng),
        patch_pixel_size=diameter / picker.model.patches.particle_diameter_px,
    )


def typical_particle(micrograph: Shown, distance_map: np.ndarray, places: np.ndarray, diameter: float) -> int:
    """Index of the labelled particle that stands alone and whose predicted height is the median of such particles.

    `places` (n, 2) are the labels in the pixels of `distance_map`. Without one that stands alone: the loneliest. Raises
    InputError when there are no labels a diameter away from the edges.
    """
    size, centres = diameter / micrograph.pixel_size, micrograph.centres
    inside = np.empty(0, int)
    if centres is not None and len(centres):
        inside = np.flatnonzero(
            np.all((centres > size) & (centres < np.asarray(micrograph.image.shape) - size), axis=1)
        )
    if centres is None or not len(inside):
        raise InputError(f"{micrograph.name} has no labelled particle to show; use a micrograph with labels")
    nearest = np.full(len(centres), np.inf)
    if len(centres) > 1:
        nearest = cKDTree(centres).query(centres, k=2)[0][:, 1]
    alone = inside[nearest[inside] >= min(ALONE * size, nearest[inside].max())]
    rows, columns = np.floor(places[alone] + 0.5).astype(int).T
    heights = distance_map[rows, columns]
    return int(alone[np.argsort(heights, kind="stable")[(len(alone) - 1) // 2]])


def particle_view(micrograph: Shown, centre: np.ndarray, diameter: float) -> View:
    """A particle (s, s) cut from the micrograph itself, low-passed for the eye."""
    size = diameter / micrograph.pixel_size
    edge = 2 * round(FIELD * size / 2) + 1
    patch = extract_patches(micrograph.image, centre[None], 2 * edge)[0]
    start = edge - edge // 2
    smooth = ndimage.gaussian_filter(patch, SMOOTHING * size)[start : start + edge, start : start + edge]
    return View(smooth, micrograph.pixel_size)


def seen(patches: np.ndarray, particle_diameter_px: float) -> np.ndarray:
    """Patches (n, s, s) as F and G show them: low-passed for the eye."""
    sigma = SMOOTHING * particle_diameter_px
    return ndimage.gaussian_filter(patches, (0, sigma, sigma), mode="nearest")


def drawn(samples: MinedSamples, label: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of at most `count` samples of a class, drawn at random."""
    return rng.permutation(np.flatnonzero(samples.labels == label))[:count]
