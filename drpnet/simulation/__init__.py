"""Simulated micrographs with known particle centres, orientations and optics."""

from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.micrograph import SimulatedMicrograph, simulate_micrograph
from drpnet.simulation.parameters import SimulationParameters

__all__ = ["SimulatedMicrograph", "SimulationParameters", "simulate_dataset", "simulate_micrograph"]
