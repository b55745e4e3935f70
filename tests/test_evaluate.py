"""The evaluation end to end on real tiny files."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import evaluate, pair_names, score_micrographs, write_json
from drpnet.evaluation.tables import print_evaluation
from drpnet.io.micrographs import write_micrograph

SUMMARY = {
    "precision", "recall", "f_measure", "average_precision", "picks", "truth",
    "best_threshold", "best_f_measure",
}  # fmt: skip
KEYS = SUMMARY | {"rule", "radius_px", "border_px", "per_micrograph", "not_picked", "not_labelled", "note"} | {
    "picks_outside", "sizes_known", "diameter_px", "average", "beta", "f_beta", "best_f_beta", "intervals", "resamples",
    "seed", "curve", "calibration", "score_histogram", "pixel_size", "localisation", "duplicates", "picks_per_micrograph",
    "chance", "ceiling", "comparison", "breakdown", "notes",
}  # fmt: skip
ROW = SUMMARY | {"micrograph", "radius_px", "true_picks", "found", "duplicates", "median_error_px"}


def write_star(path: Path, rows: list[tuple[float, ...]], scores: bool = True) -> None:
    """A RELION .star of (x, y[, score]) as RELION writes it, an empty loop where there are no rows."""
    names = ["_rlnCoordinateX #1", "_rlnCoordinateY #2"] + ["_rlnAutopickFigureOfMerit #3"] * scores
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["", "data_", "", "loop_", *names, *(" ".join(f"{v:.6f}" for v in row) for row in rows), ""]
    path.write_text("\n".join(lines))


def write_particles(path: Path, rows: list[tuple[str, float, float]]) -> None:
    """A RELION 3.1 particles .star with an optics table."""
    lines = [
        "", "# version 30001", "", "data_optics", "",
        "loop_", "_rlnOpticsGroup #1", "_rlnMicrographPixelSize #2",
        "1 1.5", "", "# version 30001", "", "data_particles", "", "loop_", "_rlnMicrographName #1",
        "_rlnCoordinateX #2", "_rlnCoordinateY #3", "_rlnOpticsGroup #4",
        *(f"{name} {x:.3f} {y:.3f} 1" for name, x, y in rows), "",
    ]  # fmt: skip
    path.write_text("\n".join(lines))


@pytest.fixture
def sets(tmp_path) -> tuple[Path, Path]:
    """a: 2 of 3 found with one false pick; b: nothing picked of 1; c: picked only; d: labelled only."""
    picks, truth = tmp_path / "job" / "picks", tmp_path / "labels"
    write_star(picks / "a_autopick.star", [(20, 30, 0.9), (80, 51, 0.4), (5, 90, 0.6)])
    write_star(picks / "b_autopick.star", [])
    write_star(picks / "c_autopick.star", [(10, 10, 0.5)])
    write_star(truth / "a.star", [(21, 31), (80, 50), (50, 8)], scores=False)
    write_star(truth / "b.star", [(60, 60)], scores=False)
    write_star(truth / "d.star", [(60, 60), (9, 9)], scores=False)
    return picks, truth


def test_pooled_and_single_numbers(sets):
    result = evaluate(*sets, radius_px=5)
    assert set(result) == KEYS
    assert [row["micrograph"] for row in result["per_micrograph"]] == ["a", "b"]
    assert all(set(row) == ROW for row in result["per_micrograph"])
    assert (result["picks"], result["truth"]) == (3, 4)
    assert result["precision"] == pytest.approx(2 / 3) and result["recall"] == pytest.approx(1 / 2)
    assert result["f_measure"] == pytest.approx(4 / 7)
    # scores .9 true, .6 false, .4 true of 4 particles
    assert result["average_precision"] == pytest.approx((1 + 2 / 3) / 4)
    assert result["best_threshold"] == pytest.approx(0.4)
    assert result["best_f_measure"] == pytest.approx(4 / 7)
    assert (result["not_picked"], result["not_labelled"]) == (["d"], ["c"])
    nothing = result["per_micrograph"][1]
    assert (nothing["picks"], nothing["truth"], nothing["f_measure"]) == (0, 1, 0)


def test_cutting_the_picks_at_the_best_threshold_gives_the_best_f(tmp_path):
    random = np.random.default_rng(5)
    picks, truth = tmp_path / "picks", tmp_path / "truth"
    kept = tmp_path / "cut"
    for name in ("m1", "m2", "m3"):
        places = random.uniform(0, 300, (40, 2))
        found = np.concatenate([places + random.normal(0, 4, places.shape), random.uniform(0, 300, (60, 2))])
        scores = np.round(np.concatenate([random.normal(1, 1, 40), random.normal(0, 1, 60)]), 1)
        write_star(truth / f"{name}.star", places.tolist(), scores=False)
        write_star(picks / f"{name}.star", np.column_stack([found, scores]).tolist())
    result = evaluate(picks, truth, radius_px=8)
    for path in picks.iterdir():
        rows = [
            line.split() for line in path.read_text().splitlines() if line[:1].isdigit() or line[:1] == "-"
        ]
        rows = [tuple(map(float, row)) for row in rows]
        write_star(kept / path.name, [row for row in rows if row[2] >= result["best_threshold"] - 1e-9])
    again = evaluate(kept, truth, radius_px=8)
    assert again["f_measure"] == pytest.approx(result["best_f_measure"])
    assert again["f_measure"] > result["f_measure"]


def test_one_particles_star_on_either_side_is_the_same_as_files(tmp_path, sets):
    star = tmp_path / "particles.star"
    job = "MotionCorr/job002/mics"
    write_particles(star, [(f"{job}/a.mrc", 21, 31), (f"{job}/a.mrc", 80, 50),
                           (f"{job}/a.mrc", 50, 8), (f"{job}/b.mrc", 60, 60)])  # fmt: skip
    by_file, by_star = evaluate(*sets, radius_px=5), evaluate(sets[0], star, radius_px=5)
    assert {**by_star, "not_picked": ["d"]} == by_file
    swapped = evaluate(star, sets[0], radius_px=5)
    assert swapped["precision"] == by_file["recall"] and swapped["recall"] == by_file["precision"]
    assert swapped["average_precision"] is None and swapped["best_threshold"] is None


def test_the_border_drops_both_sides_before_they_are_matched(tmp_path):
    picks, truth = tmp_path / "picks", tmp_path / "truth"
    # a pair across the border of 10, a pair at the edge, a pair inside, a false pick at the right edge
    write_star(picks / "a.star", [(9, 50, 1), (3, 20, 1), (50, 50, 1), (115, 50, 1)])
    write_star(truth / "a.star", [(11, 50), (3, 21), (50, 51)], scores=False)
    write_micrograph(tmp_path / "micrographs" / "a.mrc", np.random.default_rng(0).normal(size=(80, 120)), 1.5)
    whole = evaluate(picks, truth, radius_px=5)
    assert (whole["picks"], whole["truth"], whole["recall"]) == (4, 3, 1)
    inner = evaluate(picks, truth, radius_px=5, border_px=10)
    assert (inner["picks"], inner["truth"], inner["precision"], inner["recall"]) == (1, 2, 1, 0.5)
    assert inner["border_px"] == 10


def test_sizes_come_from_the_option_then_the_run_then_the_neighbours(tmp_path):
    picks, truth = tmp_path / "job" / "deep" / "picks", tmp_path / "elsewhere" / "truth"
    for folder in (picks, truth):
        write_star(folder / "a.star", [(45, 45, 1)])

    def counted(**options):
        return evaluate(picks, truth, radius_px=5, border_px=10, **options)["picks"]

    with pytest.raises(InputError, match="--micrographs"):
        counted()
    rng = np.random.default_rng(0)
    write_micrograph(tmp_path / "micrographs" / "a.mrc", rng.normal(size=(60, 60)), 1.5)
    assert counted() == 1
    (picks / "run.json").write_text(json.dumps({"micrographs": [{"stem": "a", "shape": [50, 80]}]}))
    assert counted() == 0
    write_micrograph(tmp_path / "given" / "a.mrc", rng.normal(size=(70, 70)), 1.5)
    assert counted(micrographs=tmp_path / "given") == 1
    (tmp_path / "given" / "a.mrc").rename(tmp_path / "given" / "z.mrc")
    with pytest.raises(InputError, match="no micrograph a"):
        counted(micrographs=tmp_path / "given")
    (picks / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"run\.json"):
        counted()


def test_labels_outside_their_micrograph_are_refused(tmp_path):
    """Binned picks scored against unbinned labels, or the other way, must not pass for a bad picker."""
    picks, truth = tmp_path / "picks", tmp_path / "truth"
    for name, rows in {"a": [(10, 10, 1)], "b": [(20, 20, 1)]}.items():
        write_star(picks / f"{name}_autopick.star", rows)
    write_star(truth / "a.star", [(79.4, -0.4), (3, 59.4)], scores=False)
    write_star(truth / "b.star", [(3, 3), (30, 60), (200, 3)], scores=False)
    assert evaluate(picks, truth, radius_px=5)["sizes_known"] == 0
    sizes = [{"stem": name, "shape": [60, 80]} for name in "ab"]
    (picks / "run.json").write_text(json.dumps({"micrographs": sizes}))
    message = r"truth/b\.star, micrograph b: 2 of 3 centres, first x 30, y 60, .* 60 x 80 .*binned or flipped.*--micrographs"
    for border in (0, 10):
        with pytest.raises(InputError, match=message):
            evaluate(picks, truth, radius_px=5, border_px=border)
    write_particles(tmp_path / "particles.star", [("mics/a.mrc", 10, 10), ("mics/b.mrc", 80, 20)])
    with pytest.raises(InputError, match=r"particles\.star, micrograph b: 1 of 1 centres"):
        evaluate(picks, tmp_path / "particles.star", radius_px=5)
    write_star(truth / "b.star", [(3, 3)], scores=False)
    assert evaluate(picks, truth, radius_px=5)["sizes_known"] == 2


def test_picks_outside_their_micrograph_are_counted_and_said(tmp_path):
    write_star(tmp_path / "picks" / "a.star", [(10, 10, 1), (90, 10, 1), (10, -2, 1)])
    write_star(tmp_path / "picks" / "b.star", [(10, 10, 1)])
    for name in "ab":
        write_star(tmp_path / "truth" / f"{name}.star", [(10, 10)], scores=False)
    write_micrograph(tmp_path / "mics" / "a.mrc", np.random.default_rng(0).normal(size=(60, 80)), 1.5)
    result = evaluate(tmp_path / "picks", tmp_path / "truth", radius_px=5, micrographs=tmp_path / "mics")
    assert (result["picks_outside"], result["sizes_known"], result["picks"]) == ({"a": 2}, 1, 4)
    console = Console(width=100, record=True, file=io.StringIO())
    print_evaluation(result, console=console)
    assert "OUTSIDE: 2 picks" in " ".join(console.export_text().split())


def test_a_size_that_is_a_guess_never_stops_the_scoring(tmp_path):
    """Two micrographs of one name, a broken one and a foreign run.json: their sizes are unknown."""
    for name in ("a", "b"):
        write_star(tmp_path / "picks" / f"{name}.star", [(500, 10, 1)])
        write_star(tmp_path / "truth" / f"{name}.star", [(500, 10)], scores=False)
    (tmp_path / "picks" / "run.json").write_text('{"micrographs": [3]}')
    for tree in ("x", "y"):
        write_micrograph(tmp_path / "micrographs" / tree / "a.mrc", np.eye(60), 1.5)
    (tmp_path / "micrographs" / "b.mrc").write_bytes(b"no micrograph")
    result = evaluate(tmp_path / "picks", tmp_path / "truth", radius_px=5)
    assert (result["sizes_known"], result["f_measure"]) == (0, 1)


def test_names_that_never_meet_are_an_error_naming_both(tmp_path):
    write_star(tmp_path / "picks" / "one.star", [(1, 1, 1)])
    write_star(tmp_path / "truth" / "two.star", [(1, 1, 1)])
    with pytest.raises(InputError, match=r"'one'.*'two'"):
        evaluate(tmp_path / "picks", tmp_path / "truth", radius_px=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius_px": 0}, "radius"),
        ({"radius_px": -4}, "radius"),
        ({"radius_px": float("nan")}, "radius"),
        ({"radius_px": 5, "border_px": -1}, "border"),
        ({"radius_px": 5, "rule": "iou"}, "common, common2026"),
    ],
)
def test_options_that_mean_nothing_are_refused(sets, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(*sets, **options)


def test_missing_folders_and_positions_that_are_no_numbers_are_refused(tmp_path, sets):
    with pytest.raises(InputError):
        evaluate(tmp_path / "nowhere", sets[1], radius_px=5)
    write_star(sets[0] / "a_autopick.star", [(float("nan"), 3, 1)])
    with pytest.raises(InputError):
        evaluate(*sets, radius_px=5)
    field = (np.array([[np.nan, 1.0]]), None, np.ones((1, 2)), 5.0)
    with pytest.raises(InputError, match="mic7"):
        score_micrographs({"mic7": field})
    field = (np.ones((1, 2)), np.array([np.nan]), np.ones((1, 2)), 5.0)
    with pytest.raises(InputError, match="mic7.*no score"):
        score_micrographs({"mic7": field})


def test_empty_labels_and_empty_fields():
    nobody, somebody = np.empty((0, 2)), np.ones((2, 2))
    false = score_micrographs({"m": (somebody, np.ones(2), nobody, 3.0)})
    assert (false["precision"], false["recall"], false["f_measure"], false["average_precision"]) == (
        0,
        0,
        0,
        None,
    )
    right = score_micrographs({"m": (nobody, np.empty(0), nobody, 3.0)})
    assert (right["precision"], right["recall"], right["f_measure"], right["best_threshold"]) == (
        1,
        1,
        1,
        None,
    )


def test_each_micrograph_may_have_its_own_radius():
    pick, particle = np.array([[0.0, 0.0]]), np.array([[0.0, 6.0]])
    result = score_micrographs({"near": (pick, None, particle, 5.0), "far": (pick, None, particle, 7.0)})
    assert [row["recall"] for row in result["per_micrograph"]] == [0, 1]
    assert result["recall"] == 0.5 and result["radius_px"] is None


def test_equal_stems_in_two_folders_stay_apart_and_lone_stems_meet():
    assert pair_names(["x/a", "y/a", "b"], ["x/a", "y/a", "b"]) == {"x/a": "x/a", "y/a": "y/a", "b": "b"}
    assert pair_names(["x/a", "b"], ["a", "z/b"]) == {"x/a": "a", "b": "z/b"}
    assert pair_names(["x/a", "y/a"], ["a"]) == {}
    # the same two folders, seen from the project's root or from the folder of micrographs
    assert pair_names(["x/a", "y/a"], ["mics/y/a", "mics/x/a"]) == {"x/a": "mics/x/a", "y/a": "mics/y/a"}
    assert pair_names(["1/x/a", "2/x/a", "y/a"], ["x/a", "y/a"]) == {"y/a": "y/a"}
    assert pair_names(["x/a", "y/a"], ["z/a", "y/a"]) == {"y/a": "y/a", "x/a": "z/a"}


def test_the_table_says_rule_numbers_and_what_was_left_out(sets):
    console = Console(width=100, record=True, file=io.StringIO())
    print_evaluation(evaluate(*sets, radius_px=5), title="My picks", console=console)
    text = console.export_text()
    assert "My picks" in text and "one to one, most pairs within 5 px" in text
    assert "all 2 pooled" in text and "0.571" in text
    assert (
        "labelled but not picked: 1 micrographs: d" in text
        and "picked but not labelled: 1 micrographs: c" in text
    )


def test_json_is_whole_and_knows_no_nan(tmp_path, sets):
    path = tmp_path / "new" / "result.json"
    result = evaluate(*sets, radius_px=5)
    write_json(result, path)
    assert json.loads(path.read_text()) == result
    write_json(
        {"a": float("nan"), "b": [np.float32(0.5), np.int64(3), np.inf], "c": {"d": np.arange(2)}}, path
    )
    assert json.loads(path.read_text()) == {"a": None, "b": [0.5, 3, None], "c": {"d": [0, 1]}}
    assert [p.name for p in path.parent.iterdir()] == ["result.json"]


def test_a_full_disk(fill_up, disk, sets):
    """In any of the files that it was asked for; those before it are whole."""
    options = ["--json", disk.path / "score.json", "--csv", disk.path / "rows.csv", "--figures", disk.path / "figures"]
    left = fill_up("evaluate", *sets, "--radius-px", 5, *options, times=3)
    assert any("score.json" in files for files in left) and not all("rows.csv" in files for files in left)
