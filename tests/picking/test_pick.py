"""Picking through the console: sources, continuing, workers, cuts, pictures."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import loky
import numpy as np
import pytest
from PIL import Image

from drpnet import pick_many, picking
from drpnet.cut import cut
from drpnet.io.coordinates import read_coordinates
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import read_candidates_star
from drpnet.io.star import read_star, write_star
from drpnet.ledger import read_records

PIXEL_SIZE, DIAMETER = 5.0, 100  # as in conftest.py


def stars(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.star"))}


def test_the_tree_is_kept_and_particles_star_holds_every_pick(pick, weights, mics, tmp_path):
    out = tmp_path / "picks"
    assert pick(weights, mics, out, "--threshold", "all") == 0
    picks = {place: read_coordinates(out / f"{place}_autopick.star") for place in ("a/one", "a/two.v2", "b/one")}
    particles = read_star(out / "particles.star")["particles"]
    for place, found in picks.items():
        rows = particles[particles["rlnMicrographName"] == str(mics / f"{place}.mrc")]
        assert len(rows) == len(found.centres) > 3
        np.testing.assert_allclose(rows[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(float), found.centres)
        assert (found.centres > -0.5).all() and (found.centres < (119.5, 149.5)).all()
        kept = read_candidates_star(out / "candidates" / f"{place}_candidates.star")
        assert len(kept.centres) == len(found.centres) and np.isnan(kept.classifier_score).all()
    assert len(particles) == sum(len(found.centres) for found in picks.values())


def loaded(repository: Path, *arguments: object) -> set[str]:
    """The packages that a console command has imported at its end."""
    words = [str(argument) for argument in arguments]
    code = (
        "import sys\nfrom drpnet.cli import app\n"
        f"try: app({words!r})\nexcept SystemExit as stop: assert not stop.code, stop.code\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_a_whole_pick_imports_neither_training_nor_tables(repository, weights, mics, tmp_path):
    out, own = tmp_path / "picks", ("--weights", weights, "--device", "cpu", "--diameter", DIAMETER)
    packages = loaded(repository, "pick", mics, "--out", out, *own)
    assert {"drpnet", "torch", "numba"} <= packages and len(stars(out)) == 8
    unwanted = {"pytorch_lightning", "torchmetrics", "pandas", "starfile", "skimage", "matplotlib", "wandb", "gemmi"}
    assert packages & unwanted == set()
    # nor does moving the threshold, or picking when all is picked
    assert loaded(repository, "threshold", out, "--at", "0.1") & {*unwanted, "torch", "numba", "scipy"} == set()
    assert loaded(repository, "pick", mics, "--out", out, *own) & {*unwanted, "numba"} == set()


def test_workers_give_the_same_candidates(pick, weights, mics, tmp_path):
    """The same to rounding: a worker has its own number of threads, and sums depend on it on some processors."""
    assert pick(weights, mics, tmp_path / "one") == 0
    assert pick(weights, mics, tmp_path / "two", "--workers", 2) == 0
    assert stars(tmp_path / "one").keys() == stars(tmp_path / "two").keys()
    for place in ("a/one", "a/two.v2", "b/one"):
        one, two = (
            read_candidates_star(tmp_path / out / "candidates" / f"{place}_candidates.star") for out in ("one", "two")
        )
        assert len(one.centres) > 3
        np.testing.assert_allclose(one.centres, two.centres, atol=1e-3)
        np.testing.assert_allclose(one.figure_of_merit, two.figure_of_merit, rtol=1e-5)
        np.testing.assert_allclose(one.detection_score, two.detection_score, rtol=1e-5)


def test_a_second_run_picks_only_what_is_new(pick, weights, mics, tmp_path, monkeypatch):
    out = tmp_path / "picks"
    assert pick(weights, mics / "a", out) == 0
    picked = []
    really = pick_many.pick_one
    monkeypatch.setattr(pick_many, "pick_one", lambda p, entry, *rest: picked.append(entry.stem) or really(p, entry, *rest))
    image = np.random.default_rng(5).normal(size=(120, 150)).astype(np.float32)
    write_micrograph(mics / "a" / "three.mrc", image, PIXEL_SIZE)
    assert pick(weights, mics / "a", out, "--threshold", "all") == 0
    assert picked == ["three"]
    (out / "candidates" / "one_candidates.star").unlink()
    assert pick(weights, mics / "a", out) == 0
    assert picked == ["three", "one"]


def test_what_was_picked_before_an_interruption_is_kept(pick, weights, mics, tmp_path, monkeypatch):
    out = tmp_path / "picks"
    really = pick_many.pick_one

    def interrupted(picker, entry, *rest):
        if entry.stem == "two.v2":
            raise KeyboardInterrupt
        return really(picker, entry, *rest)

    monkeypatch.setattr(pick_many, "pick_one", interrupted)
    assert pick(weights, mics / "a", out) == 130
    assert list(read_records(out)) == [Path("one")]
    assert cut(out, 0.4).picks.keys() == {str(mics / "a" / "one.mrc")}  # drpnet threshold, meanwhile
    monkeypatch.setattr(pick_many, "pick_one", really)
    assert pick(weights, mics / "a", out) == 0
    assert pick(weights, mics / "a", tmp_path / "straight") == 0
    assert (out / "particles.star").read_bytes() == (tmp_path / "straight" / "particles.star").read_bytes()


def test_a_star_keeps_names_optics_and_ctf(pick, weights, mics, tmp_path, capsys):
    star = mics.parent / "corrected.star"
    names = ["mics/a/one.mrc", "mics/b/one.mrc"]
    optics = {"rlnOpticsGroupName": ["x", "y"], "rlnOpticsGroup": [2, 5], "rlnMicrographPixelSize": [5.0, 6.0]}
    rows = {"rlnMicrographName": names, "rlnOpticsGroup": [5, 2], "rlnDefocusU": [1e4, 2e4]}
    write_star(star, {"optics": frame(optics), "micrographs": frame(rows)})
    out = tmp_path / "picks"
    assert pick(weights, star, out, "--threshold", "all") == 0
    blocks = read_star(out / "particles.star")
    assert dict(zip(blocks["optics"]["rlnOpticsGroup"], blocks["optics"]["rlnMicrographPixelSize"], strict=True)) == {
        5: 6.0, 2: 5.0,
    }  # fmt: skip
    first = blocks["particles"][blocks["particles"]["rlnMicrographName"] == names[0]]
    assert set(first["rlnOpticsGroup"]) == {5} and set(first["rlnDefocusU"]) == {1e4}
    assert (out / "coords_suffix_autopick.star").read_text().strip() == str(star)


def test_relion_3_finds_the_picks_of_every_micrograph_of_the_star(pick, weights, tmp_path, monkeypatch):
    """relion_preprocess 3.x reads <folder of coords_suffix><name without the job>_autopick.star for every name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    names = ["MotionCorr/job002/Movies/g1/a.mrc", "MotionCorr/job002/Movies/g2/a.mrc"]
    for name in names:
        write_micrograph(tmp_path / name, rng.normal(100, 10, (120, 150)).astype(np.float32), PIXEL_SIZE)
    star = "CtfFind/job003/micrographs_ctf.star"
    write_star(tmp_path / star, {"micrographs": frame({"rlnMicrographName": names})})
    assert pick(weights, star, Path("AutoPick/job004")) == 0
    suffix = tmp_path / "AutoPick/job004/coords_suffix_autopick.star"
    assert suffix.read_text() == f"{star}\n"
    for name in read_star(tmp_path / suffix.read_text().strip())["micrographs"]["rlnMicrographName"]:
        tree = name.removeprefix("MotionCorr/job002/").removesuffix(".mrc")
        assert (suffix.parent / f"{tree}_autopick.star").is_file()
    # picked from the folder, the names of the star say nothing of these picks any more
    assert pick(weights, "MotionCorr/job002", Path("AutoPick/job004")) == 0
    assert not suffix.exists()


