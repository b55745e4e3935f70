"""Simulated micrographs on disk, from conf/simulation: what `drpnet simulate` does."""

from pathlib import Path

from drpnet.progress import counted
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters


def simulate(parameters: SimulationParameters, out: Path) -> Path:
    """Write the micrographs, particles.star and simulation.json into `out`, with a progress bar; returns the folder."""
    with counted("Simulating micrographs") as progress:
        return simulate_dataset(parameters, out, progress)
