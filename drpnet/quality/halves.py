"""Half maps from extracted particles with known orientations, by direct Fourier inversion."""

from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.particle_images import particle_images, read_optics
from drpnet.reconstruction.direct_fourier import Ctf, Reconstruction


def reconstruct_halves(star: Path, symmetry: str = "C1", *, ctf: bool = True) -> tuple[np.ndarray, np.ndarray, float]:
    """The two half maps (b, b, b) in (z, y, x) of a particles .star, and their voxel size in Angstrom.

    Images count as RELION extracts them, white in focus; with `ctf` each is weighted by its own. They are read in parts of
    512, so memory does not depend on their number. Raises InputError for a half without particles, unknown CTFs, and what
    cannot be read.
    """
    optics = read_optics(star)
    halves: dict[int, Reconstruction] = {}
    for part in particle_images(star, optics.pixel_size):
        if ctf and (part.defocus is None or optics.microscope is None):
            raise InputError(f"{star} does not say the CTF (rlnDefocusU, rlnVoltage ...); give it or reconstruct without CTF")
        for half in (1, 2):
            chosen = part.halves == half
            if not chosen.any():
                continue
            if half not in halves:
                halves[half] = Reconstruction(part.images.shape[-1], optics.pixel_size, symmetry)
            transfer = None
            if ctf and part.defocus is not None and optics.microscope is not None:
                u, v, angle = part.defocus[chosen].T
                transfer = Ctf(u, v, angle, *optics.microscope)
            halves[half].add(part.images[chosen], part.euler_angles[chosen], transfer, part.shifts[chosen])
    if len(halves) < 2:
        raise InputError(f"{star}: one of the two halves has no particles; give two particles or more, in both random subsets")
    return halves[1].volume(), halves[2].volume(), optics.pixel_size
