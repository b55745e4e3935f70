import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import Candidates, write_autopick_star, write_candidates_star
from drpnet.ledger import candidates_path

SHAPE, PIXEL_SIZE, DIAMETER_PX = (260, 340), 2.0, 24.0
NAMES = ("a/one", "a/two", "b/one", "b/empty")


class Scene(NamedTuple):
    """Micrographs, a folder as `drpnet pick` leaves it, labels; two of the micrographs have the same stem."""

    micrographs: Path
    picks: Path
    truth: Path


def page_data(page: Path) -> dict[str, Any]:
    """The JSON that a page carries."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


def crowded(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (k, 2), and picks (n, 2) with scores (n,) that fall on them twice, between two of them, and beside."""
    truth = random.uniform(5, np.array(SHAPE) - 6, (30, 2))
    near = np.concatenate([truth, truth[::2], (truth[:-1] + truth[1:]) / 2]) + random.normal(0, 4, (30 + 15 + 29, 2))
    picks = np.clip(near, 0, np.array(SHAPE) - 1)
    return truth, picks, np.round(random.uniform(0, 1, len(picks)), 2)  # two decimals: many are equal


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    random = np.random.default_rng(4)
    made = Scene(tmp_path / "mics", tmp_path / "picks", tmp_path / "truth")
    records = []
    for name in NAMES:
        tree, stem = name.split("/")
        truth, picks, scores = crowded(random)
        if name == "b/empty":
            truth, picks, scores = truth[:0], picks[:0], scores[:0]
        path = made.micrographs / f"{name}.mrc"
        image = random.normal(100, 10, SHAPE).astype(np.float32)
        write_micrograph(path, image, PIXEL_SIZE)
        unknown = np.full(len(scores), np.nan)
        write_candidates_star(candidates_path(made.picks, tree, stem), Candidates(picks, scores, scores / 2, unknown))
        write_autopick_star(made.truth / f"{name}.star", truth, None)
        records.append(
            {"name": f"mics/{name}.mrc", "path": str(path), "tree": tree, "stem": stem, "shape": list(SHAPE),
             "pixel_size": PIXEL_SIZE, "optics": {"rlnMicrographPixelSize": PIXEL_SIZE}, "ctf": None}
        )  # fmt: skip
    run = {
        "drpnet": "0", "parameters": {"particle_diameter": DIAMETER_PX * PIXEL_SIZE}, "micrographs": records,
        "box_size": None, "micrographs_star": None, "threshold": 0.4, "note": "classifier: none",
    }  # fmt: skip
    (made.picks / "run.json").write_text(json.dumps(run))
    return made