def frame(columns):
    import pandas

    return pandas.DataFrame(columns)


def test_a_glob_minimum_distance_and_box(pick, weights, mics, tmp_path):
    out = tmp_path / "picks"
    assert (
        pick(weights, mics / "*" / "one.mrc", out, "--threshold", "all", "--min-distance", 200, "--box-size", 40) == 0
    )
    for tree in ("a", "b"):
        centres = read_coordinates(out / tree / "one_autopick.star").centres
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[~np.eye(len(centres), dtype=bool)]
        assert (apart * PIXEL_SIZE >= 200 - 1e-6).all()
        assert (centres >= 20).all() and (centres <= (100, 130)).all()


def test_the_picture_follows_the_cut(pick, weights, mics, tmp_path):
    out = tmp_path / "picks"
    assert pick(weights, mics / "a" / "one.mrc", out, "--overlay", "--threshold", "all") == 0
    drawn = np.asarray(Image.open(out / "overlays" / "one.png"))
    assert drawn.shape == (120, 150, 3) and (drawn[..., 0] != drawn[..., 2]).any()
    assert pick(weights, mics / "a" / "one.mrc", out, "--overlay", "--threshold", "1") == 0
    again = np.asarray(Image.open(out / "overlays" / "one.png"))
    assert (again[40:, :, 0] == again[40:, :, 2]).all()


