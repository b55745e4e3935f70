"""One refinement in numbers: views, efficiency, FSC, maximum probabilities, resolution against particles."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.refinement import RefinementFiles, find_refinement, open_particles, particle_angles, read_symmetry
from drpnet.quality.curves import fsc_of
from drpnet.quality.settings import Run, Settings
from drpnet.quality.subsets import rosenthal_henderson
from drpnet.reconstruction.efficiency import orientation_efficiency
from drpnet.reconstruction.symmetry import parse_symmetry
from drpnet.reconstruction.views import ViewCounts

DRAWN = 20_000
"""Particles in the scatter plot, drawn at random from a larger set."""
BINS = 50


def assess(run: Run, settings: Settings) -> dict[str, Any]:
    """All numbers of a run; `views` (folded counts at nside 32) and `scatter` (rot, tilt) are for the pictures.

    Particles are read in parts: memory does not depend on their number. Raises InputError for what cannot be read or
    belongs to something else.
    """
    files = find_refinement(run.path, run.postprocess)
    symmetry = _symmetry(files, settings)
    counts, probability, scatter = count_particles(files.particles, symmetry, settings.seed)
    efficiency = orientation_efficiency(counts.planes, settings.box, settings.b_factor)
    result = {
        "name": run.name,
        "particles_file": str(files.particles),
        "picked": run.picked,
        "particles": counts.particles,
        "symmetry": symmetry,
        "missing_views": asdict(counts.missing()),
        "efficiency": asdict(efficiency),
        "half_maps": None if files.half_maps is None else [str(path) for path in files.half_maps],
        "fsc": fsc_of(files, settings.mask, settings.seed),
        "maximum_probability": probability,
        "rosenthal_henderson": None if run.subsets is None else rosenthal_henderson(run.subsets, settings),
        "without_symmetry": None,
        "views": counts.folded,
        "scatter": scatter,
    }
    if run.without_symmetry is not None:
        other = replace(run, path=run.without_symmetry, without_symmetry=None, subsets=None, postprocess=None)
        bare = assess(other, replace(settings, symmetry="C1"))
        kept = ("particles_file", "particles", "symmetry", "missing_views", "efficiency", "fsc", "maximum_probability")
        result["without_symmetry"] = {key: bare[key] for key in kept}
    return result


def count_particles(
    particles: Path, symmetry: str, seed: int
) -> tuple[ViewCounts, dict[str, Any] | None, tuple[np.ndarray, np.ndarray]]:
    """Views, maximum probabilities and at most DRAWN pairs of rot and tilt, in degrees, of a particles .star."""
    counts = ViewCounts(symmetry)
    tally = _Probabilities()
    drawn = _Draw(seed)
    for rot, tilt, probability in particle_angles(open_particles(particles)):
        counts.add(rot, tilt)
        drawn.add(rot, tilt)
        if probability is not None:
            tally.add(probability)
    if counts.particles < 2:
        raise InputError(f"{particles} has {counts.particles} particle; the quality of a refinement needs two or more")
    return counts, tally.summary(), (drawn.rot, drawn.tilt)


def _symmetry(files: RefinementFiles, settings: Settings) -> str:
    if settings.symmetry is not None:
        return parse_symmetry(settings.symmetry)
    if files.sampling is None:
        raise InputError(
            f"{files.particles.parent} has no sampling.star that tells the point group; give --symmetry, C1 for none"
        )
    return parse_symmetry(read_symmetry(files.sampling))


class _Probabilities:
    """Mean, deviation and histogram of values from 0 to 1, added part by part."""

    def __init__(self) -> None:
        self.number, self.total, self.square = 0, 0.0, 0.0
        self.bars = np.zeros(BINS, np.int64)

    def add(self, values: np.ndarray) -> None:
        self.number += len(values)
        self.total += float(values.sum())
        self.square += float(values @ values)
        self.bars += np.histogram(np.clip(values, 0, 1), BINS, (0, 1))[0]

    def summary(self) -> dict[str, Any] | None:
        if not self.number:
            return None
        mean = self.total / self.number
        deviation = float(np.sqrt(max(self.square / self.number - mean**2, 0.0)))
        return {"mean": mean, "deviation": deviation, "histogram": self.bars.tolist(), "bins": BINS}


class _Draw:
    """A uniform random sample of fixed size from a stream: the rows with the smallest random keys."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.keys, self.rot, self.tilt = np.zeros(0), np.zeros(0), np.zeros(0)

    def add(self, rot: np.ndarray, tilt: np.ndarray) -> None:
        keys = np.append(self.keys, self.rng.random(len(rot)))
        kept = np.sort(np.argsort(keys, kind="stable")[:DRAWN])
        self.keys = keys[kept]
        self.rot, self.tilt = np.append(self.rot, rot)[kept], np.append(self.tilt, tilt)[kept]
