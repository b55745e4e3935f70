"""What stands beside precision and recall: chance, ceiling, several pickers, breakdowns, files, and what is said of gaps."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from drpnet.cli import app
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import Extras, evaluate, reach_of
from drpnet.evaluation.figures import draw_evaluation
from drpnet.evaluation.tables import print_evaluation, write_csv
from drpnet.io.conditions import read_conditions
from drpnet.io.truth import MicrographTruth, optics_table, write_truth_micrographs, write_truth_particles
from drpnet.measures.breakdown import by_value, edge_distance, nearest_neighbour
from drpnet.measures.chance import chance, corrected, flip
from drpnet.measures.judging import Rule
from drpnet.measures.rules import RULES
from drpnet.measures.scorecard import Field, judge_all

SHAPE = (300, 400)
QUICK = Extras(resamples=50, chance_draws=2)


def write_csv_picks(folder: Path, fields: dict[str, np.ndarray], scores: dict[str, np.ndarray] | None = None) -> Path:
    """One .csv a micrograph from centres (n, 2) in (y, x)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, centres in fields.items():
        columns = np.column_stack([centres[:, ::-1], *([] if scores is None else [scores[name]])])
        head = "x,y" + (",score" if scores is not None else "")
        np.savetxt(folder / f"{name}.csv", columns, delimiter=",", header=head, comments="", fmt="%.4f")
    return folder


def scene(seed: int = 0) -> tuple[dict, dict, dict]:
    """Labels on a jittered grid, picks that find most of them and some others, scores that rank a little."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(30, 280, 30.0), np.arange(30, 380, 35.0), indexing="ij"), -1).reshape(-1, 2)
    truth, picks, scores = {}, {}, {}
    for name in ("a", "b", "c", "d"):
        truth[name] = grid + random.uniform(-4, 4, grid.shape)
        found = truth[name][random.random(len(grid)) < 0.8] + [1.0, 0.5]
        false = random.uniform(0, 1, (15, 2)) * (np.array(SHAPE) - 1)
        picks[name] = np.concatenate([found + random.normal(0, 1, found.shape), false])
        scores[name] = np.clip(random.normal(np.r_[np.full(len(found), 0.7), np.full(15, 0.4)], 0.15), 0, 1)
    return truth, picks, scores


@pytest.fixture
def sets(tmp_path) -> tuple[Path, Path]:
    truth, picks, scores = scene()
    run = {"micrographs": [{"stem": name, "shape": SHAPE, "pixel_size": 2.0} for name in truth]}
    folder = write_csv_picks(tmp_path / "picks", picks, scores)
    (folder / "run.json").write_text(json.dumps(run))
    return folder, write_csv_picks(tmp_path / "truth", truth)


def test_everything_at_once_and_as_json(sets, tmp_path):
    picks, truth = sets
    other = write_csv_picks(tmp_path / "other", {"a": scene()[0]["a"] + 2.0})
    worse = write_csv_picks(tmp_path / "worse", {n: c[::2] for n, c in scene()[1].items()})
    extras = Extras(beta=2, resamples=200, also={"half": worse}, ceiling=other)
    result = evaluate(picks, truth, diameter_px=20, extras=extras)
    json.dumps(result, allow_nan=False)
    for key in ("precision", "recall", "f_measure", "f_beta", "average_precision"):
        low, high = result["intervals"][key]
        assert low <= result[key] <= high
    p, r = result["precision"], result["recall"]
    assert result["f_beta"] == pytest.approx(5 * p * r / (4 * p + r))
    assert result["best_f_beta"]["f_beta"] >= result["f_beta"]
    assert result["localisation"]["px"]["mean_y"] == pytest.approx(1, abs=0.2)
    assert result["localisation"]["angstrom"]["median"] == 2 * result["localisation"]["px"]["median"]
    assert result["localisation"]["diameters"]["median"] == pytest.approx(result["localisation"]["px"]["median"] / 20)
    assert result["chance"]["random_f_measure"] < 0.4 < result["chance"]["corrected_f_measure"] < result["f_measure"]
    assert result["ceiling"]["micrographs"] == ["a"] and result["ceiling"]["f_measure"] == 1
    assert result["ceiling"]["f_measure_of_picks"] == result["per_micrograph"][0]["f_measure"]
    assert result["calibration"]["expected_calibration_error"] < 0.4
    assert sum(row["picks"] for row in result["calibration"]["curve"]) == result["picks"]
    compared = result["comparison"]
    assert [row["picker"] for row in compared["rows"]] == ["picks", "half"] and len(compared["micrographs"]) == 4
    (difference,) = compared["differences"]
    assert difference["f_measure"] == pytest.approx(compared["rows"][1]["f_measure"] - result["f_measure"])
    low, high = difference["recall_interval"]
    assert low <= difference["recall"] <= high < 0
    assert difference["average_precision"] is None
    assert result["notes"] == []


def test_the_same_picks_differ_by_nothing(sets):
    picks, truth = sets
    result = evaluate(picks, truth, diameter_px=20, extras=Extras(resamples=50, also={"again": picks}))
    (difference,) = result["comparison"]["differences"]
    assert difference["f_measure"] == 0 and difference["f_measure_interval"] == [0, 0]
    again = evaluate(picks, truth, diameter_px=20, extras=Extras(resamples=50, also={"again": picks}))
    assert again == result
    with pytest.raises(InputError, match="two pickers are called picks"):
        evaluate(picks, truth, diameter_px=20, extras=Extras(also={"picks": picks}))


def test_picks_in_a_flipped_frame_are_at_chance_and_their_flip_is_not():
    truth = {name: np.random.default_rng(ord(name)).uniform(0, 1, (60, 2)) * (np.array(SHAPE) - 1) for name in "abc"}
    fields = {name: Field(flip(centres + 1, SHAPE), None, centres, 10.0) for name, centres in truth.items()}
    found = chance(fields, dict.fromkeys(truth, SHAPE), RULES["common"], 4, 0)
    assert abs(found["corrected_f_measure"]) < 0.15 and found["flipped_f_measure"] > 0.75
    assert len(found["random_draws"]) == 4
    assert found == chance(fields, dict.fromkeys(truth, SHAPE), RULES["common"], 4, 0)
    assert corrected(0.8, 0.5) == pytest.approx(0.6) and corrected(1, 1) is None


def test_chance_is_what_density_says():
    """Sparse labels: a random pick is right when it falls into the disc of one, so P is the discs' share of the area."""
    labels = np.array([[y, x] for y in range(50, 1000, 100) for x in range(50, 1000, 100)], float)
    field = {"m": Field(labels + 1, None, labels, 10.0)}
    level = chance(field, {"m": (1000, 1000)}, RULES["many_to_one"], 40, 1)["random_f_measure"]
    # recall: 100 picks, each label missed by all with (1 - pi 100 / 1e6)^100
    precision, recall = np.pi * 1e-4 * 100, 1 - (1 - np.pi * 1e-4) ** 100
    assert level == pytest.approx(2 * precision * recall / (precision + recall), abs=0.006)


