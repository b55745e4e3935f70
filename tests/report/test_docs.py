"""What docs/report.md tells napari's users is what our files hold."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from drpnet.cut import cut
from drpnet.io.coordinates import read_coordinates
from drpnet.io.star import write_star
from tests.report.conftest import Scene


class Viewer:
    """Keeps what napari.Viewer would show."""

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []
        self.points: list[np.ndarray] = []

    def add_image(self, image: np.ndarray) -> None:
        self.images.append(np.asarray(image))

    def add_points(self, points, **looks) -> None:
        assert {"size", "face_color", "border_color"} <= set(looks)
        self.points.append(np.asarray(points))


def test_the_lines_for_napari_show_our_points(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    cut(scene.picks, 0.5)
    (tmp_path / "my_micrographs").symlink_to(scene.micrographs / "a")
    for name in ("one_autopick.star", "candidates/one_candidates.star"):
        path = scene.picks / name
        source = scene.picks / "candidates/a/one_candidates.star" if "cand" in name else scene.picks / "a/one_autopick.star"
        path.write_bytes(source.read_bytes())
    box = {"CoordinateX": [10.0, 30.0], "CoordinateY": [20.0, 40.0], "Width": [8.0, 8.0], "Height": [6.0, 6.0]}
    write_star(tmp_path / "one.cbox", {"global": {"version": "1.0"}, "cryolo": box})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "napari", SimpleNamespace(Viewer=Viewer))  # type: ignore[arg-type]
    text = (repository / "docs" / "report.md").read_text(encoding="utf-8")
    shown: dict = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, shown)
    picked, every, boxes = shown["viewer"].points
    assert shown["viewer"].images[0].shape == (260, 340)
    np.testing.assert_allclose(picked, read_coordinates(scene.picks / "one_autopick.star").centres)
    assert len(every) > len(picked)
    np.testing.assert_allclose(boxes, read_coordinates(Path("one.cbox")).centres)
