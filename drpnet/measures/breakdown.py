"""Where a picker is good: precision and recall by distance to the edge, crowding, defocus, view and noise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from drpnet.measures.scorecard import Scored, summary

EDGE_BOUNDS = (0.0, 0.5, 1.0, 2.0, np.inf)
"""Particle diameters from the nearest edge."""
CROWDING_BOUNDS = (0.0, 0.75, 1.0, 1.5, np.inf)
"""Particle diameters to the nearest other label."""
TILT_BOUNDS = (0.0, 30.0, 60.0, 90.0)
"""Degrees between the view and the z axis; above and below count alike, they are mirror images."""


def edge_distance(centres: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Distance (n,) in px of centres (n, 2) to the nearest edge pixel of an (h, w) image, 0 outside."""
    centres = np.reshape(centres, (-1, 2))
    return np.clip(np.minimum(centres, np.asarray(shape) - 1 - centres).min(axis=1, initial=np.inf), 0, None)


def nearest_neighbour(centres: np.ndarray) -> np.ndarray:
    """Distance (n,) in px of every centre (n, 2) to the nearest other one, infinite for a single one."""
    centres = np.reshape(centres, (-1, 2))
    if len(centres) < 2:
        return np.full(len(centres), np.inf)
    return np.asarray(cKDTree(centres).query(centres, k=2)[0][:, 1])


def by_edge(
    scored: Mapping[str, Scored], shapes: Mapping[str, tuple[int, int]], diameter_px: float
) -> list[dict[str, Any]]:
    """Rows by distance to the edge in diameters; shapes (h, w) of every micrograph."""
    labels = [edge_distance(one.field.truth, shapes[name]) / diameter_px for name, one in scored.items()]
    picks = [edge_distance(one.field.picks, shapes[name]) / diameter_px for name, one in scored.items()]
    return _rows(list(scored.values()), labels, EDGE_BOUNDS, picks)


def by_crowding(scored: Mapping[str, Scored], diameter_px: float) -> list[dict[str, Any]]:
    """Rows by the distance of a label to its nearest labelled neighbour, in diameters: recall alone."""
    distance = [nearest_neighbour(one.field.truth) / diameter_px for one in scored.values()]
    return _rows(list(scored.values()), distance, CROWDING_BOUNDS)


def by_tilt(scored: Mapping[str, Scored], tilts: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Rows by viewing direction, recall alone; `tilts` are the degrees (k,) of every label that was read."""
    folded = []
    for name, one in scored.items():
        own = np.asarray(tilts[name], float) % 180
        own = own if one.field.truth_rows is None else own[one.field.truth_rows]
        folded.append(np.minimum(own, 180 - own))
    return _rows(list(scored.values()), folded, TILT_BOUNDS)


def by_value(scored: Mapping[str, Scored], values: Mapping[str, float], average: str = "micro") -> list[dict[str, Any]]:
    """Rows of micrographs in thirds of a value that each has, such as its defocus; fewer where values repeat."""
    names = [name for name in scored if name in values]
    known = np.array([values[name] for name in names], float)
    if len(np.unique(known)) < 2:
        return []
    bounds = np.unique(np.quantile(known, [0, 1 / 3, 2 / 3, 1], method="nearest"))
    rows = []
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        inside = (known >= low) & ((known < high) | (high == bounds[-1]))
        members = [scored[name] for name, is_in in zip(names, inside, strict=True) if is_in]
        if members:
            whole = summary(members, average)
            keep = ("picks", "truth", "precision", "recall", "f_measure")
            row = {"from": float(low), "to": float(high), "micrographs": len(members)}
            rows.append(row | {key: whole[key] for key in keep})
    return rows


def _rows(
    scored: Sequence[Scored],
    labels: Sequence[np.ndarray],
    bounds: Sequence[float],
    picks: Sequence[np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Recall of labels (k,) and precision of picks (n,) of all micrographs in the bins between `bounds`."""
    found, is_true = ([getattr(one.judgement, key) for one in scored] for key in ("found", "is_true"))
    if any(one is None for one in (*found, *is_true)):
        return []
    label_bin = np.digitize(np.concatenate([*labels, []]), bounds[1:-1])
    pick_bin = None if picks is None else np.digitize(np.concatenate([*picks, []]), bounds[1:-1])
    hit, right = np.concatenate([*found, []]), np.concatenate([*is_true, []])
    rows = []
    for index, (low, high) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        own = label_bin == index
        row: dict[str, Any] = {"from": low, "to": None if np.isinf(high) else high, "truth": int(own.sum())}
        row["recall"] = float(hit[own].mean()) if own.any() else None
        if pick_bin is not None:
            mine = pick_bin == index
            row |= {"picks": int(mine.sum()), "precision": float(right[mine].mean()) if mine.any() else None}
        rows.append(row)
    return rows