def test_breakdown_by_place():
    assert edge_distance(np.array([[5.0, 8.0], [-3.0, 50.0], [95.0, 50.0]]), (100, 100)).tolist() == [5, 0, 4]
    assert nearest_neighbour(np.array([[0.0, 0.0], [3.0, 4.0], [30.0, 4.0]])).tolist() == [5, 5, 27]
    assert np.isinf(nearest_neighbour(np.array([[1.0, 1.0]]))).all() and len(nearest_neighbour(np.empty((0, 2)))) == 0


def test_breakdown_of_a_picker_that_misses_edges_and_neighbours(tmp_path):
    labels = np.array([[4.0, 50.0], [50.0, 50.0], [50.0, 62.0], [150.0, 150.0]])
    found = np.array([[50.0, 50.0], [150.0, 150.0], [3.0, 90.0]])
    picks = write_csv_picks(tmp_path / "picks", {"a": found})
    (picks / "run.json").write_text(json.dumps({"micrographs": [{"stem": "a", "shape": [200, 200]}]}))
    truth = write_csv_picks(tmp_path / "truth", {"a": labels})
    rows = evaluate(picks, truth, diameter_px=20, extras=QUICK)["breakdown"]
    assert [(row["truth"], row["recall"], row["picks"], row["precision"]) for row in rows["edge"]] == [
        (1, 0, 1, 0), (0, None, 0, None), (0, None, 0, None), (3, pytest.approx(2 / 3), 2, 1),
    ]  # fmt: skip
    assert [(row["truth"], row["recall"]) for row in rows["crowding"]] == [(2, 0.5), (0, None), (0, None), (2, 0.5)]
    assert "defocus" not in rows and "tilt" not in rows


