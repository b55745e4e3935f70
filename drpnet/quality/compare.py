"""Several refinements side by side: the result of `drpnet quality`, and its files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes
from drpnet.quality.assess import assess
from drpnet.quality.settings import Run, Settings
from drpnet.reconstruction.angular_histogram import counted_bild
from drpnet.reconstruction.views import expected_occupied

_FOR_PICTURES = ("views", "scatter")


def compare(runs: Sequence[Run], settings: Settings) -> list[dict[str, Any]]:
    """`assess` of every run, with its missing views at the number of particles of the smallest run.

    Missing views fall with every particle, whatever it looks like: only equal numbers compare pickers.
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two runs are called {twice!r}; name them: NAME=PATH")
    results = [assess(run, settings) for run in runs]
    least = min(result["particles"] for result in results)
    for result in results:
        missing = result["missing_views"]
        missing["equal_particles"] = least
        missing["in_unit_at_equal_particles"] = missing["unit_total"] - expected_occupied(result["views"], least)
    return results


def as_json(results: Sequence[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    """What goes into the JSON: all but what only the pictures need."""
    return {
        "settings": {
            "mask": None if settings.mask is None else str(settings.mask),
            "efficiency_box": settings.box,
            "efficiency_b_factor": settings.b_factor,
            "seed": settings.seed,
        },
        "runs": [{key: value for key, value in result.items() if key not in _FOR_PICTURES} for result in results],
    }


def write_quality(results: Sequence[dict[str, Any]], settings: Settings, folder: Path) -> list[Path]:
    """Write quality.json, a .bild for every run and the pictures into a folder; returns the files."""
    from drpnet.quality.figures import draw_quality
    from drpnet.quality.map_picture import draw_isosurfaces

    folder = Path(folder)
    written = [folder / "quality.json"]
    write_bytes(written[0], (json.dumps(as_json(results, settings), indent=1) + "\n").encode())
    for result in results:
        path = folder / f"angular_distribution_{result['name']}.bild"
        write_bytes(path, counted_bild(result["views"], *_map_size(result)).encode())
        written.append(path)
    return [*written, *draw_quality(results, folder), *draw_isosurfaces(results, settings, folder)]


def _map_size(result: dict[str, Any]) -> tuple[int, float]:
    """Box and voxel size of the map; what the frequencies of the FSC are made of."""
    frequency = result["fsc"]["frequency"]
    box = 2 * (len(frequency) - 1)
    return box, 1 / (frequency[1] * box)