@pytest.mark.parametrize("place", ["mics/picks", "mics"])
def test_pictures_of_an_earlier_run_are_not_picked(pick, weights, tmp_path, monkeypatch, place):
    """Micrographs that are pictures, the output folder among them: its overlays are no micrographs."""
    rng = np.random.default_rng(3)
    for name in ("a.png", "grid/overlays/b.png"):  # a folder of that name may well hold micrographs
        path = tmp_path / "mics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (120, 150), np.uint8)).save(path)
    run = tmp_path / "mics" / "run"  # of train.py
    (run / ".hydra").mkdir(parents=True)
    (run / "weights.safetensors").write_bytes(b"")
    (tmp_path / "mics" / "a.png").replace(run / "curves.png")
    Image.fromarray(rng.integers(0, 255, (120, 150), np.uint8)).save(tmp_path / "mics" / "a.png")
    out = tmp_path / place
    picked = []
    really = pick_many.pick_one

    def broken_off(picker, entry, *rest):
        """As if killed after the first picture."""
        really(picker, entry, *rest)
        assert (out / "run.json").is_file()
        raise KeyboardInterrupt

    options = ("--overlay", "--pixel-size", PIXEL_SIZE)
    monkeypatch.setattr(pick_many, "pick_one", broken_off)
    assert pick(weights, tmp_path / "mics", out, *options) == 130
    assert (out / "overlays" / "a.png").is_file()
    monkeypatch.setattr(pick_many, "pick_one", lambda p, entry, *rest: picked.append(entry.stem) or really(p, entry, *rest))
    for source in (tmp_path / "mics", tmp_path / "mics", tmp_path / "mics" / "**" / "*.png"):
        assert pick(weights, source, out, *options) == 0
    assert picked == ["b"]
    assert len(list(out.rglob("*_autopick.star"))) == 2


def test_a_micrograph_that_was_made_again_is_picked_again(pick, weights, mics, tmp_path, caplog):
    """Another image under the same name, or another pixel size in its header: not the old picks without a word."""
    out = tmp_path / "picks"
    assert pick(weights, mics, out, "--threshold", "all") == 0
    before = (out / "a" / "one_autopick.star").read_bytes()
    image = np.random.default_rng(77).normal(100, 10, (120, 150)).astype(np.float32)
    write_micrograph(mics / "a" / "one.mrc", image, PIXEL_SIZE)
    write_micrograph(mics / "b" / "one.mrc", image, 2 * PIXEL_SIZE)
    kept = (out / "candidates" / "a" / "two.v2_candidates.star").stat().st_mtime_ns
    with caplog.at_level("INFO"):
        assert pick(weights, mics, out, "--threshold", "all") == 0
    assert "2 micrographs, such as a/one, changed since" in caplog.text
    assert (out / "a" / "one_autopick.star").read_bytes() != before
    assert (out / "candidates" / "a" / "two.v2_candidates.star").stat().st_mtime_ns == kept
    records = json.loads((out / "run.json").read_text())["micrographs"]
    sizes = {record["stem"] + record["tree"]: record["pixel_size"] for record in records}
    assert sizes["oneb"] == 2 * PIXEL_SIZE and sizes["onea"] == PIXEL_SIZE