@pytest.fixture
def simulation(tmp_path) -> Path:
    """Labels of three micrographs as a simulation leaves them, the last one without a particle."""
    folder, random = tmp_path / "sim", np.random.default_rng(1)
    truths = []
    for index, (count, tilt) in enumerate(((6, 10.0), (6, 100.0), (0, 0.0))):
        angles = np.column_stack([np.zeros(count), np.full(count, tilt), np.zeros(count)])
        centres = random.uniform(20, 180, (count, 2))
        truths.append(MicrographTruth(f"micrographs/s{index}.mrc", centres, angles, 1e4 * (index + 1), 1.2e4 * (index + 1), 0))
    optics = optics_table(1.5, 300, 2.7, 0.1)
    folder.mkdir()
    write_truth_particles(folder / "particles.star", optics, truths)
    write_truth_micrographs(folder / "micrographs.star", optics, truths)
    records = [{"name": one.name, "snr": 0.01 * (place + 1)} for place, one in enumerate(truths)]
    (folder / "simulation.json").write_text(json.dumps({"micrographs": records}))
    write_csv_picks(tmp_path / "picks", {"s0": truths[0].centres, "s1": truths[1].centres[:3], "s2": np.empty((0, 2))})
    return folder


def test_conditions_of_a_simulation(simulation, tmp_path):
    known = read_conditions(simulation / "particles.star", tmp_path / "picks")
    assert known.defocus == pytest.approx({"s0": 1.1e4, "s1": 2.2e4, "s2": 3.3e4})
    assert known.snr == pytest.approx({"s0": 0.01, "s1": 0.02, "s2": 0.03}) and known.pixel_size == 1.5
    assert known.tilts["s1"].tolist() == [100] * 6


def test_breakdown_of_a_simulation(simulation, tmp_path):
    for truth in (simulation / "particles.star", simulation):
        result = evaluate(tmp_path / "picks", truth, diameter_px=20, extras=QUICK)
        assert result["pixel_size"] == 1.5 and len(result["per_micrograph"]) == 3
        rows = result["breakdown"]
        # tilt 100 is the mirror of 80
        assert [(row["truth"], row["recall"]) for row in rows["tilt"]] == [(6, 1), (0, None), (6, 0.5)]
        assert [row["micrographs"] for row in rows["defocus"]] == [row["micrographs"] for row in rows["snr"]]
        assert [(row["from"], row["recall"]) for row in rows["snr"]][0] == (0.01, 1)
        assert sum(row["micrographs"] for row in rows["snr"]) == 3


def test_the_defocus_may_be_named(simulation, tmp_path, sets):
    picks, truth = sets
    star = tmp_path / "ctf.star"
    names = "\n".join(f"mics/{name}.mrc {1e4 + 100 * place}" for place, name in enumerate("abcd"))
    star.write_text(f"\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnDefocusU #2\n{names}\n")
    rows = evaluate(picks, truth, diameter_px=20, extras=Extras(ctf=star, resamples=0))["breakdown"]["defocus"]
    assert sum(row["micrographs"] for row in rows) == 4 and rows[0]["from"] == 1e4
    star.write_text("\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\nmics/a.mrc\n")
    with pytest.raises(InputError, match="rlnDefocusU"):
        evaluate(picks, truth, diameter_px=20, extras=Extras(ctf=star))


