"""experiments/table2: the facts of the configurations against the paper's, and against what is on disk."""

import json
import sys

import numpy as np
import pytest

from drpnet.io.micrographs import write_micrograph
from experiments.table2 import __main__ as console
from experiments.table2.compare import UNIT, agreement, compare, expected, reason
from experiments.table2.facts import ENTRIES, configured, on_disk, settings


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """The comparison with nothing on disk."""
    return compare(tmp_path_factory.mktemp("nothing"))


def test_every_fact_of_the_paper_has_a_row_and_a_known_reason(nowhere):
    for name, facts in expected().items():
        rows = {row["fact"]: row for row in nowhere["entries"][name]["rows"]}
        assert set(facts) <= set(rows) <= set(UNIT)
        assert all(row["reason"] not in ("", "not known") for row in rows.values())


def test_the_numbers_of_table_2_are_configured(nowhere):
    # typed again from the paper, independently of expected.json
    numbers = {
        "empiar10005": (871, 1.2156, [1.5, 3.5]),
        "empiar10017": (84, 1.77, [1, 3]),
        "empiar10061": (1538, 0.3185, [0.6, 3]),
    }
    for name, (micrographs, pixel_size, defocus) in numbers.items():
        facts = nowhere["entries"][name]["configured"]
        assert (facts["micrographs"], facts["pixel_size"], facts["defocus_range"]) == (micrographs, pixel_size, defocus)
        assert facts["voltage_kv"] == 300
    assert nowhere["entries"]["empiar10017"]["configured"]["labelled_particles"] == {"data": 40863}
    differing = {
        (name, row["fact"])
        for name in ENTRIES
        for row in nowhere["entries"][name]["rows"]
        if row["agrees"] is False
    }
    assert differing == {
        ("empiar10005", "test_micrographs"), ("empiar10061", "test_micrographs"), ("empiar10017", "camera"),
        ("empiar10061", "camera"), ("empiar10061", "pixel_size"),
    }  # fmt: skip


def test_agreement_needs_every_statement():
    assert agreement({"4.1": 0.3185, "4.3.2": 0.3187}, 0.3185) is False
    assert agreement({"4.1": 84, "Table 2": 84}, 84) is True
    assert agreement({"4.1": 40863}, {"data": 40863, "more": 49391}) is True
    assert agreement({}, 84) is None and agreement({"4.1": 84}, None) is None
    assert reason("empiar10017", "micrographs", {"4.1": 84}, 83) == "not known"
    assert reason("empiar10017", "micrographs", {"4.1": 84}, 84) is None


def test_without_data_it_says_how_to_get_them(nowhere):
    said = console.tables(nowhere)
    for name in ENTRIES:
        assert nowhere["entries"][name]["on_disk"] is None
        assert f"not on disk: `drpnet download {name}" in said
    assert "cannot be recovered" in said


def test_what_is_on_disk_is_counted(tmp_path):
    root = tmp_path / "empiar10017" / "data"
    root.mkdir(parents=True)
    for stem, lines in (("Falcon_a", "10 20\n30 40\n"), ("Falcon_b", "12 22\n")):
        write_micrograph(root / f"{stem}.mrc", np.zeros((64, 48), np.float32), 1.77)
        (root / f"{stem}.coord").write_text(lines)
    entry = compare(tmp_path)["entries"]["empiar10017"]
    assert entry["on_disk"] == {"micrographs": 2, "labelled_particles": {"data": 3}, "micrograph_shape": [64, 48]}
    assert entry["complete"] is False
    said = console.tables({"entries": {"empiar10017": entry}})
    assert "| empiar10017 | 2, incomplete: `drpnet download empiar10017` | 64 x 48 | 3 |" in said


def test_micrographs_without_labels_and_labels_without_micrographs_are_counted(tmp_path):
    root = tmp_path / "empiar10005"
    folder = root / "data" / "TRPV1_coords_35645"
    folder.mkdir(parents=True)
    (folder / "coordinate_stack_0002_2x_SumCorr_bin3.dat").write_text("1 1 100 200\n1 1 300 400\n")
    dataset, _ = settings("empiar10005", tmp_path)
    assert on_disk(dataset) == {"micrographs": 0, "labelled_particles": {"data/TRPV1_coords_35645": 2}}
    images = tmp_path / "empiar10061" / "data" / "Micrographs"
    images.mkdir(parents=True)
    write_micrograph(images / "EMD-2984_0000.mrc", np.zeros((64, 48), np.float32), 0.3185)
    dataset, _ = settings("empiar10061", tmp_path)
    assert on_disk(dataset) == {"micrographs": 1, "labelled_particles": {}, "micrograph_shape": [64, 48]}


def test_training_particles_are_those_of_the_split(tmp_path):
    root = tmp_path / "empiar10005"
    images, labels = root / "data" / "micrographs" / "summed_frames", root / "data" / "TRPV1_coords_88915"
    for folder in (images, labels):
        folder.mkdir(parents=True)
    empty = np.zeros((8, 4), np.float32)
    for number in range(1, 152):
        stem = f"stack_{number:04d}_2x_SumCorr"
        write_micrograph(images / f"{stem}.mrc", empty, 1.2156)
        # micrograph n has n particles; training takes the 101st to the 150th
        (labels / f"coordinate_{stem}_bin3.dat").write_text("1 1 1 1200\n" * number)
    dataset, negative_stain = settings("empiar10005", tmp_path)
    found = on_disk(dataset)
    assert found is not None and found["micrographs"] == 151
    assert found["training_micrographs"] == configured(dataset, negative_stain)["training_micrographs"] == 50
    assert found["training_particles"] == sum(range(101, 151))


def test_the_command_writes_its_result(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DRPNET_DATA", str(tmp_path / "none"))
    result = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["table2", "--result", str(result)])
    console.main()
    assert set(json.loads(result.read_text())["entries"]) == set(ENTRIES)
    assert "| empiar10005 | Vitreous | 300 | Gatan K2 | 1.5 - 3.5 | 871 | 821 |" in capsys.readouterr().out
