"""Read particle centres from STAR tables: those of RELION, and crYOLO's .cbox."""

from pathlib import Path

import numpy as np
import pandas as pd

from drpnet.errors import InputError
from drpnet.io.star import numbers, read_star
from drpnet.io.text_coordinates import Coordinates, is_star_text, read_box

_UNKNOWN_SCORE = -999  # relion_manualpick


def coordinate_table(path: Path, blocks: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The table of a star that has coordinates, as it stands there; InputError when there is none."""
    found = [table for table in blocks.values() if {"rlnCoordinateX", "rlnCoordinateY"} <= set(table.columns)]
    if not found:
        raise InputError(
            f"{path} has no columns rlnCoordinateX and rlnCoordinateY; give a .star of picks or particles"
        )
    return found[0]


def particle_table(
    path: Path, blocks: dict[str, pd.DataFrame], pixel_size: np.ndarray | float | None = None
) -> pd.DataFrame:
    """The table of a star with coordinates, offsets already subtracted; InputError when there is none.

    `pixel_size`, in Angstrom and one for all or for each row, is that of the micrographs. Without it offsets in Angstrom
    (3.1) take the optics', and offsets in pixels (3.0) count as those of the micrograph, as they are unless the particles
    were extracted at another scale.
    """
    table = coordinate_table(path, blocks).copy()
    scale = _offset_scale(path, table, blocks.get("optics"), pixel_size)
    for axis in "XY":
        centre = numbers(path, table, f"rlnCoordinate{axis}")
        if scale is not None:
            unit = "Angst" if f"rlnOrigin{axis}Angst" in table else ""
            centre = centre - numbers(path, table, f"rlnOrigin{axis}{unit}") / scale
        table[f"rlnCoordinate{axis}"] = centre
    return table


def star_coordinates(path: Path, table: pd.DataFrame) -> Coordinates:
    """Centres and scores of a table that `particle_table` gave."""
    centres = table[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(dtype=float)
    if "rlnAutopickFigureOfMerit" not in table:
        return Coordinates(centres, source=path)
    scores = pd.to_numeric(table["rlnAutopickFigureOfMerit"], errors="coerce").to_numpy(dtype=float)
    known = len(scores) == 0 or (np.isfinite(scores).all() and not (scores == _UNKNOWN_SCORE).all())
    return Coordinates(centres, scores if known else None, path)


def read_cbox(path: Path) -> Coordinates:
    """Centres of crYOLO's .cbox, corner + size / 2, with all its candidates and their confidence.

    Reads the STAR form (1.8 and later) and the older plain rows, which are those of a .box. InputError for what
    is neither, and for the picks of a tomogram.
    """
    if not is_star_text(path):
        return read_box(path)
    table = read_star(path).get("cryolo")
    needed = ("CoordinateX", "CoordinateY", "Width", "Height")
    if table is None or not set(needed) <= set(table.columns):
        raise InputError(f"{path} has no table data_cryolo with {', '.join(needed)}; give a .cbox of crYOLO")
    if "CoordinateZ" in table and pd.to_numeric(table["CoordinateZ"], errors="coerce").notna().any():
        raise InputError(f"{path} holds picks of a tomogram (CoordinateZ); give those of single micrographs")
    x, y, width, height = (numbers(path, table, label) for label in needed)
    confidence = pd.to_numeric(table.get("Confidence", pd.Series([np.nan])), errors="coerce").to_numpy(dtype=float)
    known = len(confidence) == len(x) and np.isfinite(confidence).all()
    return Coordinates(np.stack([y + height / 2, x + width / 2], axis=1), confidence if known else None)


def _offset_scale(
    path: Path, table: pd.DataFrame, optics: pd.DataFrame | None, pixel_size: np.ndarray | float | None
) -> np.ndarray | float | None:
    """What the refined offsets are divided by to be px of the micrograph; None without offsets."""
    if {"rlnOriginXAngst", "rlnOriginYAngst"} <= set(table.columns):
        return pixel_size if pixel_size is not None else _optics_size(path, table, optics)
    if not {"rlnOriginX", "rlnOriginY"} <= set(table.columns):
        return None
    if pixel_size is None or not {"rlnDetectorPixelSize", "rlnMagnification"} <= set(table.columns):
        return 1.0
    detector, magnification = (numbers(path, table, label) for label in ("rlnDetectorPixelSize", "rlnMagnification"))
    if not ((detector > 0) & (magnification > 0)).all():
        raise InputError(f"{path}: rlnDetectorPixelSize and rlnMagnification must be above 0; mend the star")
    return pixel_size / (detector * 1e4 / magnification)


def _optics_size(path: Path, table: pd.DataFrame, optics: pd.DataFrame | None) -> np.ndarray:
    """Angstrom/px of the micrographs for each row, from the optics groups."""
    for label in ("rlnMicrographPixelSize", "rlnImagePixelSize"):
        if optics is not None and label in optics and "rlnOpticsGroup" in optics:
            sizes = dict(
                zip(numbers(path, optics, "rlnOpticsGroup"), numbers(path, optics, label), strict=True)
            )
            groups = (
                numbers(path, table, "rlnOpticsGroup")
                if "rlnOpticsGroup" in table
                else [min(sizes)] * len(table)
            )
            scale = np.array([sizes.get(group, 0.0) for group in groups])
            if (scale > 0).all():
                return scale
    raise InputError(
        f"{path} has offsets in Angstrom but no pixel size for them; add rlnMicrographPixelSize to its optics"
    )