def test_a_value_that_all_share_is_no_breakdown():
    truth, picks, _ = scene()
    scored = judge_all({name: Field(picks[name], None, truth[name], 10.0) for name in truth}, Rule())
    assert by_value(scored, dict.fromkeys(truth, 3.0)) == []
    rows = by_value(scored, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
    assert sum(row["picks"] for row in rows) == sum(len(centres) for centres in picks.values())


@pytest.mark.parametrize(
    ("rule", "options", "reach"),
    [
        ("common", {"diameter_px": 108}, 54), ("deeppicker", {"diameter_px": 108}, 21.6), ("cryolo", {"diameter_px": 108}, 54),
        ("repic", {"diameter_px": 108, "box_px": 180}, 90), ("topaz", {"radius_px": 7, "diameter_px": 108}, 7),
    ],
)  # fmt: skip
def test_the_tolerance_follows_from_the_diameter(rule, options, reach):
    assert reach_of(RULES[rule], options.get("radius_px"), options.get("diameter_px"), options.get("box_px")) == reach


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        ("common", {}, "--diameter-px"), ("common", {"radius_px": 0}, "radius is 0"),
        ("common", {"diameter_px": 0}, "diameter is 0"),
        ("cryosegnet", {"radius_px": 5}, "compares discs: give --diameter-px"),
        ("cryolo", {"radius_px": 5, "diameter_px": 10}, "compares boxes: give --diameter-px"),
        ("common", {"diameter_px": 5, "extras": Extras(box_px=9)}, "leave it out"),
        ("common", {"diameter_px": 5, "extras": Extras(also={"x": Path("nowhere")})}, "nowhere"),
        ("common", {"diameter_px": float("nan")}, "diameter is nan"),
    ],
)  # fmt: skip
def test_sizes_that_a_rule_cannot_use(sets, rule, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(*sets, rule=rule, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0}, "beta"), ({"resamples": -1}, "resamples"), ({"chance_draws": -1}, "chance"), ({"seed": -1}, "seed"),
        ({"pixel_size": 0}, "pixel size"), ({"box_px": -2}, "box"),
    ],
)  # fmt: skip
def test_extras_that_mean_nothing(options, message):
    with pytest.raises(InputError, match=message):
        Extras(**options)


def test_labels_at_the_edge_may_be_ignored_instead_of_dropped(tmp_path):
    """A pick inside that belongs to a label in the border: false when labels are dropped, not counted when ignored."""
    picks = write_csv_picks(tmp_path / "picks", {"a": np.array([[50.0, 12.0], [50.0, 50.0]])})
    (picks / "run.json").write_text(json.dumps({"micrographs": [{"stem": "a", "shape": [100, 100]}]}))
    truth = write_csv_picks(tmp_path / "truth", {"a": np.array([[50.0, 8.0], [50.0, 50.0]])})
    numbers = {}
    for edge in ("drop", "ignore"):
        result = evaluate(picks, truth, diameter_px=20, border_px=10, rule=f"common,edge={edge}", extras=QUICK)
        numbers[edge] = (result["picks"], result["truth"], result["precision"], result["recall"])
    assert numbers == {"drop": (2, 1, 0.5, 1), "ignore": (1, 1, 1, 1)}


def test_what_is_said_of_empty_sides_and_scores_that_rank_nothing(tmp_path):
    one, nothing = np.array([[10.0, 10.0], [50.0, 50.0]]), np.empty((0, 2))

    def notes(picks, truth, scores=None):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        scores = None if scores is None else {"a": np.array(scores)}
        found = write_csv_picks(place / "picks", {"a": picks}, scores)
        result = evaluate(found, write_csv_picks(place / "truth", {"a": truth}), diameter_px=20, extras=QUICK)
        return result, " / ".join(result["notes"])

    result, said = notes(one, nothing)
    assert "labels hold no particle" in said and "no scores" in said
    assert (result["precision"], result["recall"], result["f_measure"], result["average_precision"]) == (0, 0, 0, None)
    result, said = notes(nothing, one)
    assert said == "there is not one pick on these micrographs" and result["f_measure"] == 0 and result["localisation"] is None
    result, said = notes(nothing, nothing)
    assert "no particle" in said and "not one pick" in said and result["f_measure"] == 1
    result, said = notes(one, one, [0.3, 0.3])
    assert "all scores are equal" in said and result["calibration"] is None
    assert (result["average_precision"], result["best_threshold"]) == (1, 0.3)
    result, said = notes(one, one)
    assert "1 of 1 picked micrographs have no scores" in said and result["curve"] is None
    assert result["intervals"]["f_measure"] is None  # one micrograph: nothing to draw from


def test_a_name_in_two_folders_that_the_other_side_cannot_tell_apart(tmp_path):
    one = np.array([[10.0, 10.0]])
    picks = tmp_path / "picks"
    write_csv_picks(picks / "x", {"a": one})
    write_csv_picks(picks / "y", {"a": one})
    truth = write_csv_picks(tmp_path / "truth", {"a": one})
    with pytest.raises(InputError, match="micrograph a is in several folders of .* one folder at a time"):
        evaluate(picks, truth, diameter_px=20)
    write_csv_picks(picks / "x", {"b": one})
    write_csv_picks(truth, {"b": one})
    result = evaluate(picks, truth, diameter_px=20, extras=QUICK)
    assert [row["micrograph"] for row in result["per_micrograph"]] == ["b"] and "several folders" in result["notes"][-1]
    assert (result["not_picked"], result["not_labelled"]) == (["a"], ["x/a", "y/a"])


