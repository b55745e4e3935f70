"""`drpnet download`, killed or on a full disk: a file that has its name is whole, and the same command goes on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from drpnet.download.client import Client
from drpnet.download.transfer import clear, fetch
from drpnet.io.micrographs import write_micrograph

FOLDER = "/10061/data/Micrographs"


def micrographs(archive, folder: Path, count: int, edge: int) -> dict[str, bytes]:
    """Micrographs that the archive has in EMPIAR-10061, by their names."""
    rng, whole = np.random.default_rng(0), {}
    for number in range(count):
        write_micrograph(folder / "m.mrc", rng.normal(size=(edge, edge)), 1.5)
        whole[f"EMD-2984_{number:04d}.mrc"] = (folder / "m.mrc").read_bytes()
    archive.files.update({f"{FOLDER}/{name}": content for name, content in whole.items()})
    return whole


@pytest.mark.parametrize("times", [3, pytest.param(60, marks=pytest.mark.long)])
def test_a_killed_download_goes_on(kill_and_repeat, archive, tmp_path, times):
    whole = micrographs(archive, tmp_path, 8, 100)
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


def occupy(disk, left: int) -> Path:
    """Another program's file, which leaves so many kB of the disk."""
    other = disk.path / "other"
    other.write_bytes(bytes(shutil.disk_usage(disk.path).free - 1024 * left))
    return other


def test_a_disk_that_fills_up_meanwhile(drpnet, archive, disk, tmp_path):
    """A file of 12 kB and its note of 4 do not fit any more; then a part of one does; then all but the long record."""
    whole = micrographs(archive, tmp_path, 30, 50)
    root = disk.path / "entry"
    there = root / "data" / "Micrographs"
    arguments = ["download", "empiar10061", "--root", root, f"url={archive.url}", "--workers", 1]
    for number, left, named in ((3, 0, "EMD-2984_0003.mrc"), (10, 12, "EMD-2984_0010.mrc"), (29, 16, "download.json")):
        last = f"EMD-2984_{number:04d}.mrc"
        archive.meanwhile = lambda path, last=last, left=left: path.endswith(last) and occupy(disk, left)
        line = drpnet(*arguments).complaint()
        assert f"/{named}" in line and "No space left on device" in line
        assert "make room and run again" in line or "free space" in line
        for path in there.iterdir():
            if path.suffix == ".mrc":
                assert path.read_bytes() == whole[path.name]
            elif path.suffix == ".part":
                assert whole[path.stem].startswith(path.read_bytes())
        assert len(list(there.glob("*.mrc"))) == number + (named == "download.json")
        if number == 10:  # now it is full at the start
            archive.meanwhile = lambda path: None
            line = drpnet(*arguments).complaint()
            assert "kB more" in line and str(root) in line and "--root on another disk" in line
        (disk.path / "other").unlink()
    archive.meanwhile = lambda path: None
    assert drpnet(*arguments).status == 0
    assert {path.name: path.read_bytes() for path in there.iterdir()} == whole
    assert len(json.loads((root / "download.json").read_text())["files"]) == len(whole)


def test_a_full_disk_leaves_no_gap(archive, disk):
    """The end of a piece did not fit, then there was room again: the next piece was written behind the gap."""
    content = archive.files["/e/a.bin"] = np.random.default_rng(0).bytes(100_000)
    archive.piece, archive.delay = 6000, 0.02
    target, part = disk.path / "a.bin", disk.path / "a.bin.part"
    other = occupy(disk, 24)

    def count(number: int) -> None:
        if part.exists() and part.stat().st_size == 20 * 1024:  # all but the note
            other.unlink(missing_ok=True)

    def get() -> None:
        fetch(Client(pause=0.001), f"{archive.url}/e/a.bin", target, lambda path: None, count)

    with pytest.raises(OSError, match="No space left"):
        get()
    assert content.startswith(part.read_bytes())
    other.unlink()
    get()
    assert target.read_bytes() == content
