"""`drpnet download`, killed at random moments: a file that has its name is whole, and the same command goes on."""

import json
import shutil

import numpy as np
import pytest

from drpnet.download.transfer import clear
from drpnet.io.micrographs import write_micrograph

FOLDER = "/10061/data/Micrographs"


@pytest.mark.parametrize("times", [3, pytest.param(60, marks=pytest.mark.long)])
def test_a_killed_download_goes_on(kill_and_repeat, archive, tmp_path, times):
    rng, whole = np.random.default_rng(0), {}
    for number in range(8):
        write_micrograph(tmp_path / "m.mrc", rng.normal(size=(100, 100)), 1.5)
        whole[f"EMD-2984_{number:04d}.mrc"] = archive.files[f"{FOLDER}/EMD-2984_{number:04d}.mrc"] = (
            tmp_path / "m.mrc"
        ).read_bytes()
    archive.piece, archive.delay = 4000, 0.01
    root = tmp_path / "data" / "entry"
    there = root / "data" / "Micrographs"

    def check() -> None:
        for path in there.iterdir() if there.exists() else ():
            if path.suffix == ".mrc":
                assert path.read_bytes() == whole[path.name]
        if (root / "download.json").exists():
            json.loads((root / "download.json").read_text())

    def finished() -> None:
        assert {path.name: path.read_bytes() for path in there.iterdir()} == whole
        assert {path.name for path in root.iterdir()} == {"data", "download.json", ".download.lock"}
        record = json.loads((root / "download.json").read_text())
        assert len(record["files"]) == len(whole) and len(record["subsets"]) == 1

    arguments = ["download", "empiar10061", "--root", root, f"url={archive.url}", "--workers", 2]
    kill_and_repeat(arguments, root, times, check, finished, lambda: shutil.rmtree(root))


def test_what_was_begun_of_a_whole_file_goes(tmp_path):
    """A kill between a file's new name and the removal of its note left the note there for ever."""
    for name in ("a.mrc", "a.mrc.part", "a.mrc.part.json", "b.mrc.part"):
        (tmp_path / name).touch()
    clear(tmp_path / "a.mrc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mrc", "b.mrc.part"]
