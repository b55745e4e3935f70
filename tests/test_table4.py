"""experiments/table4: the arithmetic of the published rows, and measuring by every rule."""

import json
import sys

import numpy as np
import pytest
import starfile
from hypothesis import given
from hypothesis import strategies as st
from pandas import DataFrame

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import score_micrographs
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import Candidates
from experiments.released_pipeline.compare import to_authors
from experiments.table4 import __main__ as console
from experiments.table4.arithmetic import arithmetic, expected, found_per_true_pick, implied
from experiments.table4.measure import RULES, SHARES, measure, nearest, primary, summaries, threshold_for
from experiments.table4.report import tables
from experiments.table4.run import AUTHORS, AUTHORS_MANUAL, MANUAL, Options, others, table4
from experiments.table4.sources import BORDER_IN_ANGSTROMS, Found, data_set, open_source

STEM = "Falcon_2012_06_12-14_33_35_0"
def blank(height: int, width: int) -> np.ndarray:
    """An image (h, w) without anything in it but the contrast that reading asks for."""
    image = np.zeros((height, width), np.float32)
    image[0, 0] = 1
    return image


TINY = [
    f"dataset.simulation.{change}"
    for change in ("micrographs=1", "height=320", "width=320", "particles_per_micrograph=12", "carbon_probability=0")
]


def test_f_of_the_published_rows():
    rows = arithmetic(expected())["rows"]
    assert rows["DRPnet"]["f_measure"] == pytest.approx(0.7854, abs=5e-5)
    assert rows["DRPnet"]["f_measure_of_text"] == pytest.approx(0.8207, abs=5e-5)
    assert rows["RELION"]["f_measure"] == pytest.approx(0.6594, abs=5e-5)
    for row in rows.values():
        assert row["f_measure"] == pytest.approx(row["f_measure_printed"], abs=5e-5)


def test_what_the_published_rows_imply():
    rows = arithmetic(expected())["rows"]
    assert round(rows["DRPnet"]["found_labels"]) == 35849 and round(rows["DRPnet"]["true_picks"]) == 35268
    assert round(rows["RELION"]["found_labels"]) == 29977 and round(rows["RELION"]["true_picks"]) == 29853
    assert round(rows["DRPnet"]["implied_labels"]) == 40201 and round(rows["RELION"]["implied_labels"]) == 40694
    assert rows["DRPnet"]["precision_ceiling"] == 40863 / 49604 == pytest.approx(0.8238, abs=5e-5)
    assert rows["DRPnet"]["recall_of_true_picks"] == pytest.approx(0.8631, abs=5e-5)


def test_no_count_of_pairs_rounds_to_both_printed_numbers():
    labels = expected()["labels"]
    for row in expected()["rows"].values():
        # the slow way: every possible number of pairs
        both = [
            pairs
            for pairs in range(labels + 1)
            if abs(pairs / labels - row["recall"]) <= 5e-5 and abs(pairs / row["picks"] - row["precision"]) <= 5e-5
        ]
        assert both == []
        assert implied(row["picks"], row["recall"], row["precision"], labels)["one_matching"] is False


@given(st.integers(50, 60_000), st.integers(50, 60_000), st.floats(0.05, 1))
def test_numbers_that_come_from_one_matching_are_never_called_impossible(picks, labels, share):
    pairs = max(1, int(share * min(picks, labels)))
    printed = implied(picks, round(pairs / labels, 4), round(pairs / picks, 4), labels) if pairs / picks > 1e-3 else None
    assert printed is None or printed["one_matching"] is True
    assert found_per_true_pick(pairs / labels, labels, pairs / picks, picks) == pytest.approx(1)


def test_the_labels_are_those_that_are_configured():
    archive = data_set("archive").archive
    assert list(archive.particle_counts.values()) == [expected()["labels"]]
    assert archive.micrograph_count == 84
    # the band in Angstrom is the 120 px of the real pictures
    assert BORDER_IN_ANGSTROMS / data_set("archive").pixel_size == pytest.approx(120)


def test_a_pick_between_two_labels_is_credited_twice_by_many_to_one_alone():
    picks, truth = np.array([[50.0, 50.0]]), np.array([[50.0, 40.0], [50.0, 60.0]])
    ratio = {}
    for rule in ("common", "many_to_one"):
        pooled, mean = summaries(score_micrographs({"a": (picks, None, truth, 20)}, rule))
        assert pooled == {**mean, "average": "pooled"}
        ratio[rule] = pooled["found_per_true_pick"]
    assert ratio == {"common": 1.0, "many_to_one": 2.0}


