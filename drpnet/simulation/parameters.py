"""Everything that decides a simulated data set, checked on construction."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from drpnet.errors import InputError

PROCEDURAL_STRUCTURES = ("trpv1", "beta_galactosidase", "random", "hollow")
STRUCTURE_SUFFIXES = (".pdb", ".pdb.gz", ".cif", ".cif.gz", ".mrc", ".mrc.gz", ".map", ".map.gz")
_PACKING_LIMIT = 0.5


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _check_range(name: str, values: list[float], lowest: float) -> None:
    ok = len(values) == 2 and all(math.isfinite(v) and v > lowest for v in values) and values[0] <= values[1]
    _require(
        ok, f"simulation.{name} is {list(values)}; use [lowest, highest] with {lowest:g} < lowest <= highest"
    )


@dataclass(frozen=True)
class SimulationParameters:
    """What `simulate_micrograph` and `simulate_dataset` need; (seed, index) alone decides a micrograph.

    Raises InputError, naming the field, for values that cannot work.
    """

    structures: list[str] = field(default_factory=lambda: ["trpv1"])
    """Used in turn: `trpv1`, `beta_galactosidase`, `random` (a new symmetric assembly in every micrograph), `hollow`
    (a new thin shell in every micrograph) or a file .pdb / .cif / .mrc / .map (also .gz)."""
    particle_diameter: float = 173.0
    """Longest dimension in Angstrom; `random` assemblies are built to it, others keep their own size."""
    micrographs: int = 10
    height: int = 1237
    """Rows in px."""
    width: int = 1237
    """Columns in px."""
    pixel_size: float = 3.6468
    """Angstrom per px."""
    particles_per_micrograph: int = 120
    """On a frame without carbon and contamination; fewer in proportion to the area that these take."""
    crowding_range: list[float] = field(default_factory=lambda: [1.0, 1.0])
    """Share of `particles_per_micrograph` that a micrograph has, drawn evenly between the two."""
    min_distance: float = 0.8
    """Smallest distance of two centres in particle diameters; below 1 particles may touch and overlap."""
    cluster_fraction: float = 0.3
    """Share of the particles that are placed beside an earlier one."""
    defocus_range: list[float] = field(default_factory=lambda: [1.5, 3.5])
    """Mean defocus in micrometres, positive is underfocus."""
    astigmatism_um: float = 0.04
    """Largest difference of defocus U and V in micrometres."""
    voltage_kv: float = 300.0
    spherical_aberration_mm: float = 2.7
    amplitude_contrast: float = 0.1
    b_factor: float = 100.0
    """Envelope exp(-B k^2 / 4) of particles and structural noise in Angstrom squared."""
    snr_range: list[float] = field(default_factory=lambda: [0.03, 0.1])
    """Signal variance inside the particles' discs over noise variance there (before `denoise`)."""
    solvent_fraction: float = 0.4
    """Part of the noise variance that is structural and passes the CTF; the rest is shot noise."""
    dose: float = 30.0
    """Electrons per square Angstrom; decides the shot noise."""
    gradient: float = 0.1
    """Relative difference of illumination and ice thickness across the frame."""
    carbon_probability: float = 0.2
    """Probability that the edge of a carbon hole crosses the frame."""
    contamination_probability: float = 0.4
    """Probability that a micrograph has ice contamination."""
    contamination_count: int = 6
    """Largest number of contaminations in such a micrograph."""
    crystal_share: float = 0.4
    """Share of the contaminations that are large crystals; the others are frost, of about a particle's size."""
    mottle_probability: float = 0.0
    """Probability that the ice is blotchy, with blotches of 10 to 100 Angstrom (deviation)."""
    denoise: float = 0.0
    """Probability that the written micrograph is low-passed near 40 Angstrom."""
    empty_probability: float = 0.0
    """Probability of a micrograph without particles."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InputError for values that cannot work."""
        _require(
            len(self.structures) > 0, "simulation.structures is empty; name at least one, for example 'trpv1'"
        )
        for name in self.structures:
            known = name in PROCEDURAL_STRUCTURES or Path(name).name.lower().endswith(STRUCTURE_SUFFIXES)
            _require(
                known,
                f"simulation.structures has {name!r}; use {', '.join(PROCEDURAL_STRUCTURES)} "
                "or a .pdb, .cif or .mrc file",
            )
        for name in ("particle_diameter", "pixel_size", "min_distance", "voltage_kv", "dose"):
            value = getattr(self, name)
            _require(
                math.isfinite(value) and value > 0, f"simulation.{name} is {value}; use a number above zero"
            )
        for name in ("astigmatism_um", "spherical_aberration_mm", "b_factor", "gradient"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value >= 0, f"simulation.{name} is {value}; use zero or more")
        _require(self.gradient < 1, f"simulation.gradient is {self.gradient}; use less than 1 (0.1 is usual)")
        for name in ("micrographs", "height", "width"):
            value = getattr(self, name)
            _require(value >= 1, f"simulation.{name} is {value}; use at least 1")
        for name in ("particles_per_micrograph", "contamination_count", "seed"):
            value = getattr(self, name)
            _require(value >= 0, f"simulation.{name} is {value}; use zero or more")
        chances = ("carbon", "contamination", "mottle", "empty")
        probabilities = (*(f"{name}_probability" for name in chances), "denoise")
        for name in (*probabilities, "cluster_fraction", "crystal_share", "amplitude_contrast"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"simulation.{name} is {value}; use a number from 0 to 1")
        _require(
            0 <= self.solvent_fraction < 1,
            f"simulation.solvent_fraction is {self.solvent_fraction}; use 0 <= solvent_fraction < 1",
        )
        _check_range("defocus_range", self.defocus_range, 0.0)
        _check_range("snr_range", self.snr_range, 0.0)
        _check_range("crowding_range", self.crowding_range, 0.0)
        _require(
            self.crowding_range[1] <= 1, f"simulation.crowding_range is {self.crowding_range}; use shares up to 1"
        )
        self._check_sizes()

    def _check_sizes(self) -> None:
        diameter_px = self.particle_diameter / self.pixel_size
        _require(
            diameter_px >= 4,
            f"simulation.particle_diameter {self.particle_diameter:g} A is {diameter_px:.2g} px "
            f"at pixel_size {self.pixel_size:g}; use at least 4 px",
        )
        _require(
            min(self.height, self.width) >= diameter_px,
            f"simulation.height x width is {self.height} x {self.width} px, "
            f"less than one particle ({diameter_px:.0f} px)",
        )
        disc = math.pi / 4 * (self.min_distance * diameter_px) ** 2
        most = int(_PACKING_LIMIT * self.height * self.width / disc)
        _require(
            self.particles_per_micrograph <= max(most, 1),
            f"simulation.particles_per_micrograph is {self.particles_per_micrograph}; at min_distance "
            f"{self.min_distance:g} at most {max(most, 1)} fit into {self.height} x {self.width} px",
        )

    @property
    def particle_diameter_px(self) -> float:
        """Longest dimension in px."""
        return self.particle_diameter / self.pixel_size
