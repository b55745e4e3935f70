"""Reconstructions against the phantom, teamtomo's slices and relion_reconstruct on the same poses."""

import mrcfile
import numpy as np
import pytest
import torch
from scipy.fft import rfftn
from scipy.spatial.transform import Rotation
from torch_fourier_slice import backproject_2d_to_3d, project_3d_to_2d

from drpnet.errors import InputError
from drpnet.quality.halves import reconstruct_halves
from drpnet.reconstruction.direct_fourier import Ctf, Reconstruction
from drpnet.reconstruction.fsc import shell_correlation
from drpnet.reconstruction.symmetry import symmetry_matrices


def ball(volume):
    """The map with a soft edge inside its sphere: RELION empties the corners."""
    box = len(volume)
    distance = np.sqrt(((np.mgrid[:box, :box, :box] - box // 2) ** 2).sum(axis=0))
    return volume * np.clip((box / 2 - 3 - distance) / 3, 0, 1)


def fsc(first, second):
    return shell_correlation(rfftn(ball(first)), rfftn(ball(second)))


@pytest.fixture(scope="module")
def projections(project):
    turns = Rotation.random(1500, random_state=5)
    matrices = torch.from_numpy(turns.as_matrix().astype(np.float32))
    return project_3d_to_2d(torch.from_numpy(project.volume), matrices).numpy(), turns.as_euler("ZYZ", degrees=True), matrices


def test_projections_give_the_map_back(project, projections):
    images, angles, matrices = projections
    made = Reconstruction(32, 4.0)
    for part in np.array_split(np.arange(len(images)), 3):
        made.add(images[part], angles[part], None)
    found = made.volume()
    assert fsc(found, project.volume)[:14].min() > 0.99
    scale = (ball(found) * ball(project.volume)).sum() / (ball(project.volume) ** 2).sum()
    assert scale == pytest.approx(1, abs=0.03)
    theirs = backproject_2d_to_3d(torch.from_numpy(images[:300]), matrices[:300]).numpy()
    few = Reconstruction(32, 4.0)
    few.add(images[:300], angles[:300], None)
    assert fsc(few.volume(), theirs)[:12].min() > 0.98


def test_symmetry_makes_more_of_few_views(project, projections):
    images, angles, _ = projections
    plain, fourfold = Reconstruction(32, 4.0), Reconstruction(32, 4.0, "C4")
    for made in (plain, fourfold):
        made.add(images[:40], angles[:40], None)
    gain = fsc(fourfold.volume(), project.volume) - fsc(plain.volume(), project.volume)
    assert gain[10:15].min() > 0
    turned = np.rot90(fourfold.volume(), axes=(1, 2))
    inside = slice(1, None)
    np.testing.assert_allclose(
        fourfold.volume()[inside, inside, inside], np.roll(turned, 1, axis=1)[inside, inside, inside], atol=2e-3
    )


def test_halves_of_particles_on_disk(project):
    first, second, voxel_size = reconstruct_halves(project.folder / "parts.star", "C4")
    assert voxel_size == 4.0
    assert fsc(first + second, project.volume)[1:8].min() > 0.9
    assert fsc(first, second)[1:6].min() > 0.7
    without = sum(reconstruct_halves(project.folder / "parts.star", "C4", ctf=False)[:2])
    gain = fsc(first + second, project.volume) - fsc(without, project.volume)
    assert gain[9:14].mean() > 0.1  # there the CTF changes its sign


@pytest.mark.relion
@pytest.mark.parametrize(("symmetry", "ctf"), [("C1", False), ("C4", True)])
def test_the_map_is_that_of_relion_reconstruct(project, relion, symmetry, ctf):
    words = ["--i", "parts.star", "--o", "theirs.mrc", "--sym", symmetry, "--skip_gridding", "--subset", 1]
    relion(project.folder, "relion_reconstruct", *words, *(["--ctf"] if ctf else []))
    theirs = mrcfile.read(project.folder / "theirs.mrc")
    ours = reconstruct_halves(project.folder / "parts.star", symmetry, ctf=ctf)[0]
    ours, theirs = ball(ours), ball(theirs)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97
    assert fsc(ours, theirs)[1:10].min() > 0.95
    assert (ours * theirs).sum() / (theirs**2).sum() == pytest.approx(1, abs=0.1)


def test_images_of_another_box(projections):
    with pytest.raises(InputError, match="the reconstruction's box is 30"):
        Reconstruction(30, 4.0).add(projections[0][:2], projections[1][:2], None)
    with pytest.raises(InputError, match="must be even and at least 8, got 31"):
        Reconstruction(31, 4.0)


@pytest.mark.parametrize("symmetry", ["C3", "C4", "D2", "D3", "T", "O"])
def test_a_symmetric_map_is_that_of_every_copy_added_by_itself(project, projections, symmetry):
    images, angles, _ = projections
    transfer = Ctf(*(np.array([value]) for value in (21000.0, 20000.0, 30.0)), 300.0, 2.7, 0.1)
    shifts = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    at_once, one_by_one = Reconstruction(32, 4.0, symmetry), Reconstruction(32, 4.0)
    at_once.add(images[:20], angles[:20], transfer, shifts)
    turns = Rotation.from_euler("ZYZ", angles[:20], degrees=True)
    for matrix in symmetry_matrices(symmetry):
        copies = (Rotation.from_matrix(matrix) * turns).as_euler("ZYZ", degrees=True)
        one_by_one.add(images[:20], copies, transfer, shifts)
    found, expected = at_once.volume(), one_by_one.volume()
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