def test_means_over_micrographs_are_means():
    far = np.array([[500.0, 500.0]])
    one, four = np.array([[50.0, 50.0]]), np.array([[50.0, 50.0 + 100 * i] for i in range(4)])
    result = score_micrographs({"a": (one, None, one, 20), "b": (far, None, four, 20)})
    pooled, mean = summaries(result)
    assert (pooled["precision"], pooled["recall"]) == (0.5, 0.2)
    assert (mean["precision"], mean["recall"]) == (0.5, 0.5)
    assert mean["found_per_true_pick"] == 0.5 * 5 / (0.5 * 2)


def test_nearest_puts_the_rule_with_the_published_ratio_first():
    scores = [
        {"rule": rule, "radius_diameters": share, "average": average, "border_px": 0, "found_per_true_pick": 1.5}
        for rule in RULES
        for share in SHARES
        for average in ("pooled", "mean")
    ]
    for score in scores:
        if score["rule"] == "common":
            score["found_per_true_pick"] = None
        elif (score["rule"], score["radius_diameters"]) == ("repic", 0.2):
            score["found_per_true_pick"] = 1.02
    found = nearest([{"picker": "p", "scores": scores}], 1.0165)
    assert (found[0]["rule"], found[0]["radius_diameters"], found[0]["off"]) == ("repic", 0.2, 0.0035)
    assert "common" not in {entry["rule"] for entry in found}


def test_the_threshold_keeps_so_many_candidates_of_all_micrographs():
    merits = [np.array([0.9, 0.5, 0.1]), np.array([0.8, 0.7])]
    picked = [(Candidates(np.zeros((len(m), 2)), m, m, m), 1.0) for m in merits]
    assert threshold_for(picked, 3) == 0.7
    assert threshold_for(picked, 99) == 0.1


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A data root with two tiny pictures laid out as the real ones, and everybody's picks of one of them."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "real" / "empiar10017"
    for place in ("micrographs", "truth", "drpnet2019", "empiar_manual", "peers/topaz"):
        (folder / place).mkdir(parents=True)
    centres = np.array([[200.0, 200.0], [200.0, 400.0], [400.0, 300.0]])

    def write(path, yx):
        starfile.write(DataFrame({"rlnCoordinateX": yx[:, 1], "rlnCoordinateY": yx[:, 0]}), path)

    for stem in (STEM, "other"):
        write_micrograph(folder / "micrographs" / f"{stem}.mrc", blank(600, 640), 1.77)
        write(folder / "truth" / f"{stem}.star", centres)
    write(folder / "drpnet2019" / f"{STEM}_autopick.star", to_authors(centres[:2]))
    write(folder / "empiar_manual" / f"{STEM}.star", centres[1:])
    write(folder / "peers" / "topaz" / f"{STEM}.star", np.array([[200.0, 200.0], [10.0, 10.0]]))
    return root


def test_other_picks_are_scored_on_the_micrographs_that_they_are_for(pictures):
    source = open_source("auto", pictures)
    assert (source.kind, source.pixel_size, len(source.micrographs)) == ("pictures", pytest.approx(1.77), 2)
    rows = {row["picker"]: row for row in others(source, Options(pictures))}
    assert list(rows) == [AUTHORS, AUTHORS_MANUAL, MANUAL, "topaz"]
    assert all(row["micrographs"] == [STEM] for row in rows.values())
    score = {name: primary(row, radius_diameters=0.2) for name, row in rows.items()}
    # one of three pairs would be missed were their frame not undone
    assert (score[AUTHORS]["precision"], score[AUTHORS]["recall"]) == (1, pytest.approx(2 / 3, abs=1e-4))
    assert (score[AUTHORS_MANUAL]["precision"], score[AUTHORS_MANUAL]["recall"]) == (0.5, 0.5)
    # the pick in the band counts only with it
    assert score["topaz"]["precision"] == 0.5 and primary(rows["topaz"], border=True)["precision"] == 1


