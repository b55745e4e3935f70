"""Resolution against the number of particles, from refinements of random subsets."""

import csv
import glob
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.refinement import find_refinement, open_particles, particle_angles
from drpnet.quality.curves import fsc_of
from drpnet.quality.settings import Settings
from drpnet.reconstruction.rosenthal_henderson import fit_rosenthal_henderson

COLUMNS = ("particles", "resolution")


def rosenthal_henderson(source: str, settings: Settings) -> dict[str, Any]:
    """Points and line of the Rosenthal-Henderson plot from a .csv (particles, resolution) or a glob of refinements.

    The resolution of a refinement is that of its corrected FSC at 0.143, as RELION reads it.
    """
    points = _from_csv(Path(source)) if source.endswith(".csv") else _from_runs(source, settings)
    particles, resolutions = np.array(sorted(points)).T
    fit = fit_rosenthal_henderson(particles, resolutions)
    return {
        "source": source,
        "particles": particles.astype(int).tolist(),
        "resolution": resolutions.tolist(),
        "fit": asdict(fit),
    }


def _from_csv(path: Path) -> list[tuple[float, float]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give a .csv with the columns particles,resolution") from None
    points = []
    for number, row in enumerate(rows, 2):
        try:
            particles, resolution = (float(row[name]) for name in COLUMNS)
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{path} line {number}: give a number in each of the columns particles,resolution"
            ) from None
        if not (particles >= 1 and 0 < resolution < np.inf):
            raise InputError(
                f"{path} line {number}: {particles:g} particles at {resolution:g} A; both must be positive"
            )
        points.append((particles, resolution))
    if not points:
        raise InputError(f"{path} has no rows; give one a subset: particles,resolution in Angstrom")
    return points


def _from_runs(pattern: str, settings: Settings) -> list[tuple[float, float]]:
    folders = sorted(glob.glob(pattern))
    if not folders:
        raise InputError(f"{pattern} matches no refinement; give a quoted glob of their folders, or a .csv")
    points = []
    for folder in folders:
        files = find_refinement(Path(folder))
        particles = sum(len(rot) for rot, _, _ in particle_angles(open_particles(files.particles)))
        resolution = fsc_of(files, settings.mask, settings.seed)["resolution"]["corrected"]["0.143"]["shell"]
        if resolution is None:
            raise InputError(f"{folder}: its FSC is below 0.143 from the first shell; leave this subset out")
        points.append((float(particles), resolution))
    return points
