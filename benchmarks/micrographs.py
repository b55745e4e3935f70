"""python -m benchmarks.micrographs FOLDER SIZE COUNT: one simulated micrograph under COUNT names."""

import os
import shutil
import sys
from pathlib import Path

from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters

PIXEL_SIZE, DIAMETER = 1.2156, 173.0
"""Of EMPIAR-10005, TRPV1, in Angstrom; its micrographs have 3710 px along an edge."""
PARTICLES = 120
"""On 3710 x 3710 px."""


def main() -> None:
    """Write what the arguments say."""
    folder, size, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    write_micrographs(folder, size, count)


def write_micrographs(folder: Path, size: int, count: int) -> None:
    """Simulate a micrograph (size, size) of float32 below `folder`; of `count` .mrc files all but one are links to it.

    `folder`/one has the first alone, `folder`/several all, `folder`/many five times as many. A smaller micrograph has fewer
    particles in proportion.
    """
    parameters = SimulationParameters(
        structures=["trpv1"], particle_diameter=DIAMETER, micrographs=1, height=size, width=size, pixel_size=PIXEL_SIZE,
        particles_per_micrograph=max(1, round(PARTICLES * (size / 3710) ** 2)), min_distance=0.7,
        snr_range=[0.005, 0.005], carbon_probability=0.0, contamination_probability=0.0, seed=2019,
    )  # fmt: skip
    source = simulate_dataset(parameters, folder / "simulation") / "micrographs" / "simulated_0001.mrc"
    for name, number in (("one", 1), ("several", count), ("many", 5 * count)):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
        for i in range(number):
            os.link(source, folder / name / f"m{i}.mrc")


if __name__ == "__main__":
    main()