def test_a_wrong_name_or_folder_is_one_line(pictures, tmp_path):
    with pytest.raises(InputError, match="nothing is none of the 2 micrographs of real10017"):
        open_source("pictures", pictures, ["nothing"])
    with pytest.raises(InputError, match="there is no source 'moon'"):
        open_source("moon", pictures)
    with pytest.raises(InputError, match="dataset empiar10017 is not at .*drpnet download empiar10017"):
        open_source("archive", tmp_path)
    with pytest.raises(InputError, match="has no picks for the micrographs of pictures"):
        one = open_source("pictures", pictures, ["other"])
        others(one, Options(pictures, authors=pictures / "real" / "empiar10017" / "drpnet2019"))


def test_without_data_it_measures_on_a_simulation_and_says_so(tmp_path):
    result = table4(Options(tmp_path, overrides=TINY))
    assert result["data"]["source"] == "simulated" and result["data"]["micrographs"] == 1
    assert [row["picker"] for row in result["rows"]] == ["DRPnet, default threshold", "DRPnet, picks per label as in the paper"]
    labels = result["data"]["labels"]
    assert result["rows"][1]["picks"] <= round(result["picks_per_label"] * labels)
    said = tables(result)
    assert "Measured on a SIMULATED stand-in" in said and "Why: a simulation" in said
    for row in result["rows"]:
        # 120 px of 1.77 Angstrom
        assert {score["border_px"] for score in row["scores"]} == {0, 60}


def test_the_arithmetic_needs_no_data(tmp_path, monkeypatch, capsys):
    result = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["table4", "--source", "none", "--result", str(result)])
    console.main()
    assert list(json.loads(result.read_text())) == ["arithmetic"]
    said = capsys.readouterr().out
    assert "| one pooled one-to-one matching | **impossible** | **impossible** |" in said and "Measured" not in said


def test_the_committed_result_is_that_of_the_committed_numbers(repository, tmp_path):
    result = json.loads((repository / "experiments" / "table4" / "result.json").read_text())
    assert result["arithmetic"] == json.loads(json.dumps(arithmetic(expected())))
    page = (repository / "experiments" / "table4" / "README.md").read_text(encoding="utf-8").splitlines()
    assert set(tables(result).splitlines()) <= set(page)
    from experiments.table4.figure import draw

    draw(result, tmp_path / "figure.png")
    assert 10_000 < (tmp_path / "figure.png").stat().st_size < 200_000


@pytest.mark.real
def test_the_authors_picks_agree_with_many_to_one(shared_real, tmp_path, monkeypatch):
    # without the rules that count pixels, which take seconds
    monkeypatch.setattr("experiments.table4.measure.RULES", RULES[:2])
    real = shared_real / "empiar10017"
    folder = tmp_path / "real" / "empiar10017"
    for place in ("micrographs", "truth"):
        (folder / place).mkdir(parents=True)
    for path in (real / "drpnet2019").glob("*.star"):
        stem = path.name.removesuffix("_autopick.star")
        xy = np.loadtxt(real / "truth" / f"{stem}.csv", delimiter=",", skiprows=1)
        # the picture's labels count rows from the last one of the .mrc
        table = DataFrame({"rlnCoordinateX": xy[:, 0], "rlnCoordinateY": 4095 - xy[:, 1]})
        starfile.write(table, folder / "truth" / f"{stem}.star")
        write_micrograph(folder / "micrographs" / f"{stem}.mrc", blank(4096, 4096), 1.77)
    source = open_source("pictures", tmp_path)
    rows = others(source, Options(tmp_path, authors=real / "drpnet2019", manual=real / "empiar_manual"))
    authors, manual = rows[0], rows[1]
    assert (authors["picks"], authors["labels"], manual["picks"], manual["labels"]) == (1119, 1333, 584, 612)
    assert primary(authors)["f_measure"] == pytest.approx(0.776, abs=0.002)
    assert primary(manual)["f_measure"] == pytest.approx(0.768, abs=0.002)
    assert primary(authors, rule="many_to_one")["found_per_true_pick"] == pytest.approx(1.0168, abs=0.001)


def test_picks_of_micrographs_without_labels_do_not_count():
    class Sheet:
        particle_diameter, pixel_size = 20.0, 1.0
        shapes = {"a": (100, 100)}

    yx = np.array([[50.0, 50.0]])
    row = measure(Found("p", {"a": yx, "b": yx}), {"a": yx}, Sheet())
    assert row["micrographs"] == ["a"] and (row["picks"], row["labels"]) == (1, 1)
