"""Many programs that pick into one folder, and a folder that grows."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from drpnet import pick_many, watch
from drpnet.errors import InputError
from drpnet.io.micrographs import write_micrograph
from drpnet.io.star import read_star
from drpnet.ledger import create_manifest, failure_of, parse_shard, read_records, write_failure, write_record

PIXEL_SIZE, DIAMETER = 5.0, 100  # as in conftest.py


def noise(path: Path, seed: int = 0) -> None:
    image = np.random.default_rng(seed).normal(100, 10, (120, 150)).astype(np.float32)
    write_micrograph(path, image, PIXEL_SIZE)


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.star")}


def test_shards_pick_each_micrograph_once_and_the_last_one_cuts(pick, weights, tmp_path, monkeypatch, capsys):
    for number in range(9):
        noise(tmp_path / "mics" / f"{number % 2}" / f"m{number}.mrc", number)
    assert pick(weights, tmp_path / "mics", tmp_path / "straight") == 0
    picked = Counter()
    really = pick_many.pick_one
    monkeypatch.setattr(pick_many, "pick_one", lambda p, entry, *rest: picked.update([entry.stem]) or really(p, entry, *rest))
    out = tmp_path / "picks"
    for part in (3, 1, 2):
        assert not (out / "particles.star").exists()
        assert pick(weights, tmp_path / "mics", out, "--shard", f"{part}/3") == 0
    assert picked == Counter({f"m{number}": 1 for number in range(9)})
    assert outputs(out) == {
        name: text.replace(b"straight", b"picks") for name, text in outputs(tmp_path / "straight").items()
    }
    assert "micrographs are still to be picked by others" in capsys.readouterr().err


def test_a_failure_in_one_share_does_not_keep_the_others_waiting(pick, weights, mics, tmp_path):
    (mics / "b" / "one.mrc").write_bytes(b"no micrograph")
    out = tmp_path / "picks"
    codes = [pick(weights, mics, out, "--shard", f"{part}/2") for part in (1, 2)]
    assert sorted(codes) == [0, 1] and (out / "particles.star").is_file()
    assert [Path(name).parts[-2:] for name, _ in json.loads((out / "run.json").read_text())["failures"]] == [("b", "one.mrc")]
    noise(mics / "b" / "one.mrc")
    assert pick(weights, mics, out) == 0
    assert json.loads((out / "run.json").read_text())["failures"] == []
    assert len(list(out.rglob("*_autopick.star"))) == 3 and not list(out.rglob("*_failure.json"))


def test_shards_with_other_settings_are_refused(pick, weights, mics, tmp_path, capsys):
    out = tmp_path / "picks"
    assert pick(weights, mics, out, "--shard", "1/2") == 0
    assert pick(weights, mics, out, "--shard", "2/2", "--min-distance", 30) == 2
    assert "min_distance" in capsys.readouterr().err
    assert pick(weights, mics, out, "--shard", "2/2", "--adapt", 1) == 2


def test_a_share_binds_the_others_before_its_first_micrograph(pick, weights, mics, tmp_path, monkeypatch):
    """Or two shares with different settings that start together would mix their candidates."""
    out = tmp_path / "picks"
    codes = []

    def meanwhile(*_):
        monkeypatch.undo()
        codes.append(pick(weights, mics, out, "--shard", "2/2", "--min-distance", 30))
        yield from ()

    monkeypatch.setattr("drpnet.pick.pick_all", meanwhile)
    assert pick(weights, mics, out, "--shard", "1/2") == 0
    assert codes == [2]


def test_candidates_of_unknown_settings_are_not_gone_on_with(pick, weights, mics, tmp_path, capsys):
    out = tmp_path / "picks"
    assert pick(weights, mics, out) == 0
    (out / "run.json").unlink()
    assert pick(weights, mics, out, "--min-distance", 30) == 2
    assert "holds candidates, but not the run.json" in capsys.readouterr().err
    assert not (out / "run.json").exists()


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "1/2/3", "-1/2", "a/b"])
def test_wrong_shards_are_named(text):
    with pytest.raises(InputError, match="K/N"):
        parse_shard(text)


def test_shards_at_the_same_time_are_one_run(weights, tmp_path, repository):
    """Real processes that start together: none is refused, none is left out, the outputs are those of one program."""
    for number in range(6):
        noise(tmp_path / "mics" / f"m{number}.mrc", number)
    out = tmp_path / "picks"
    arguments = ["pick", tmp_path / "mics", "--out", out, "--diameter", DIAMETER, "--weights", weights, "--device", "cpu"]
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "drpnet.cli", *map(str, arguments), "--shard", f"{part}/3"], cwd=repository,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for part in (1, 2, 3)
    ]  # fmt: skip
    for program in programs:
        assert program.wait(timeout=240) == 0, program.stderr.read()
        program.stderr.close()
    blocks = read_star(out / "particles.star")
    assert len(set(blocks["particles"]["rlnMicrographName"])) == 6
    assert len(list(out.glob("*_autopick.star"))) == 6


def test_a_watch_picks_what_comes_and_ends_at_the_stop_file(pick, weights, mics, tmp_path, monkeypatch):
    """New files, one that grows while it is looked at, one that is broken and then made good."""
    out, looks = tmp_path / "picks", []

    def next_look(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            (mics / "a" / "half.mrc").write_bytes(b"x" * 100)
        if len(looks) == 2:
            noise(mics / "a" / "half.mrc", 3)  # another size: it was still being written
            (mics / "a" / "bad.mrc").write_bytes(b"no micrograph")
        if len(looks) == 3:
            assert {path.name for path in out.rglob("*_autopick.star")} == {"one_autopick.star", "two.v2_autopick.star"}
        if len(looks) == 5:
            noise(mics / "a" / "bad.mrc", 4)
        if len(looks) == 7:
            noise(mics / "a" / "late.mrc", 5)
            (out / "STOP").touch()
        if len(looks) == 8:
            os.utime(mics / "a" / "late.mrc")  # just finished, after the stop file
        assert len(looks) < 12

    monkeypatch.setattr(watch.time, "sleep", next_look)
    assert pick(weights, mics, out, "--watch", 7) == 0
    assert set(looks) == {7.0}
    stems = {path.name.removesuffix("_autopick.star") for path in out.rglob("*_autopick.star")}
    assert {"one", "two.v2", "half", "bad"} <= stems
    assert pick(weights, mics, out, "--watch", 7) == 2  # the stop file is still there


def test_a_broken_micrograph_fails_a_watch_once(pick, weights, mics, tmp_path, monkeypatch, capsys):
    (mics / "a" / "bad.mrc").write_bytes(b"no micrograph")
    out, looks = tmp_path / "picks", []

    def next_look(_):
        looks.append(1)
        if len(looks) == 6:
            (out / "STOP").touch()

    monkeypatch.setattr(watch.time, "sleep", next_look)
    assert pick(weights, mics, out, "--watch", 1) == 1
    assert capsys.readouterr().err.count("skipped") == 1


def test_an_empty_folder_can_be_watched(pick, weights, tmp_path, monkeypatch):
    (tmp_path / "mics").mkdir()
    out, looks = tmp_path / "picks", []

    def next_look(_):
        looks.append(1)
        if len(looks) == 1:
            noise(tmp_path / "mics" / "first.mrc")
        if len(looks) == 3:
            (out / "STOP").touch()

    monkeypatch.setattr(watch.time, "sleep", next_look)
    assert pick(weights, tmp_path / "mics", out, "--watch", 1) == 0
    assert (out / "first_autopick.star").is_file()


def test_one_of_many_writes_the_manifest(tmp_path):
    wrote = []
    barrier = threading.Barrier(8)

    def start(number):
        barrier.wait()
        wrote.append((create_manifest(tmp_path / "out", f"{number}"), number))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for won, number in wrote if won]
    assert (tmp_path / "out" / "run.json").read_text() == str(winner)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.json"]


def test_records_and_failures_follow_the_file(tmp_path):
    path = tmp_path / "one.mrc"
    path.write_bytes(b"x")
    write_failure(tmp_path / "out", Path("a/one"), path, "it is no micrograph")
    assert failure_of(tmp_path / "out", Path("a/one"), path) == "it is no micrograph"
    path.write_bytes(b"another one")
    assert failure_of(tmp_path / "out", Path("a/one"), path) is None
    record = {
        "name": "one", "path": str(path), "tree": "a", "stem": "one", "shape": [3, 4], "pixel_size": 1.5, "optics": {},
        "ctf": None, "file": [11, time.time_ns()],
    }  # fmt: skip
    write_record(tmp_path / "out", record)
    assert read_records(tmp_path / "out") == {Path("a/one"): record}
    assert not list((tmp_path / "out").rglob("*_failure.json"))
    (tmp_path / "out" / "candidates" / "a" / "two_record.json").write_text("{}")
    (tmp_path / "out" / "candidates" / "a" / "three_record.json").write_text("[")
    assert list(read_records(tmp_path / "out")) == [Path("a/one")]
