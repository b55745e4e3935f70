"""A small simulation with little noise, and picks of it on disk."""

from pathlib import Path

import numpy as np
import pytest

from drpnet.io.picks import write_autopick_star
from drpnet.maps.known_poses import Simulation, read_simulation
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters

DIAMETER, PIXEL_SIZE, BOX = 173.0, 6.5, 36
RADIUS_PX = DIAMETER / PIXEL_SIZE / 2


def parameters(**changes) -> SimulationParameters:
    """Eight micrographs of 300 px with 22 particles of a C4 structure."""
    words = {
        "structures": ["trpv1"], "particle_diameter": DIAMETER, "micrographs": 8, "height": 300, "width": 300,
        "pixel_size": PIXEL_SIZE, "particles_per_micrograph": 22, "min_distance": 1.0, "cluster_fraction": 0.0,
        "snr_range": [1.0, 1.0], "defocus_range": [1.0, 2.0], "carbon_probability": 0.0,
        "contamination_probability": 0.0, "seed": 1,
    }  # fmt: skip
    return SimulationParameters(**{**words, **changes})


@pytest.fixture(scope="session")
def simulation(tmp_path_factory) -> Simulation:
    """The simulation, read."""
    return read_simulation(simulate_dataset(parameters(), tmp_path_factory.mktemp("maps") / "simulated"))


@pytest.fixture(scope="session")
def write_picks():
    """Writes picks: a .star a micrograph in a folder from its centres (n, 2) and scores."""

    def write(folder: Path, picks: dict[str, tuple[np.ndarray, np.ndarray]]) -> Path:
        for stem, (centres, scores) in picks.items():
            write_autopick_star(folder / f"{stem}_autopick.star", centres, scores)
        return folder

    return write


@pytest.fixture(scope="session")
def places_without_particles():
    """Centres (count, 2) of a micrograph farther than a radius from every particle."""
    return _places_without_particles


def _places_without_particles(simulation: Simulation, number: int, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, number])
    throws = rng.uniform(BOX, np.array(simulation.shape) - BOX, (4000, 2))
    own = simulation.centres[simulation.micrograph == number]
    distance = np.linalg.norm(throws[:, None] - own, axis=2).min(axis=1)
    return throws[distance > 1.05 * RADIUS_PX][:count]


@pytest.fixture(scope="session")
def picker(simulation, write_picks, tmp_path_factory) -> Path:
    """Picks of nine in ten particles, 2 px off, and three false ones a micrograph, which score less."""
    rng = np.random.default_rng(0)
    picks = {}
    for number, name in enumerate(simulation.names):
        own = simulation.centres[simulation.micrograph == number]
        own = own[rng.random(len(own)) < 0.9]
        wrong = _places_without_particles(simulation, number, 3)
        centres = np.concatenate([own + rng.normal(0, 1.4, own.shape), wrong])
        scores = np.concatenate([rng.uniform(0.5, 1, len(own)), rng.uniform(0, 0.4, len(wrong))])
        picks[Path(name).stem] = (centres, scores)
    return write_picks(tmp_path_factory.mktemp("picks") / "good", picks)
