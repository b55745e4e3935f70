"""The measured Table 3: parts that go on, classes by rule, equal numbers of picks. RELION itself runs by hand."""

import json
import sys
import time
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.io.micrographs import read_micrograph, write_micrograph
from drpnet.io.star import read_star, write_star
from experiments.relion_maps import protocol
from experiments.relion_maps.averages import draw_averages, read_averages
from experiments.relion_maps.classes import good_classes, keep
from experiments.relion_maps.project import GEOMETRY, Picks, best, even_copies, picks_of_relion, write_picks
from experiments.relion_maps.steps import OutOfTime, Runner, last_iteration

SLOW_ITERATIONS = """
import pathlib, sys, time
first = int(sys.argv[sys.argv.index("--continue") + 1].split("_it")[1][:3]) + 1 if "--continue" in sys.argv else 1
pathlib.Path("refine").mkdir(exist_ok=True)
for number in range(first, 5):
    if number == 3 and first == 1:
        time.sleep(60)
    for kind in ("data", "model"):
        pathlib.Path(f"refine/run_it{number:03d}_{kind}.star").write_text(f"iteration of the part from {first}")
    lines = [f"_rln{kind} refine/run_it{number:03d}_{kind}.star" for kind in ("data", "model")]
    pathlib.Path(f"refine/run_it{number:03d}_optimiser.star").write_text("\\n".join(lines))
pathlib.Path("refine/done.mrc").write_text("map")
"""
"""A stand-in for relion_refine: four iterations, the third hangs the first time."""


def test_a_refinement_that_is_stopped_goes_on_from_its_last_iteration(tmp_path: Path):
    command = [sys.executable, "-c", SLOW_ITERATIONS]
    with pytest.raises(OutOfTime):
        Runner(tmp_path, time.monotonic() + 4).run("refine", command, "refine/done.mrc", "refine/run")
    assert last_iteration(tmp_path, "refine/run") == "refine/run_it002_optimiser.star"
    Runner(tmp_path).run("refine", command, "refine/done.mrc", "refine/run")
    stamp = json.loads((tmp_path / "steps" / "refine.json").read_text())
    assert stamp["done"] and len(stamp["parts"]) == 2 and stamp["seconds"] == pytest.approx(sum(stamp["parts"]))
    assert (tmp_path / "refine/run_it004_data.star").read_text().endswith("3")
    written = (tmp_path / "refine/done.mrc").stat().st_mtime_ns
    Runner(tmp_path, until=0.0).run("refine", command, "refine/done.mrc", "refine/run")
    assert (tmp_path / "refine/done.mrc").stat().st_mtime_ns == written


def test_an_iteration_that_a_kill_cut_short_is_passed_over(tmp_path: Path):
    for number, files in ((1, ("data", "model")), (2, ("data",))):
        for kind in files:
            (tmp_path / f"run_it{number:03d}_{kind}.star").write_text("x")
        lines = [f"_rln{kind} run_it{number:03d}_{kind}.star" for kind in ("data", "model")]
        (tmp_path / f"run_it{number:03d}_optimiser.star").write_text("\n".join(lines))
    assert last_iteration(tmp_path, "run") == "run_it001_optimiser.star"


def test_a_step_of_another_command_and_a_failing_program_are_errors(tmp_path: Path):
    runner = Runner(tmp_path)
    write = [sys.executable, "-c", "open('out.txt', 'w').write('1')"]
    runner.run("step", write, "out.txt")
    with pytest.raises(InputError, match="another command"):
        runner.run("step", [*write, "more"], "out.txt")
    with pytest.raises(InputError, match="too many"):
        runner.run("fails", [sys.executable, "-c", "print('ERROR: too many'); raise SystemExit(3)"], "none.txt")
    with pytest.raises(InputError, match="ended with 0"):
        runner.run("leaves nothing", [sys.executable, "-c", "pass"], "none.txt")


def test_classes_are_chosen_by_share_and_resolution(tmp_path: Path):
    table = {
        "rlnReferenceImage": [f"{i}@c.mrcs" for i in range(4)],
        "rlnClassDistribution": [0.5, 0.05, 0.3, 0.15],
        "rlnEstimatedResolution": [10.0, 4.0, 14.0, 16.0],
    }
    write_star(tmp_path / "model.star", {"model_classes": table})
    assert good_classes(tmp_path / "model.star") == [1, 3], "the second is small, the fourth is coarse"
    table["rlnEstimatedResolution"] = [10.0, 4.0, 14.0, 6.0]
    write_star(tmp_path / "model.star", {"model_classes": table})
    assert good_classes(tmp_path / "model.star") == [1, 3, 4], "the finest class is not the measure"
    particles = {"rlnImageName": [f"{i}@p.mrcs" for i in range(6)], "rlnClassNumber": [1, 2, 3, 4, 1, 3]}
    write_star(tmp_path / "data.star", {"optics": {"rlnOpticsGroup": [1]}, "particles": particles})
    assert keep(tmp_path / "data.star", [1, 3], tmp_path / "kept.star") == 4
    assert list(read_star(tmp_path / "kept.star")["particles"]["rlnClassNumber"]) == [1, 3, 1, 3]
    with pytest.raises(InputError, match="too few"):
        keep(tmp_path / "data.star", [2], tmp_path / "few.star")


