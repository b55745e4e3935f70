"""The written rules that choose classes, in place of somebody's eye."""

from pathlib import Path

import numpy as np
import pandas as pd

from drpnet.errors import InputError
from drpnet.io.star import numbers, read_star, write_star

LEAST_SHARE = 0.25
"""A class is kept when it holds at least so much of an equal share of the particles ..."""
WORST_RESOLUTION = 1.5
"""... and its estimated resolution is at most so many times that of the largest class. (Not of the finest: that may be the edge
of a carbon film, beside which every particle looks coarse.)"""


def good_classes(model: Path) -> list[int]:
    """The numbers, from 1, of the classes of a _model.star that both rules keep; never none."""
    table = read_star(model).get("model_classes")
    if table is None or "rlnEstimatedResolution" not in table.columns:
        raise InputError(f"{model} has no table of classes; give the _model.star of a classification")
    share, resolution = numbers(model, table, "rlnClassDistribution"), resolutions(table)
    large = share >= LEAST_SHARE / len(share)
    usual = resolution[np.argmax(share)]
    return [int(number) + 1 for number in np.flatnonzero(large & (resolution <= WORST_RESOLUTION * usual))]


def resolutions(table: pd.DataFrame) -> np.ndarray:
    """Estimated resolution (n,) in Angstrom of a table of classes; inf, as RELION writes it, where a class has none."""
    values = pd.to_numeric(table["rlnEstimatedResolution"], errors="coerce").to_numpy(float)
    return np.where(np.isfinite(values), values, np.inf)


def keep(data: Path, classes: list[int], out: Path) -> int:
    """Write the particles of some classes of a _data.star to another .star; their number."""
    tables = read_star(data)
    particles = tables["particles"]
    chosen = particles[particles["rlnClassNumber"].astype(int).isin(classes)]
    if len(chosen) < 2:
        raise InputError(f"classes {classes} of {data} hold {len(chosen)} particles; too few to go on with")
    write_star(out, {"optics": tables["optics"], "particles": chosen})
    return len(chosen)