def test_a_new_ctf_reaches_particles_star_without_picking_again(pick, weights, mics, tmp_path, caplog):
    out, star = tmp_path / "picks", tmp_path / "micrographs.star"

    def list_with(defocus):
        optics = {"rlnOpticsGroupName": ["g"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL_SIZE]}
        rows = {"rlnMicrographName": [str(mics / "a" / "one.mrc")], "rlnOpticsGroup": [1], "rlnDefocusU": [defocus],
                "rlnDefocusV": [defocus], "rlnDefocusAngle": [0.0]}  # fmt: skip
        write_star(star, {"optics": optics, "micrographs": rows})

    for defocus in (22827.0, 11111.0):
        list_with(defocus)
        with caplog.at_level("INFO"):
            assert pick(weights, star, out, "--threshold", "all") == 0
        found = read_star(out / "particles.star")["particles"]["rlnDefocusU"].astype(float)
        assert len(found) > 3 and set(found) == {defocus}
    assert "1 micrographs are already picked" in caplog.text


def test_micrographs_that_left_the_source_are_named(pick, weights, mics, tmp_path, caplog):
    out = tmp_path / "picks"
    assert pick(weights, mics, out) == 0
    (mics / "b" / "one.mrc").unlink()
    assert pick(weights, mics, out) == 0
    assert "1 micrographs, such as b/one, were picked" in caplog.text and "choose another --out" in caplog.text


def test_a_box_that_fits_nowhere_is_an_error(pick, weights, mics, tmp_path, capsys):
    assert pick(weights, mics, tmp_path / "picks", "--box-size", 5000) == 2
    assert "the box of 5000 px is larger than the 120 x 150 image; lower --box-size" in capsys.readouterr().err


def test_no_pick_comes_with_advice(pick, weights, mics, tmp_path, capsys):
    assert pick(weights, mics, tmp_path / "picks", "--threshold", 1) == 0
    said = capsys.readouterr().err
    assert "no pick reaches" in said and f"drpnet threshold {tmp_path / 'picks'} --at 0." in said.replace("\n", "")


def test_a_run_that_picked_nothing_binds_nobody(pick, weights, mics, tmp_path):
    out = tmp_path / "picks"
    assert pick(weights, mics, out, "--diameter", 5) == 2  # 1 px
    assert pick(weights, mics, out) == 0
    assert pick(weights, mics, out, "--diameter", 90) == 2


def test_a_thousand_problems_do_not_fill_the_screen(pick, weights, tmp_path, capsys):
    for number in range(25):
        write_micrograph(tmp_path / "mics" / f"{number:02}.mrc", np.ones((100, 100), np.float32), PIXEL_SIZE)
    image = np.random.default_rng(1).normal(100, 10, (120, 150)).astype(np.float32)
    write_micrograph(tmp_path / "mics" / "good.mrc", image, PIXEL_SIZE)
    out = tmp_path / "picks"
    assert pick(weights, tmp_path / "mics", out) == 1
    said = "".join(capsys.readouterr())
    assert said.count("skipped ") == 20 and said.count("not picked ") == 21 + 1  # the table's row
    assert "5 more, named in" in said
    assert len(json.loads((out / "run.json").read_text())["failures"]) == 25


def test_a_killed_worker_is_said_in_one_line_and_the_next_run_goes_on(pick, weights, mics, tmp_path, capsys):
    out = tmp_path / "picks"
    killer = threading.Thread(target=kill_a_worker, daemon=True)
    killer.start()
    assert pick(weights, mics, out, "--workers", 2) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told and "a worker process died" in told and "--workers" in told.splitlines()[-1]
    assert pick(weights, mics, out) == 0


def test_an_interruption_with_workers_ends_in_one_line_and_leaves_nothing_half_written(pick, weights, tmp_path, capfd):
    """Ctrl-C in a terminal reaches every process."""
    rng = np.random.default_rng(4)
    for number in range(12):
        image = rng.normal(100, 10, (300, 300)).astype(np.float32)
        write_micrograph(tmp_path / "mics" / f"{number:02}.mrc", image, PIXEL_SIZE)
    out = tmp_path / "picks"

    def interrupt():
        while not list(out.glob("candidates/*_candidates.star")):
            time.sleep(0.01)
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert pick(weights, tmp_path / "mics", out, "--workers", 2) == 130
    for child in multiprocessing.active_children():
        child.join(60)
    told = capfd.readouterr().err
    assert "Traceback" not in told and "interrupted" in told.splitlines()[-1]
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]
    assert len(list(out.glob("candidates/*_candidates.star"))) < 12
    assert pick(weights, tmp_path / "mics", out) == 0
    assert len(list(out.glob("*_autopick.star"))) == 12


