"""`drpnet table`: the scores of several runs, their mean and deviation."""

import csv
import json

import pytest

from drpnet.cli import app
from drpnet.errors import InputError
from drpnet.evaluation.run_table import mean_and_deviation, read_runs, write_runs


def scores(f, **other):
    numbers = {"precision": f, "recall": f, "f_measure": f, "average_precision": None, "picks": 4, "truth": 5}
    return {**numbers, "rule": "common", **other}


def test_mean_and_sample_deviation(tmp_path, capsys):
    for name, f in (("one", 0.5), ("two", 0.7), ("three", 0.9)):
        (tmp_path / name).mkdir()
        content = {"validation": scores(0.1), "test": scores(f, radius_px=5)}
        (tmp_path / name / "metrics.json").write_text(json.dumps(content))
    folders = [tmp_path / name for name in ("one", "two", "three")]
    runs = read_runs(folders)
    assert list(runs) == ["one", "two", "three"] and {row["part"] for row in runs.values()} == {"test"}
    rows = mean_and_deviation(runs)
    assert rows["f_measure"] == (pytest.approx(0.7), pytest.approx(0.2)) and rows["average_precision"] == (None, None)
    with pytest.raises(SystemExit) as stop:
        app(["table", *map(str, folders), "--csv", str(tmp_path / "t.csv")])
    assert not stop.value.code
    text = " ".join(capsys.readouterr().out.split())
    assert "test micrographs" in text and "mean 0.700" in text and "deviation 0.200" in text and "NOTE" not in text
    with (tmp_path / "t.csv").open(newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == ["one", "two", "three", "mean", "deviation"]


def test_files_of_evaluate_and_names_that_need_their_folders(tmp_path, capsys):
    for place, (name, radius) in enumerate((("x", 5), ("y", 7))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s.json").write_text(json.dumps(scores(0.5 + place / 10, radius_px=radius)))
    files = [tmp_path / "x" / "s.json", tmp_path / "y" / "s.json"]
    assert list(read_runs(files)) == ["x/s.json", "y/s.json"]
    with pytest.raises(SystemExit):
        app(["table", *map(str, files)])
    said = " ".join(capsys.readouterr().out.split())
    assert "different rules or radii, so no mean: common, 5 px; common, 7 px" in said and "mean - - -" in said
    rows = mean_and_deviation(read_runs(files))
    assert rows["f_measure"] == (None, None) and rows["picks"][0] is not None
    write_runs(read_runs(files[:1]), tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_text().splitlines()[-1].startswith("deviation,,,,")


def test_runs_on_other_labels_or_without_a_number_are_not_averaged_in_silence(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(scores(0.5, average_precision=0.4)))
    (tmp_path / "b.json").write_text(json.dumps(scores(0.6, truth=77)))
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    rows = mean_and_deviation(read_runs(files))
    assert rows["f_measure"][0] == pytest.approx(0.55) and rows["average_precision"] == (None, None)
    with pytest.raises(SystemExit):
        app(["table", *map(str, files)])
    assert "different labels" in capsys.readouterr().out


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="metrics.json does not exist"):
        read_runs([tmp_path])
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="no scores"):
        read_runs([tmp_path / "a.json"])
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_runs([tmp_path / "a.json"])
    (tmp_path / "a.json").write_text(json.dumps(scores(0.5)))
    with pytest.raises(InputError, match="given twice"):
        read_runs([tmp_path / "a.json", tmp_path / "." / "a.json"])
