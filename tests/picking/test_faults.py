"""`drpnet pick` killed, on a full disk, without its input: what it leaves is whole, and the same command goes on."""

import json
import shutil
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from drpnet import pick_many
from drpnet.io.micrographs import write_micrograph
from drpnet.io.star import read_star
from drpnet.ledger import read_manifest
from drpnet.picking import load

PIXEL_SIZE, DIAMETER = 5.0, 100  # as in conftest.py


@pytest.fixture
def many(tmp_path) -> Path:
    """Twelve micrographs in two folders."""
    rng = np.random.default_rng(1)
    for number in range(12):
        image = rng.normal(100, 10, (120, 150)).astype(np.float32)
        write_micrograph(tmp_path / "mics" / f"{number % 2}" / f"m{number}.mrc", image, PIXEL_SIZE)
    return tmp_path / "mics"


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Folder:
    """A pick folder beside what an undisturbed run wrote into it."""

    def __init__(self, path: Path, micrographs: int) -> None:
        self.path, self.micrographs = path, micrographs
        self.undisturbed: dict[str, bytes] = {}

    def check(self, complete: bool = True) -> None:
        """What has its final name is whole: a .star and a picture as they will be, a .json that can be read.

        Of a folder that is not `complete` the lists of all picks are shorter.
        """
        for name, now in content(self.path).items() if self.path.exists() else ():
            if Path(name).name.startswith("."):
                continue
            assert name in self.undisturbed or name.endswith("_failure.json"), name
            if not complete and name in ("autopick.star", "particles.star"):
                read_star(self.path / name)
            elif name.endswith((".star", ".png")):
                assert now == self.undisturbed[name], name
            else:
                json.loads(now)
        if (self.path / "run.json").exists():
            read_manifest(self.path)

    def finished(self) -> None:
        """All files are those of an undisturbed run, bit for bit, and no other is there; each micrograph is once there."""
        now = content(self.path)
        if not self.undisturbed:
            self.undisturbed = now
            index = read_star(self.path / "autopick.star")["coordinate_files"]
            assert len(set(index["rlnMicrographName"])) == len(index) == self.micrographs
            blocks = read_star(self.path / "particles.star")
            counts = Counter(blocks["particles"]["rlnMicrographName"])
            assert set(counts) == set(index["rlnMicrographName"])
        assert {name: now[name] == self.undisturbed[name] for name in now} == dict.fromkeys(self.undisturbed, True)


@pytest.mark.parametrize("times", [5, pytest.param(60, marks=pytest.mark.long)])
def test_a_killed_pick_goes_on(kill_and_repeat, weights, many, tmp_path, times):
    out = tmp_path / "picks"
    folder = Folder(out, 12)
    arguments = ["pick", many, "--out", out, "--diameter", DIAMETER, "--weights", weights, "--device", "cpu", "--overlay"]
    kill_and_repeat(arguments, out, times, folder.check, folder.finished, lambda: shutil.rmtree(out))


def children(pid: int) -> set[int]:
    """The worker processes of a program."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.add(int(stat.parent.name))
    return found


def are_gone(processes: set[int]) -> bool:
    """Whether none of the processes lives, within two minutes."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if not any(Path(f"/proc/{pid}/fd/0").exists() for pid in processes):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the workers in /proc")
@pytest.mark.parametrize("times", [1, pytest.param(15, marks=pytest.mark.long)])
def test_a_killed_pick_goes_on_and_its_workers_end(kill_and_repeat, weights, many, tmp_path, times):
    """A worker whose program was killed ends, too, or it would keep its memory, its GPU and its pick folder for ever."""
    out, seen = tmp_path / "picks", []
    folder = Folder(out, 12)

    def check() -> None:
        folder.check()
        assert are_gone(seen.pop())
        folder.check()

    arguments = ["pick", many, "--out", out, "--diameter", DIAMETER, "--weights", weights, "--device", "cpu", "--workers", 2]
    kill_and_repeat(
        arguments, out, times, check, folder.finished, lambda: shutil.rmtree(out), before=lambda pid: seen.append(children(pid))
    )  # fmt: skip


