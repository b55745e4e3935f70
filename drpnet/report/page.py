"""The page itself: its data as JSON, its pictures as inert text, its own style and script, and nothing else."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from drpnet import __version__
from drpnet.report.images import PARTICLE, TILE
from drpnet.report.particles import BEST, COLUMNS, MEAN
from drpnet.report.pictures import Pictures, Shown
from drpnet.report.sources import PickedSet
from drpnet.report.stars import star_parts
from drpnet.report.truth import Labels

_MARKS = {1: "t", 0: "f", -1: "-"}
_SIZE = "@@@@@@@ MB"


def render(
    pickers: Sequence[PickedSet],
    shown: Sequence[Shown],
    labels: Labels | None,
    pictures: Pictures,
    training: dict[str, Any] | None,
    notes: Sequence[str],
) -> bytes:
    """The page as a UTF-8 file. Its content security policy forbids it every request, and every script but its own."""
    style, script = (_part(name) for name in ("report.css", "report.js"))
    data = {
        "version": __version__,
        "labels": None if labels is None else {"radius": labels.radius_px, "border": labels.border_px},
        "pickers": [_picker(one, shown, place) for place, one in enumerate(pickers)],
        "micrographs": [_micrograph(one) for one in shown],
        "galleries": pictures.galleries,
        "means": pictures.means,
        "tile": TILE, "columns": COLUMNS, "mean": MEAN, "best": BEST, "particle": PARTICLE,
        "training": training,
    }  # fmt: skip
    text = Template(_part("page.html")).substitute(
        title=html.escape("DRPnet report: " + " and ".join(one.name for one in pickers)),
        policy=(
            "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
            f"style-src {_digest(style)}; script-src {_digest(script)}"
        ),
        style=style,
        script=script,
        notes="".join(f"<li>{html.escape(note)}</li>" for note in notes),
        data=_inert(json.dumps(data, separators=(",", ":"), allow_nan=False)),
        pictures="\n".join(
            f'<script type="text/plain" id="picture-{number}">{jpeg}</script>'
            for number, jpeg in enumerate(pictures.micrographs)
        ),
        size=_SIZE,
        edge=pictures.edge,
        version=html.escape(__version__),
    )
    page = text.encode()
    size = f"{len(page) / 1e6:.1f} MB".rjust(len(_SIZE))
    return page.replace(_SIZE.encode(), size.encode())


def _part(name: str) -> str:
    return files("drpnet.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a content security policy calls an inline style or script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inert(text: str) -> str:
    """JSON in which no file name can end the element that holds it."""
    return text.replace("<", "\\u003c")


def _picker(one: PickedSet, shown: Sequence[Shown], place: int) -> dict[str, Any]:
    thresholds = one.thresholds
    return {
        "name": one.name,
        "about": one.about,
        "merit": "figure of merit" if one.records is not None else "score",
        "values": None if thresholds is None else thresholds.values.tolist(),
        "start": None if thresholds is None else thresholds.start,
        "decimals": None if thresholds is None else thresholds.decimals,
        "star": star_parts([row.place.record for row in shown], thresholds is not None),
        "found": [
            None if row.found[place] is None else _candidates(row, place, thresholds is not None) for row in shown
        ],
    }


def _candidates(row: Shown, place: int, scored: bool) -> dict[str, Any]:
    """Candidates of one picker on one micrograph, best first; `m` marks each t(rue), f(alse) or - (not counted)."""
    found, judged = row.found[place], row.judged[place]
    assert found is not None
    return {
        **_xy(found.centres),
        "s": found.figure_of_merit.tolist() if scored else None,
        "d": _rounded(found.detection_score, 4),
        "c": _rounded(found.classifier_score, 4),
        "m": None if judged is None else "".join(_MARKS[int(mark)] for mark in judged.marks),
        "w": None if judged is None else judged.found_with.tolist(),
    }


def _micrograph(row: Shown) -> dict[str, Any]:
    height, width = row.place.shape
    return {
        "name": row.name,
        "h": height,
        "w": width,
        "d": row.place.diameter_px,
        "truth": None if row.truth is None else _xy(row.truth),
    }


def _xy(centres: np.ndarray) -> dict[str, list[float]]:
    """Nine digits, as the .star files have them."""
    y, x = (_rounded(column, 9) or [] for column in np.asarray(centres, float).reshape(-1, 2).T)
    return {"x": x, "y": y}


def _rounded(values: np.ndarray, digits: int) -> list[float] | None:
    """Values (n,) with so many digits; None where one is unknown (NaN)."""
    if np.isnan(values).any() or not len(values):
        return None
    return [float(f"{value:.{digits}g}") for value in values.tolist()]