def test_the_best_picks_are_taken_over_all_micrographs():
    rng = np.random.default_rng(0)
    picks = {name: Picks(rng.random((n, 2)), rng.random(n)) for name, n in (("a", 5), ("b", 0), ("c", 7))}
    chosen = best(picks, 6)
    assert sum(map(len, chosen.values())) == 6
    left = [m for name, one in picks.items() for c, m in zip(one.centres, one.merit, strict=True) if c not in chosen[name]]
    taken = [m for name, one in picks.items() for c, m in zip(one.centres, one.merit, strict=True) if c in chosen[name]]
    assert max(left) < min(taken)
    assert sum(map(len, best(picks, 100).values())) == 12


def test_picks_are_read_as_relion_writes_them_and_written_where_it_looks(tmp_path: Path):
    for stem in ("one", "none"):
        path = tmp_path / "picked/micrographs" / f"{stem}.mrc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    star = tmp_path / "auto/even/picked/micrographs/one_autopick.star"
    write_star(star, {"": {"rlnCoordinateX": [3.0, 5.0], "rlnCoordinateY": [4.0, 6.0], "rlnAutopickFigureOfMerit": [1.0, 2.0]}})
    found = picks_of_relion(tmp_path, "auto")
    assert found["one"].centres.tolist() == [[4.0, 3.0], [6.0, 5.0]] and len(found["none"].merit) == 0
    write_picks(tmp_path, "p", "picked", "one", found["one"].centres)
    table = read_star(tmp_path / "p/picked/micrographs/one_picks.star")[""]
    assert table["rlnCoordinateX"].tolist() == [3.0, 5.0] and table["rlnCoordinateY"].tolist() == [4.0, 6.0]


def test_relion_gets_micrographs_of_even_size(tmp_path: Path):
    image = np.random.default_rng(0).normal(size=(41, 60)).astype(np.float32)
    write_micrograph(tmp_path / "picked/micrographs/one.mrc", image, 3.5)
    write_star(tmp_path / "picked.star", {"micrographs": {"rlnMicrographName": ["picked/micrographs/one.mrc"]}})
    even_copies(tmp_path)
    (name,) = read_star(tmp_path / "even.star")["micrographs"]["rlnMicrographName"]
    copy, pixel_size = read_micrograph(tmp_path / name)
    np.testing.assert_array_equal(copy, image[:40])
    assert pixel_size == pytest.approx(3.5)


def test_a_class_without_resolution_is_not_kept(tmp_path: Path):
    columns = {
        "rlnReferenceImage": ["1@c.mrcs", "2@c.mrcs", "3@c.mrcs"],
        "rlnClassDistribution": [0.4, 0.3, 0.3],
        "rlnEstimatedResolution": [20.0, "inf", "-nan"],
    }
    write_star(tmp_path / "model.star", {"model_classes": columns})
    assert good_classes(tmp_path / "model.star") == [1]


def test_the_averages_are_drawn_largest_first(tmp_path: Path):
    shares, stack = [0.2, 0.7, 0.1], np.random.default_rng(0).normal(size=(3, 16, 16)).astype(np.float32)
    columns = {
        "rlnReferenceImage": [f"{i}@c.mrcs" for i in (1, 2, 3)],
        "rlnClassDistribution": shares,
        "rlnEstimatedResolution": [20.0, 21.0, "inf"],
    }
    write_star(tmp_path / "run_it001_model.star", {"model_classes": columns})
    with pytest.raises(InputError, match="run_it001_classes.mrcs is missing"):
        draw_averages({"DRPnet": tmp_path / "run_it001_model.star"}, tmp_path / "a.png")
    with mrcfile.new(tmp_path / "run_it001_classes.mrcs") as file:
        file.set_data(stack)
    rows = read_averages(tmp_path / "run_it001_model.star")
    assert [(share, kept) for _, share, _, kept in rows] == [(0.7, True), (0.2, True), (0.1, False)]
    np.testing.assert_array_equal(rows[0][0], stack[1])
    draw_averages({"DRPnet": tmp_path / "run_it001_model.star"}, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_the_commands_say_what_the_paper_says():
    words = list(map(str, protocol.classify_3d("p.star", "r", "C4", GEOMETRY)))
    assert words[words.index("--K") + 1] == "5" and words[words.index("--ini_high") + 1] == "60"
    words = list(map(str, protocol.refine_3d("p.star", "r", "C1", GEOMETRY)))
    assert {"--auto_refine", "--split_random_halves"} <= set(words) and words[words.index("--sym") + 1] == "C1"