def complaint(capsys, *words: object) -> None:
    """The last run ended with one line for its user, which holds the words."""
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: ") and not any(line.startswith(("Traceback", "error: ")) for line in lines[:-1])
    for word in words:
        assert str(word) in lines[-1]


@pytest.mark.parametrize("overlay", [(), ("--overlay",)])
def test_a_full_disk(pick, weights, many, disk, capsys, overlay):
    """Wherever the disk ends: in run.json, in the candidates, in a picture, in the cut."""
    out = disk.path / "picks"
    folder = Folder(out, 12)
    arguments = (weights, many, out, *overlay)
    assert pick(*arguments) == 0
    folder.finished()
    needed = sum(-(-len(text) // 4096) * 4 for text in folder.undisturbed.values())
    for size in range(4, needed, needed // 5):
        shutil.rmtree(out)
        disk.resize(size)
        capsys.readouterr()
        assert pick(*arguments) == 2, size
        complaint(capsys, out, "No space left on device", "free")
        folder.check()
    disk.resize(4096)
    assert pick(*arguments) == 0
    folder.finished()


@pytest.mark.slow
def test_a_full_disk_with_workers(pick, weights, many, disk, capsys):
    out = disk.path / "picks"
    disk.resize(40)
    assert pick(weights, many, out, "--workers", 2) == 2
    complaint(capsys, out, "No space left on device", "free")
    disk.resize(4096)
    assert pick(weights, many, out, "--workers", 2) == 0
    Folder(out, 12).finished()


def test_a_folder_that_cannot_be_written(pick, weights, many, disk, capsys):
    out = disk.path / "picks"
    folder = Folder(out, 12)
    disk.protect(read_only=True)
    assert pick(weights, many, out) == 2
    complaint(capsys, out, "Read-only file system", "check the path, its permissions")
    disk.protect(read_only=False)
    assert pick(weights, many, out) == 0
    folder.finished()


def undisturbed(pick, weights, many, out):
    """The folder that knows what an undisturbed run leaves; it is empty again."""
    folder = Folder(out, 12)
    assert pick(weights, many, out) == 0
    folder.finished()
    shutil.rmtree(out)
    return folder


def test_a_disk_that_cannot_be_written_any_more(pick, weights, many, disk, capsys, monkeypatch):
    out = disk.path / "picks"
    folder = undisturbed(pick, weights, many, out)
    seen: list[Path] = []

    def fifth(entry, *rest):
        seen.append(entry.path)
        if len(seen) == 5:
            disk.protect(read_only=True)
        return load(entry, *rest)

    monkeypatch.setattr(pick_many, "load", fifth)
    assert pick(weights, many, out) == 2
    complaint(capsys, out, "Read-only file system", "make that disk writable", "again to go on")
    folder.check()
    disk.protect(read_only=False)
    assert pick(weights, many, out) == 0
    folder.finished()


def test_micrographs_that_vanish(pick, weights, many, tmp_path, capsys, monkeypatch):
    """One is removed between the look at the folder and its turn; then the whole folder is."""
    out, aside = tmp_path / "picks", tmp_path / "aside"
    folder = undisturbed(pick, weights, many, out)
    seen: list[Path] = []

    def vanishing(entry, *rest):
        seen.append(entry.path)
        if len(seen) == 3:
            entry.path.rename(tmp_path / "one.mrc")
        if len(seen) == 7:
            many.rename(aside)
        return load(entry, *rest)

    monkeypatch.setattr(pick_many, "load", vanishing)
    capsys.readouterr()
    assert pick(weights, many, out) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("not picked ")]
    assert len(told) == 7 and all("does not exist; check the path" in line for line in told)
    folder.check(complete=False)
    assert pick(weights, many, out) == 2
    complaint(capsys, many, "does not exist")
    aside.rename(many)
    (tmp_path / "one.mrc").rename(seen[2])
    assert pick(weights, many, out) == 0
    folder.finished()