def test_truth_for_half_the_micrographs_scores_that_half_and_says_so(sets):
    picks, truth = sets
    for name in "ab":
        (truth / f"{name}.csv").unlink()
    result = evaluate(picks, truth, diameter_px=20, extras=QUICK)
    assert [row["micrograph"] for row in result["per_micrograph"]] == ["c", "d"] and result["not_labelled"] == ["a", "b"]
    console = Console(width=80, record=True, file=io.StringIO())
    print_evaluation(result, console=console)
    assert "LEFT OUT, picked but not labelled: 2 micrographs: a, b" in console.export_text()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_prints_within_the_console(sets, rule):
    extras = Extras(resamples=20, chance_draws=1, also={"again": sets[0]}, ceiling=sets[1], beta=2)
    result = evaluate(*sets, diameter_px=20, rule=rule, extras=extras)
    for width in (80, 120):
        console = Console(width=width, record=True, file=io.StringIO())
        print_evaluation(result, console=console)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= width and "…" not in text
        flat = " ".join(text.split())
        assert f"Rule {rule}: " in flat and "95 % interval" in flat and "minus picks" in flat and "chance" in flat


def test_the_csv_has_a_row_a_micrograph(sets, tmp_path):
    result = evaluate(*sets, diameter_px=20, extras=QUICK)
    write_csv(result, tmp_path / "out" / "rows.csv")
    with (tmp_path / "out" / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["micrograph"] for row in rows] == list("abcd")
    assert float(rows[2]["f_measure"]) == result["per_micrograph"][2]["f_measure"]
    assert int(rows[0]["true_picks"]) == int(rows[0]["found"])


def test_pictures_are_drawn_where_there_are_numbers(sets, tmp_path):
    picks, truth = sets
    out = tmp_path / "figures"
    result = evaluate(picks, truth, diameter_px=20, extras=Extras(resamples=0, chance_draws=0, also={"again": picks}))
    written = draw_evaluation(result, out)
    assert {path.name for path in written} == {"precision_recall.png", "scores.png", "reliability.png", "localisation.png"}
    for path in written:
        picture = np.asarray(Image.open(path).convert("L"))
        assert picture.std() > 5 and min(picture.shape) > 300
    without = evaluate(truth, truth, diameter_px=20, extras=QUICK)
    assert [path.name for path in draw_evaluation(without, out)] == ["localisation.png"]
    assert [path.name for path in out.iterdir()] == ["localisation.png"]  # none is left of the result before
    assert draw_evaluation(evaluate(truth, truth, diameter_px=20, rule="repic", extras=QUICK), out) == []


def console(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, output and error of `drpnet evaluate` with these arguments."""
    with pytest.raises(SystemExit) as stop:
        app(["evaluate", *map(str, arguments)])
    said = capsys.readouterr()
    return int(stop.value.code or 0), " ".join(said.out.split()), said.err


def test_the_console_writes_every_file(sets, tmp_path, capsys):
    picks, truth = sets
    files = {"--json": tmp_path / "s.json", "--csv": tmp_path / "s.csv", "--figures": tmp_path / "pictures"}
    options = [part for pair in files.items() for part in pair]
    options += ["--also", f"again={picks}", "--ceiling", truth, "--beta", 2, "--resamples", 20, "--chance", 1]
    code, text, _ = console(capsys, picks, truth, "--diameter-px", 20, *options)
    assert code == 0 and "F2" in text and "again" in text and "wrote" in text
    assert all(path.exists() for path in files.values())
    assert json.loads(files["--json"].read_text())["ceiling"]["f_measure"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--also", "=x"], "--also '=x': give NAME=PATH"), (["--also", "x=a", "--also", "x=b"], "every name once"),
        (["--rule", "cryosegnet", "--radius-px", 4], "compares discs"), (["--rule", "best"], "no matching rule 'best'"),
        (["--beta", 0], "beta is 0"), (["--radius-px", 0], "matching radius is 0"),
    ],
)  # fmt: skip
def test_the_consoles_errors_are_one_line(sets, capsys, options, message):
    code, _, error = console(capsys, *sets, "--diameter-px", 20, *options)
    assert code == 2 and message in error and error.count("\n") == 1
