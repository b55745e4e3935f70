"""experiments/table3: the arithmetic of the printed numbers."""

import json
import sys

import pytest

from experiments.table3 import __main__ as console
from experiments.table3.arithmetic import arithmetic, expected


@pytest.fixture(scope="module")
def result():
    return arithmetic()


def test_occupied_views_are_the_printed_ones_turned_round(result):
    # typed again from the paper, independently of expected.json
    occupied = [2124, 1899, 3092, 3000, 3103, 3038]
    assert [row["occupied"] for row in result["rows"]] == occupied
    assert [row["attainable_minimum"] for row in result["rows"]] == [9152, 9152, 9168, 9168, 9168, 9168]
    assert [round(row["random_missing_c1"]) for row in result["rows"]][::2] == [1868, 217, 406]
    assert all(row["missing_beyond_minimum"] >= 0 for row in result["rows"])


def test_the_readme_has_what_the_command_prints(result, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["table3", "--result", str(tmp_path / "result.json")])
    monkeypatch.setattr(console, "arithmetic", lambda: result)
    console.main()
    said = capsys.readouterr().out.strip()
    assert said in (repository / "experiments" / "table3" / "README.md").read_text()
    stored = json.loads((repository / "experiments" / "table3" / "result.json").read_text())
    assert stored["rows"] == json.loads((tmp_path / "result.json").read_text())["rows"]
    assert len(expected()["rows"]) == 6
