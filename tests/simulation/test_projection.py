"""Projections against Gaussians whose projections are known in closed form."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from drpnet.simulation.assemblies import trpv1
from drpnet.simulation.projection import enlarge, place, project
from drpnet.simulation.structures import PointStructure


def gaussian_picture(shape: tuple[int, int], centre: np.ndarray, sigma: float) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def centre_of_mass(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(y * image).sum(), (x * image).sum()]) / image.sum()


def arm() -> PointStructure:
    """A long arm along x, a short one along y, a middle one along z: every wrong axis order shows."""
    points = np.array([[48.0, 0, 0], [0, 24.0, 0], [0, 0, 36.0], [-48.0, -24.0, -36.0]])
    return PointStructure(points, np.array([1.0, 2.0, 3.0, 0.0]), 8.0, 130.0)


@pytest.mark.parametrize("pixel_size", [4.0, 1.3])
@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, 90, 0), (25, 60, -70), (-160, 130, 45)])
def test_projection_of_gaussians_is_their_analytic_sum(
    angles: tuple[float, float, float], pixel_size: float
) -> None:
    structure = arm()
    image = project(structure, np.array([angles], float), pixel_size)[0]
    box = image.shape[0]
    # RELION turns the map into the particle by the inverse of R(rot, tilt, psi): points go by its transpose.
    turned = structure.points @ Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix()
    expected = sum(
        w * gaussian_picture((box, box), p[1::-1] / pixel_size + box // 2, structure.sigma / pixel_size)
        for p, w in zip(turned, structure.weights, strict=True)
    )
    assert np.corrcoef(image.ravel(), expected.ravel())[0, 1] > 0.995
    np.testing.assert_allclose(centre_of_mass(image), centre_of_mass(expected), atol=0.35 / pixel_size)


@pytest.mark.parametrize("centre", [(40.0, 50.0), (40.3, 50.49), (39.51, 49.75), (40.5, 50.5)])
def test_one_blob_lands_at_its_centre(centre: tuple[float, float]) -> None:
    blob = PointStructure(np.zeros((1, 3)), np.ones(1), 9.0, 60.0)
    picture = project(blob, np.zeros((1, 3)), 3.0)
    frame = place(picture, np.array([centre]), (90, 100))
    np.testing.assert_allclose(centre_of_mass(frame), centre, atol=0.05)
    expected = gaussian_picture(frame.shape, np.array(centre), 3.0)
    np.testing.assert_allclose(frame / frame.sum(), expected, atol=0.03 * expected.max())


def test_particles_at_the_edges_are_cut_and_sums_add_up() -> None:
    blob = PointStructure(np.zeros((1, 3)), np.ones(1), 9.0, 60.0)
    picture = project(blob, np.zeros((1, 3)), 3.0)
    centres = np.array([[0.0, 0.0], [59.0, 30.2], [20.4, 69.0]])
    pictures = np.repeat(picture, 3, axis=0)
    together = place(pictures, centres, (60, 70))
    apart = sum(place(picture, c[None], (60, 70)) for c in centres)
    np.testing.assert_allclose(together, apart, atol=1e-6)
    assert together[0, 0] == pytest.approx(together.max(), rel=0.02)
    assert place(pictures[:0], centres[:0], (60, 70)).sum() == 0


def test_fourfold_rotation_of_the_channel_changes_nothing() -> None:
    assembly = trpv1()
    structure = PointStructure(assembly.points, assembly.weights, 3.0, 173.0)
    tilted = project(structure, np.array([[10.0, 70, 20], [100.0, 70, 20], [55.0, 70, 20]]), 4.0)
    same = np.corrcoef(tilted[0].ravel(), tilted[1].ravel())[0, 1]
    other = np.corrcoef(tilted[0].ravel(), tilted[2].ravel())[0, 1]
    assert same > 0.999 > other


@pytest.mark.parametrize(("small", "large"), [(20, 34), (24, 48), (16, 16)])
def test_enlarging_keeps_the_middle_and_the_mean(small: int, large: int) -> None:
    centre = np.array([small // 2, small // 2])
    picture = gaussian_picture((small, small), centre, 1.8).astype(np.float32)
    bigger = enlarge(picture[None], large)[0]
    expected = gaussian_picture((large, large), np.array([large // 2] * 2), 1.8 * large / small)
    np.testing.assert_allclose(bigger / bigger.sum(), expected, atol=0.02 * expected.max())
    assert bigger.mean() == pytest.approx(picture.mean(), rel=1e-3)
