"""What a 3D refinement of RELION left behind: particles with angles, half maps, FSC, orientation statistics.

RELION 3.0 writes one table `data_`, 3.1 and later `data_optics` and `data_particles`; both are read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.star import numbers, read_star
from drpnet.io.star_stream import StarTable, find_table

PARTICLE_BLOCKS = ("particles", "images", "")
ANGLES = ("rlnAngleRot", "rlnAngleTilt")
PMAX = "rlnMaxValueProbDistribution"


@dataclass(frozen=True)
class RefinementFiles:
    """The files of one refinement; those that are missing are None."""

    particles: Path
    half_maps: tuple[Path, Path] | None
    model: Path | None
    sampling: Path | None
    postprocess: Path | None


def find_refinement(path: Path, postprocess: Path | None = None) -> RefinementFiles:
    """The files of a refinement, given its folder or its particles (`run_data.star`, `run_it025_data.star`).

    In a folder the finished refinement counts, else its last iteration. Half maps are the unfiltered ones.
    `postprocess` is the folder or the .star of a PostProcess job. Raises InputError where there are no particles, or only
    one of the two half maps.
    """
    particles = _find_particles(Path(path))
    stem = particles.name.removesuffix("data.star")
    folder = particles.parent
    halves = [folder / f"{stem}half{half}_class001_unfil.mrc" for half in (1, 2)]
    found = [half for half in halves if half.is_file()]
    if len(found) == 1:
        missing = next(half for half in halves if half not in found)
        raise InputError(
            f"{missing} is missing while {found[0].name} is there; the FSC needs both, copy it or remove the other"
        )
    if postprocess is not None and postprocess.is_dir():
        postprocess = postprocess / "postprocess.star"
    if postprocess is not None and not postprocess.is_file():
        raise InputError(f"{postprocess} does not exist; give the folder of a PostProcess job or its postprocess.star")
    return RefinementFiles(
        particles=particles,
        half_maps=(halves[0], halves[1]) if found else None,
        model=_first(folder / f"{stem}model.star", folder / f"{stem}half1_model.star"),
        sampling=_first(folder / f"{stem}sampling.star"),
        postprocess=postprocess or _first(folder / "postprocess.star"),
    )


def _find_particles(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give the folder of a refinement or its run_data.star")
    finished = sorted(p for p in path.glob("*_data.star") if not re.search(r"_it\d+_data\.star$", p.name))
    if len(finished) > 1:
        names = ", ".join(p.name for p in finished)
        raise InputError(f"{path} has several refinements ({names}); name one of the files")
    iterations = sorted(path.glob("*_it[0-9][0-9][0-9]_data.star"), key=lambda p: p.name[-13:])
    if not finished and not iterations:
        raise InputError(f"{path} has no run_data.star; give the folder of a RELION Refine3D job or a particles .star")
    return finished[0] if finished else iterations[-1]


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def open_particles(path: Path) -> StarTable:
    """The table of particles of a `run_data.star`, checked for angles.

    Raises InputError where rlnAngleRot or rlnAngleTilt is missing: such particles were never refined.
    """
    table = find_table(path, PARTICLE_BLOCKS)
    missing = [label for label in ANGLES if label not in table.labels]
    if missing:
        raise InputError(
            f"{path} has no {' and no '.join(missing)}: these particles have no orientations; refine them first"
        )
    return table


def particle_angles(table: StarTable) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Rot and tilt (n,) in degrees and, where it is known, the maximum probability (n,), part by part."""
    has_probability = PMAX in table.labels
    for part in table.chunks([*ANGLES, *([PMAX] if has_probability else [])]):
        yield part[ANGLES[0]], part[ANGLES[1]], part.get(PMAX)


def read_symmetry(sampling: Path) -> str:
    """The point group that a refinement used, from its `run_sampling.star`."""
    general = read_star(sampling).get("sampling_general")
    if general is None or "rlnSymmetryGroup" not in general:
        raise InputError(f"{sampling} does not say rlnSymmetryGroup; give --symmetry")
    return str(general["rlnSymmetryGroup"].iloc[0])


@dataclass(frozen=True)
class RelionFsc:
    """FSC curves by shell as RELION wrote them; without a mask only `unmasked`, and `corrected` is the same.

    `frequency` is in 1 / Angstrom; `final_resolution` in Angstrom is RELION's.
    """

    frequency: np.ndarray
    unmasked: np.ndarray
    masked: np.ndarray | None
    randomised: np.ndarray | None
    corrected: np.ndarray
    final_resolution: float


def read_postprocess(path: Path) -> RelionFsc:
    """The curves and the resolution of a `postprocess.star`."""
    blocks = read_star(path)
    if "fsc" not in blocks or "general" not in blocks:
        raise InputError(f"{path} has no data_general and data_fsc; give the postprocess.star of a PostProcess job")
    table = blocks["fsc"]

    def curve(label: str) -> np.ndarray | None:
        return numbers(path, table, label) if label in table else None

    unmasked = curve("rlnFourierShellCorrelationUnmaskedMaps")
    frequency = curve("rlnResolution")
    if unmasked is None or frequency is None:
        raise InputError(f"{path}: data_fsc lacks rlnResolution or the unmasked FSC; give the file as RELION wrote it")
    frequency = np.where(np.arange(len(frequency)) == 0, 0.0, frequency)  # RELION writes 0.001 for shell 0
    corrected = curve("rlnFourierShellCorrelationCorrected")
    return RelionFsc(
        frequency=frequency,
        unmasked=unmasked,
        masked=curve("rlnFourierShellCorrelationMaskedMaps"),
        randomised=curve("rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps"),
        corrected=unmasked if corrected is None else corrected,
        final_resolution=float(blocks["general"]["rlnFinalResolution"].iloc[0]),
    )


@dataclass(frozen=True)
class RelionModel:
    """A `run_model.star`: lengths in Angstrom, and the gold-standard FSC by shell of the refinement itself."""

    pixel_size: float
    box: int
    current_resolution: float
    average_probability: float
    frequency: np.ndarray
    gold_standard_fsc: np.ndarray
    orientation_distribution: np.ndarray
    """Probability of every direction of the sampling."""


def read_model(path: Path) -> RelionModel:
    """The numbers of the first class of a `*_model.star`."""
    blocks = read_star(path)
    general, curves = blocks.get("model_general"), blocks.get("model_class_1")
    if general is None or curves is None or "rlnGoldStandardFsc" not in curves:
        raise InputError(
            f"{path} has no data_model_general and data_model_class_1; give the model.star of a 3D refinement"
        )
    distribution = blocks.get("model_pdf_orient_class_1")
    return RelionModel(
        pixel_size=float(general["rlnPixelSize"].iloc[0]),
        box=int(general["rlnOriginalImageSize"].iloc[0]),
        current_resolution=float(general["rlnCurrentResolution"].iloc[0]),
        average_probability=float(general["rlnAveragePmax"].iloc[0]),
        frequency=numbers(path, curves, "rlnResolution"),
        gold_standard_fsc=numbers(path, curves, "rlnGoldStandardFsc"),
        orientation_distribution=np.zeros(0)
        if distribution is None
        else numbers(path, distribution, "rlnOrientationDistribution"),
    )
