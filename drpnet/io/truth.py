"""Write what is known about simulated micrographs as RELION 3.1 STAR files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from drpnet.io.star import write_star


@dataclass(frozen=True)
class MicrographTruth:
    """One micrograph: `centres` (n, 2) in (y, x) px, `euler_angles` (n, 3) rot, tilt, psi in degrees.

    Defocus is in Angstrom, its angle in degrees.
    """

    name: str
    centres: np.ndarray
    euler_angles: np.ndarray
    defocus_u: float
    defocus_v: float
    defocus_angle: float


def optics_table(
    pixel_size: float, voltage_kv: float, spherical_aberration_mm: float, amplitude_contrast: float
) -> pd.DataFrame:
    """The one optics group of a simulated data set."""
    return pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnMicrographOriginalPixelSize": [pixel_size],
            "rlnMicrographPixelSize": [pixel_size],
            "rlnImagePixelSize": [pixel_size],
            "rlnVoltage": [voltage_kv],
            "rlnSphericalAberration": [spherical_aberration_mm],
            "rlnAmplitudeContrast": [amplitude_contrast],
        }
    )


def write_truth_particles(path: Path, optics: pd.DataFrame, micrographs: Sequence[MicrographTruth]) -> None:
    """Centre, orientation and CTF of every particle (particles.star); coordinates are 0-based px."""
    counts = [len(m.centres) for m in micrographs]
    centres = np.concatenate([m.centres for m in micrographs])
    angles = np.concatenate([m.euler_angles for m in micrographs])
    particles = pd.DataFrame(
        {
            "rlnMicrographName": np.repeat([m.name for m in micrographs], counts),
            "rlnCoordinateX": centres[:, 1],
            "rlnCoordinateY": centres[:, 0],
            "rlnAngleRot": angles[:, 0],
            "rlnAngleTilt": angles[:, 1],
            "rlnAnglePsi": angles[:, 2],
            "rlnDefocusU": np.repeat([m.defocus_u for m in micrographs], counts),
            "rlnDefocusV": np.repeat([m.defocus_v for m in micrographs], counts),
            "rlnDefocusAngle": np.repeat([m.defocus_angle for m in micrographs], counts),
            "rlnOpticsGroup": np.ones(len(centres), int),
        }
    )
    write_star(path, {"optics": optics, "particles": particles})


def write_truth_micrographs(path: Path, optics: pd.DataFrame, micrographs: Sequence[MicrographTruth]) -> None:
    """CTF of every micrograph (micrographs.star)."""
    table = pd.DataFrame(
        {
            "rlnMicrographName": [m.name for m in micrographs],
            "rlnDefocusU": [m.defocus_u for m in micrographs],
            "rlnDefocusV": [m.defocus_v for m in micrographs],
            "rlnDefocusAngle": [m.defocus_angle for m in micrographs],
            "rlnOpticsGroup": np.ones(len(micrographs), int),
        }
    )
    write_star(path, {"optics": optics, "micrographs": table})