def test_a_worker_that_dies_while_micrographs_are_handed_out(pick, weights, mics, tmp_path, monkeypatch, capsys):
    really = loky.ProcessPoolExecutor.submit

    def dies_at_the_second(pool, function, *arguments):
        if pool._pending_work_items or pool._queue_count > 0:
            raise BrokenProcessPool("as if the first worker had been killed at its start")
        return really(pool, function, *arguments)

    monkeypatch.setattr(loky.ProcessPoolExecutor, "submit", dies_at_the_second)
    assert pick(weights, mics, tmp_path / "picks", "--workers", 2) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told and "a worker process died" in told


def kill_a_worker():
    while not multiprocessing.active_children():
        time.sleep(0.02)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the workers in Linux's /proc")
def test_a_killed_worker_ends_the_whole_program(weights, mics, tmp_path, repository):
    """Not only with a message: the pool of the standard library waits for ever at the interpreter's end."""
    arguments = ["pick", mics, "--out", tmp_path / "picks", "--diameter", DIAMETER, "--weights", weights, "--workers", 2]
    program = subprocess.Popen(
        [sys.executable, "-m", "drpnet.cli", *map(str, arguments)], cwd=repository, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while program.poll() is None:
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        workers = [child for child in children if b"popen_loky" in Path(f"/proc/{child}/cmdline").read_bytes()]
        if workers:
            os.kill(int(workers[0]), signal.SIGKILL)
            break
        time.sleep(0.001)
    try:
        told = program.communicate(timeout=120)[1]
    finally:
        program.kill()
    assert program.returncode == 2 and "a worker process died" in told and "Traceback" not in told


def test_profiles_change_the_candidates(pick, weights, mics, tmp_path):
    assert pick(weights, mics / "a" / "one.mrc", tmp_path / "own") == 0
    own = (tmp_path / "own" / "candidates" / "one_candidates.star").read_bytes()
    for profile in ("paper", "released"):
        out = tmp_path / profile
        assert pick(weights, mics / "a" / "one.mrc", out, "--profile", profile) == 0
        assert (out / "candidates" / "one_candidates.star").read_bytes() != own


def test_an_unexpected_error_on_one_micrograph_does_not_stop_the_others(pick, weights, mics, tmp_path, monkeypatch, capsys):
    really = pick_many.pick_one

    def broken(picker, entry, *rest):
        if entry.stem == "two.v2":
            raise ZeroDivisionError("by zero")
        return really(picker, entry, *rest)

    monkeypatch.setattr(pick_many, "pick_one", broken)
    assert pick(weights, mics, tmp_path / "picks") == 1
    assert "two.v2.mrc: unexpected ZeroDivisionError: by zero" in capsys.readouterr().err
    assert len(list((tmp_path / "picks").rglob("*_autopick.star"))) == 2


def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(pick, weights, mics, tmp_path, monkeypatch, capsys):
    out, tried = tmp_path / "picks", []
    really = picking.write_candidates_star

    def full(path, candidates):
        tried.append(path)
        if len(tried) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        really(path, candidates)

    monkeypatch.setattr(picking, "write_candidates_star", full)
    assert pick(weights, mics, out) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "two.v2" in last and os.strerror(errno.ENOSPC) in last and "again" in last and len(tried) == 2
    monkeypatch.setattr(picking, "write_candidates_star", really)
    assert pick(weights, mics, out) == 0


def test_one_micrograph_under_two_names_is_picked_once(pick, weights, mics, tmp_path, capsys):
    out = tmp_path / "picks"
    assert pick(weights, mics, out) == 0
    (tmp_path / "link").symlink_to("mics")
    assert pick(weights, tmp_path / "link", out) == 0  # the same files by another way
    before = (out / "particles.star").read_bytes()
    assert pick(weights, mics / "a", out) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert f"{mics / 'a' / 'one.mrc'} as a/one, now they would be one" in told and "--out" in told
    assert (out / "particles.star").read_bytes() == before
