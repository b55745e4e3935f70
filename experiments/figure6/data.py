"""The simulated micrographs: stand-ins for those of the paper, with poses that a refinement would have to find."""

from dataclasses import dataclass

from drpnet.simulation.parameters import SimulationParameters


@dataclass(frozen=True)
class Subject:
    """A structure of the simulation, its point group and the paper's entries for which it stands."""

    structure: str
    symmetry: str
    particle_diameter: float
    particles_per_micrograph: int
    stands_for: str


SUBJECTS = {
    "trpv1": Subject("trpv1", "C4", 173.0, 120, "EMPIAR-10005"),
    "beta_galactosidase": Subject("beta_galactosidase", "D2", 191.0, 100, "EMPIAR-10061 and 10017"),
}
MICROGRAPHS, SEED = 30, 6


def parameters(subject: Subject, micrographs: int = MICROGRAPHS, seed: int = SEED) -> SimulationParameters:
    """Micrographs as dim as those of conf/simulation/trpv1, of 1024 px with 4.4 Angstrom: a box of 64 px holds a particle."""
    return SimulationParameters(
        structures=[subject.structure],
        particle_diameter=subject.particle_diameter,
        micrographs=micrographs,
        height=1024,
        width=1024,
        pixel_size=4.4,
        particles_per_micrograph=subject.particles_per_micrograph,
        min_distance=0.7,
        defocus_range=[1.5, 3.5],
        snr_range=[0.02, 0.03],
        carbon_probability=0.3,
        contamination_probability=0.5,
        seed=seed,
    )
