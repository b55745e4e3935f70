"""A small C4 phantom, its projections on disk, and what RELION makes of them."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from torch_fourier_slice import project_3d_to_2d

from drpnet.io.star import write_star
from drpnet.io.volumes import write_volume
from drpnet.reconstruction.direct_fourier import Ctf

BOX, PIXEL_SIZE, COUNT = 32, 4.0, 600
MICROSCOPE = (300.0, 2.7, 0.1)


class Project(NamedTuple):
    """A folder with ref.mrc, parts.mrcs, parts.star and its first 20 particles, few.star."""

    folder: Path
    volume: np.ndarray
    images: np.ndarray
    angles: np.ndarray


def phantom() -> np.ndarray:
    """Density (32, 32, 32) in (z, y, x) with four-fold symmetry about z and no other."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-7, 7, (14, 3))
    turns = Rotation.create_group("C4", axis="Z").as_matrix()
    volume = np.zeros((BOX, BOX, BOX), np.float32)
    for x, y, z in np.rint(np.einsum("kij,nj->kni", turns, points).reshape(-1, 3)).astype(int) + BOX // 2:
        volume[z, y, x] += 1
    return gaussian_filter(volume, 1.2)


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    """Noisy projections with CTF, astigmatism and shifts, in RELION 3.1's layout."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(1)
    volume = phantom()
    turns = Rotation.random(COUNT, random_state=rng)
    angles = turns.as_euler("ZYZ", degrees=True)
    images = project_3d_to_2d(torch.from_numpy(volume), torch.from_numpy(turns.as_matrix().astype(np.float32))).numpy()
    u = rng.uniform(8000, 20000, COUNT)
    v, angle, origin = u - rng.uniform(0, 1500, COUNT), rng.uniform(0, 180, COUNT), rng.uniform(-2, 2, (COUNT, 2))
    spectra = np.fft.rfft2(images) * Ctf(u, v, angle, *MICROSCOPE).transfer(BOX, PIXEL_SIZE)
    spectra = spectra * np.exp(2j * np.pi * origin[:, :1] * np.fft.fftfreq(BOX))[:, :, None]
    spectra = spectra * np.exp(2j * np.pi * origin[:, 1:] * np.fft.rfftfreq(BOX))[:, None, :]
    images = np.fft.irfft2(spectra, s=(BOX, BOX)).astype(np.float32)
    images += rng.normal(0, 0.5 * images.std(), images.shape).astype(np.float32)
    write_volume(folder / "ref.mrc", volume, PIXEL_SIZE)
    write_volume(folder / "parts.mrcs", images / images.std(), PIXEL_SIZE, stack=True)
    optics = {
        "rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL_SIZE], "rlnImageSize": [BOX],
        "rlnImageDimensionality": [2], "rlnVoltage": [300.0], "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1],
    }  # fmt: skip
    particles = {
        "rlnImageName": [f"{i + 1:06d}@parts.mrcs" for i in range(COUNT)],
        "rlnMicrographName": [f"mic{i % 5}.mrc" for i in range(COUNT)],
        "rlnAngleRot": angles[:, 0], "rlnAngleTilt": angles[:, 1], "rlnAnglePsi": angles[:, 2],
        "rlnOriginXAngst": origin[:, 1] * PIXEL_SIZE, "rlnOriginYAngst": origin[:, 0] * PIXEL_SIZE,
        "rlnDefocusU": u, "rlnDefocusV": v, "rlnDefocusAngle": angle,
        "rlnRandomSubset": np.arange(COUNT) % 2 + 1, "rlnOpticsGroup": np.ones(COUNT, int),
    }  # fmt: skip
    write_star(folder / "parts.star", {"optics": optics, "particles": particles})
    write_star(folder / "few.star", {"optics": optics, "particles": {k: v[:20] for k, v in particles.items()}})
    return Project(folder, volume, images / images.std(), angles)


def run_relion(folder: Path, program: str, *words: object, complete: bool = True) -> str:
    """Standard output of one of RELION's programs, run in a folder; skips the test where RELION is missing."""
    if shutil.which(program) is None:
        pytest.skip("RELION is not installed: apt-get install relion")
    command = [program, *map(str, words)]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert not complete or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def relion():
    """Runs one of RELION's programs: (folder, program, words)."""
    return run_relion


@pytest.fixture(scope="session")
def refine(project):
    """Runs one iteration of relion_refine against the phantom, (name, symmetry, order, words), and gives its folder."""

    def run(name: str, symmetry: str, order: int, *words: object, stars: str = "few.star") -> Path:
        folder = project.folder / name
        folder.mkdir()
        run_relion(
            project.folder, "relion_refine", "--i", stars, "--o", f"{name}/run", "--ref", "ref.mrc", "--firstiter_cc",
            "--ini_high", 40, "--iter", 1, "--particle_diameter", 100, "--sym", symmetry, "--healpix_order", order,
            "--offset_range", 1, "--offset_step", 2, "--oversampling", 0, "--j", 2, "--pad", 1, *words,
        )  # fmt: skip
        return folder

    return run
