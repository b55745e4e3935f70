"""The maps of refinements side by side, from their half maps."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.io.volumes import read_volume
from drpnet.quality.isosurface import CUBIC_ANGSTROM_PER_KILODALTON, isosurface_figure, resampled, volume_at_otsu
from drpnet.quality.settings import Settings
from drpnet.reconstruction.fsc import weighted_mean

log = logging.getLogger(__name__)
_DRAWN_BOX = 144
"""A larger map is drawn on so many voxels: a picture shows no more."""


def draw_isosurfaces(results: Sequence[dict[str, Any]], settings: Settings, folder: Path) -> list[Path]:
    """Write isosurfaces.png with every run that has half maps; returns the file, nothing where no run has them.

    Each map is the mean of its halves, weighted by what they share, and all surfaces enclose one volume: that of
    `settings.kilodalton` of protein, else what Otsu's threshold finds in the first map. Maps are drawn as they lie; those
    whose halves share nothing are left out. Raises InputError for a mass that does not fit into a map.
    """
    maps = {run["name"]: _map_of(run) for run in results if run["half_maps"] is not None and _resolution(run) != "-"}
    if not maps:
        return []
    first = next(iter(maps.values()))
    mass = settings.kilodalton
    enclosed = volume_at_otsu(*first) if mass is None else mass * CUBIC_ANGSTROM_PER_KILODALTON
    captions = {run["name"]: _resolution(run) for run in results}
    try:
        figure = isosurface_figure(maps, enclosed, captions)
    except InputError as error:
        if mass is None:  # nobody asked for this volume
            log.warning("isosurfaces.png is not drawn: %s; give --mass in kilodalton", error)
            return []
        raise InputError(f"isosurfaces: {error}; give another --mass in kilodalton") from None
    path = folder / "isosurfaces.png"
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=200, format="png")
    return [path]


def _map_of(run: dict[str, Any]) -> tuple[np.ndarray, float]:
    """The weighted mean of a run's half maps, on at most _DRAWN_BOX voxels a side, with its voxel size."""
    (first, size), (second, _) = (read_volume(Path(path)) for path in run["half_maps"])
    whole = weighted_mean(first, second, np.array(run["fsc"]["corrected"]))
    if len(whole) <= _DRAWN_BOX:
        return whole, size
    return resampled(whole, _DRAWN_BOX), size * len(whole) / _DRAWN_BOX


def _resolution(run: dict[str, Any]) -> str:
    found = run["fsc"]["resolution"]["corrected"]["0.143"]["shell"]
    return "-" if found is None else f"{found:.2f} Å"
