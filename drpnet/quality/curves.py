"""The FSC of a run, from its half maps, else as RELION wrote it, with resolution and signal-to-noise ratio."""

from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.refinement import RefinementFiles, RelionFsc, read_model, read_postprocess
from drpnet.io.volumes import read_volume
from drpnet.reconstruction.fsc import Fsc, half_map_fsc, resolution, ssnr

THRESHOLDS = (0.143, 0.5)


def fsc_of(files: RefinementFiles, mask: Path | None, seed: int) -> dict[str, Any]:
    """The curves by name, `resolution` by curve and threshold, and `source`: half maps, postprocess.star or model.star.

    Half maps come first; what RELION made of them stands in `relion_resolution`. Raises InputError where a run has none
    of the three, or its maps do not fit each other or the mask.
    """
    relion = None if files.postprocess is None else read_postprocess(files.postprocess)
    if files.half_maps is not None:
        found: Fsc | RelionFsc = _from_maps(files.half_maps, mask, seed)
        source = "half maps"
    elif relion is not None:
        found, source = relion, "postprocess.star"
    elif files.model is not None:
        model = read_model(files.model)
        curve = model.gold_standard_fsc
        if not curve.any():
            raise InputError(
                f"{files.model} has no gold-standard FSC: this refinement did not split its particles; give an auto-refinement"
            )
        found = RelionFsc(model.frequency, curve, None, None, curve, model.current_resolution)
        source = "model.star"
    else:
        folder = files.particles.parent
        raise InputError(
            f"{folder} has no half maps, no postprocess.star and no model.star; copy one of them there for the FSC"
        )
    curves = {
        "unmasked": found.unmasked,
        "masked": found.masked,
        "randomised": found.randomised,
        "corrected": found.corrected,
    }
    return {
        "source": source,
        "frequency": found.frequency.tolist(),
        **{name: None if curve is None else curve.tolist() for name, curve in curves.items()},
        "ssnr": _finite(ssnr(found.corrected)),
        "resolution": {
            name: _crossings(curve, found.frequency)
            for name, curve in curves.items()
            if curve is not None and name != "randomised"
        },
        "relion_resolution": None if relion is None else relion.final_resolution,
    }


def _from_maps(paths: tuple[Path, Path], mask_path: Path | None, seed: int) -> Fsc:
    (first, size), (second, other) = (read_volume(path) for path in paths)
    if first.shape != second.shape or abs(size - other) > 1e-3:
        raise InputError(
            f"{paths[0]} is {first.shape} at {size:g} A and {paths[1]} {second.shape} at {other:g} A; "
            "give two halves of one refinement"
        )
    mask = None if mask_path is None else read_volume(mask_path)[0]
    if mask is not None and mask.shape != first.shape:
        raise InputError(f"{mask_path} has box {mask.shape}, {paths[0]} {first.shape}; give a mask made for these maps")
    return half_map_fsc(first, second, size, mask, seed)


def _crossings(curve: np.ndarray, frequency: np.ndarray) -> dict[str, dict[str, float | None]]:
    """By threshold the resolution in Angstrom of the last shell before (RELION's) and of the line between the shells."""
    return {
        f"{threshold:g}": {
            "shell": _number(resolution(curve, frequency, threshold)),
            "interpolated": _number(resolution(curve, frequency, threshold, interpolate=True)),
        }
        for threshold in THRESHOLDS
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _finite(values: np.ndarray) -> list[float | None]:
    return [_number(value) for value in values]
