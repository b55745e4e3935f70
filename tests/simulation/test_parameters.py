"""Bad parameters are a user's mistake, named in one line."""

from typing import Any

import pytest

from drpnet.errors import InputError
from drpnet.simulation.parameters import SimulationParameters


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"structures": []}, "structures"),
        ({"structures": ["hemoglobin"]}, "hemoglobin"),
        ({"pixel_size": 0.0}, "pixel_size"),
        ({"pixel_size": float("nan")}, "pixel_size"),
        ({"particle_diameter": -3.0}, "particle_diameter"),
        ({"particle_diameter": 10.0}, "particle_diameter"),
        ({"height": 20, "width": 20}, "height"),
        ({"micrographs": 0}, "micrographs"),
        ({"particles_per_micrograph": -1}, "particles_per_micrograph"),
        ({"particles_per_micrograph": 100_000}, "particles_per_micrograph"),
        ({"defocus_range": [2.0]}, "defocus_range"),
        ({"defocus_range": [3.0, 2.0]}, "defocus_range"),
        ({"snr_range": [0.0, 0.1]}, "snr_range"),
        ({"solvent_fraction": 1.0}, "solvent_fraction"),
        ({"carbon_probability": 1.5}, "carbon_probability"),
        ({"gradient": 1.0}, "gradient"),
        ({"dose": 0.0}, "dose"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_value_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        SimulationParameters(**changes)
    assert "\n" not in str(caught.value)


def test_packing_message_says_how_many_fit() -> None:
    small: dict[str, Any] = {
        "height": 400,
        "width": 400,
        "pixel_size": 4.0,
        "particle_diameter": 160.0,
        "min_distance": 1.0,
    }
    with pytest.raises(InputError, match="at most 63"):
        SimulationParameters(**small, particles_per_micrograph=64)
    SimulationParameters(**small, particles_per_micrograph=63)
