"""What follows from the printed numbers alone: how many views could be missing at all, and how many random ones would be."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.reconstruction.efficiency import orientation_efficiency
from drpnet.reconstruction.views import ViewCounts, attainable

EXPECTED = Path(__file__).resolve().parent / "expected.json"
_SEED, _RANDOM = 0, 50_000


def expected() -> dict[str, Any]:
    """The paper's numbers."""
    found: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def arithmetic() -> dict[str, Any]:
    """A row for every row of Table 3, and the E_od of evenly spread views on the grids that we use."""
    paper = expected()
    return {"rows": [_row(row, paper["total_views"]) for row in paper["rows"]], "even_views": even_views()}


def _row(row: dict[str, Any], total: int) -> dict[str, Any]:
    """Occupied views against those that the asymmetric unit holds, and against random views of as many particles."""
    share = attainable(row["symmetry"])
    unit = int(np.count_nonzero(share))
    occupied = total - row["missing_views"]
    empty = (1 - share[share > 0] / share.sum()) ** row["selected"]
    return {
        **{key: row[key] for key in ("entry", "program", "symmetry", "selected", "missing_views", "missing_views_c1")},
        "attainable_minimum": total - unit,
        "occupied": occupied,
        "unit": unit,
        "occupied_share_of_unit": occupied / unit,
        "missing_beyond_minimum": row["missing_views"] - (total - unit),
        "random_missing_beyond_minimum": float(empty.sum()),
        "random_missing_c1": float(total * (1 - 1 / total) ** row["selected"]),
    }


def even_views() -> dict[str, float]:
    """E_od of 50,000 random views by B-factor, at a box of 64 voxels: what a perfect picker would reach."""
    rng = np.random.default_rng(_SEED)
    counts = ViewCounts("C1")
    counts.add(rng.uniform(-180, 180, _RANDOM), np.rad2deg(np.arccos(rng.uniform(-1, 1, _RANDOM))))
    return {f"{b:g}": orientation_efficiency(counts.planes, 64, b).e_od for b in (160.0, 640.0, 1500.0)}
