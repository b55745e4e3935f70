"""RELION by the paper's protocol: what it is given, what is chosen and how it is scored."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import write_micrograph
from drpnet.io.micrographs_star import read_micrographs_star
from drpnet.io.picks import write_autopick_star
from drpnet.io.star import read_star, write_star
from drpnet.labelled import LabelledMicrograph
from experiments.real10017.crossvalidate import FOLDS
from experiments.relion_baseline import programs
from experiments.relion_baseline.__main__ import HERE, default_of
from experiments.relion_baseline.picking import LoG, Templates, pick
from experiments.relion_baseline.programs import complaint, require_relion, run, steps_done
from experiments.relion_baseline.project import (
    PIXEL_SIZE,
    lay_out,
    sample,
    split,
    write_labels_star,
    write_micrographs_star,
)
from experiments.relion_baseline.scores import choose, score
from experiments.relion_baseline.tables import others, tables
from experiments.relion_baseline.templates import AVERAGES, ClassAverage, choose_templates, read_classes

TESTED = [stem for fold in FOLDS for stem in fold]
OTHERS = ["Falcon_a", "Falcon_b", "Falcon_c"]
CENTRES = np.array([[300.0, 420.0], [560.0, 300.0], [700.0, 640.0], [420.0, 780.0]])


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """A micrograph of 1024 px with dark blobs at CENTRES in noise."""
    rows, columns = np.mgrid[:1024, :1024]
    image = np.random.default_rng(0).normal(0, 0.2, (1024, 1024))
    for y, x in CENTRES:
        image -= np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 25**2))
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def real(blobs, tmp_path_factory) -> Path:
    """The layout of the data, all micrographs alike."""
    folder = tmp_path_factory.mktemp("real")
    for stem in (*TESTED, *OTHERS):
        write_micrograph(folder / "empiar10017" / "micrographs" / f"{stem}.mrc", blobs, PIXEL_SIZE)
        write_autopick_star(folder / "empiar10017" / "truth" / f"{stem}.star", CENTRES, np.ones(len(CENTRES)))
    return folder


def test_only_micrographs_that_no_fold_tests_are_trained_on(real, tmp_path):
    project = lay_out(real, tmp_path / "out", 7)
    assert [m.stem for m in project.training] == OTHERS
    assert [m.stem for m in project.scored] == sorted(TESTED)
    assert lay_out(real, tmp_path / "out", 7).training[0].path == project.training[0].path
    listed = read_micrographs_star(tmp_path / "out" / "training.star")
    assert [entry.stem for entry in listed.entries] == OTHERS
    labels = read_coordinate_set(tmp_path / "out" / "labels")
    assert sorted(labels) == [f"{stem}_labels" for stem in OTHERS]
    assert sum(len(found.centres) for found in labels.values()) == 7
    with pytest.raises(InputError, match="other micrographs or particles; give another --out"):
        lay_out(real, tmp_path / "out", 8)


def test_incomplete_data_are_refused(tmp_path):
    micrographs = [LabelledMicrograph(Path(f"{stem}.mrc"), CENTRES) for stem in TESTED]
    with pytest.raises(InputError, match="0 for training and 7 of 7 to score"):
        split(micrographs)
    with pytest.raises(InputError, match=r"empiar10017/micrographs is missing; see the README"):
        lay_out(tmp_path, tmp_path / "out")


def test_the_sample_is_of_all_micrographs_without_repeats():
    centres = [np.random.default_rng(i).uniform(0, 4096, (n, 2)) for i, n in enumerate((30, 0, 50))]
    chosen = sample(centres, 40)
    assert sum(map(len, chosen)) == 40 and min(len(chosen[0]), len(chosen[2])) > 5
    for own, every in zip(chosen, centres, strict=True):
        assert len({tuple(row) for row in own}) == len(own)
        assert {tuple(row) for row in own} <= {tuple(row) for row in every}
    np.testing.assert_array_equal(np.concatenate(sample(centres, 80)), np.concatenate(centres))
    assert not np.array_equal(np.concatenate(chosen), np.concatenate(sample(centres, 40, seed=1)))
    with pytest.raises(InputError, match="there are 80 labelled particles on the training micrographs, not 81"):
        sample(centres, 81)


def test_stars_are_those_of_relion_31(tmp_path):
    write_micrographs_star(tmp_path / "m.star", ["micrographs/a.mrc", "micrographs/b.mrc"])
    assert "# version 30001" in (tmp_path / "m.star").read_text()
    blocks = read_star(tmp_path / "m.star")
    assert blocks["optics"]["rlnMicrographPixelSize"].tolist() == [PIXEL_SIZE]
    assert blocks["micrographs"]["rlnMicrographName"].tolist() == ["micrographs/a.mrc", "micrographs/b.mrc"]
    assert not any("Defocus" in column for column in blocks["micrographs"])
    write_labels_star(tmp_path / "labels" / "a", np.array([[10.0, 20.0]]))
    table = read_star(tmp_path / "labels" / "a_labels.star")[""]
    assert (table["rlnCoordinateX"][0], table["rlnCoordinateY"][0]) == (20, 10)


def test_templates_are_the_classes_that_are_not_nearly_empty(tmp_path):
    shares = [0.05, 0.4, 0.049, 0.5, 0.001, 0, 0, 0, 0, 0]
    images = [f"{i:06d}@{AVERAGES}" for i in range(1, 11)]
    write_star(tmp_path / "model.star", {"model_classes": {"rlnReferenceImage": images, "rlnClassDistribution": shares}})
    averages = read_classes(tmp_path / "model.star")
    assert averages[1] == ClassAverage(f"000002@{AVERAGES}", 0.4)
    assert [average.share for average in choose_templates(averages)] == [0.5, 0.4, 0.05]
    write_star(tmp_path / "model.star", {"model_general": {"rlnNrClasses": 1}})
    with pytest.raises(InputError, match="has no table of classes"):
        read_classes(tmp_path / "model.star")


def test_the_threshold_is_the_best_one_and_the_first_of_equal_ones():
    best, tried = choose([0.0, 1.0, 2.0, 3.0], lambda value: {1.0: 0.8, 2.0: 0.8}.get(value, 0.1))
    assert best == 1.0
    assert tried == [(0.0, 0.1), (1.0, 0.8), (2.0, 0.8), (3.0, 0.1)]
    with pytest.raises(InputError, match="no settings to choose from"):
        choose([], lambda value: 0.0)
    assert default_of(Templates(5, 70)) == Templates(0.05, 100)
    assert default_of(LoG(130, 191, 1.25)) == LoG(130, 191, 0)


def test_scores_leave_the_band_out_and_count_one_to_one(real, tmp_path):
    micrograph = LabelledMicrograph(real / "empiar10017" / "micrographs" / "Falcon_a.mrc", CENTRES)
    far = [[60.0, 500.0]]  # in the border band
    picks = np.concatenate([CENTRES[:3] + [0, 30], CENTRES[:1] + [0, -40], far])
    write_autopick_star(tmp_path / "picks" / "Falcon_a_autopick.star", picks, np.ones(len(picks)))
    scores = score(tmp_path / "picks", [micrograph])
    assert [scores["scores"][key] for key in ("picks", "truth", "precision", "recall")] == [4, 4, 0.75, 0.75]
    assert scores["unrestricted"]["precision"] == pytest.approx(3 / 5)
    assert scores["tight"]["precision"] == 0  # 30 px are more than 0.2 of 108
    other = LabelledMicrograph(real / "empiar10017" / "micrographs" / "Falcon_b.mrc", CENTRES)
    with pytest.raises(InputError, match="has no picks of Falcon_b"):
        score(tmp_path / "picks", [micrograph, other])


def test_a_step_that_is_done_is_not_done_again(tmp_path, capsys):
    command = [sys.executable, "-c", "open('made.txt', 'a').write('once')"]
    for _ in range(2):
        run(tmp_path, "make", command, "made.txt")
    assert (tmp_path / "made.txt").read_text() == "once"
    assert [row["step"] for row in steps_done(tmp_path)] == ["make"]
    assert capsys.readouterr().out.count("made.txt") == 1
    assert (tmp_path / "commands.txt").read_text().count("made.txt") == 1
    with pytest.raises(InputError, match="is of another command .*; give another --out"):
        run(tmp_path, "make", [*command, "--more"], "made.txt")


def test_a_program_that_fails_says_why_in_one_line(tmp_path):
    says = "print('ERROR: '); print('ERROR: output directory does not exist!'); print('line'); raise SystemExit(1)"
    with pytest.raises(InputError, match=r"ended with 1: output directory does not exist!; see .*fail.log"):
        run(tmp_path, "fail", [sys.executable, "-c", says], "made.txt")
    with pytest.raises(InputError, match="ended with 0: nothing was said"):
        run(tmp_path, "nothing", [sys.executable, "-c", ""], "made.txt")
    assert not steps_done(tmp_path)
    (tmp_path / "log").write_text("first\nlast\n")
    assert complaint(tmp_path / "log") == "last"


def test_without_relion_the_package_is_named(monkeypatch):
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"relion_preprocess is not installed; on Debian: apt-get install relion"):
        require_relion()


def test_the_table_reads_the_rows_of_the_others(tmp_path):
    result = json.loads((HERE / "result.json").read_text())
    text = tables(result, HERE)
    paper = "paper: RELION | 49855 | 0.599 | 0.734"
    for name in ("RELION, LoG, chosen threshold | 5281", "DRPnet, cascade, cross-validated", "crYOLO", paper):
        assert f"| {name} | " in text
    readme = (HERE / "README.md").read_text()
    assert all(line in readme for line in text.splitlines() if line.startswith("| RELION"))
    with pytest.raises(InputError, match="has no cross-validation; run python -m experiments.real10017"):
        others(tmp_path / "result.json")


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_autopick") is None, reason="RELION is not installed: apt-get install relion")
def test_relion_picks_dark_particles_where_they_are(blobs, tmp_path):
    write_micrograph(tmp_path / "micrographs" / "a.mrc", blobs, PIXEL_SIZE)
    write_micrographs_star(tmp_path / "scored.star", ["micrographs/a.mrc"])
    rows, columns = np.mgrid[:60, :60] - 30
    white = np.exp(-(rows**2 + columns**2) / (2 * (25 * 60 / 200) ** 2))
    write_micrograph(tmp_path / "classes.mrc", white, PIXEL_SIZE * 200 / 60)
    write_star(tmp_path / "templates.star", {"": {"rlnReferenceImage": ["classes.mrc"]}})
    micrograph = LabelledMicrograph(tmp_path / "micrographs" / "a.mrc", CENTRES)
    for setting in (LoG(130, 191, 0), Templates(0.3, 100)):
        found = score(pick(tmp_path, "scored", setting), [micrograph], ["tight"])["tight"]
        assert found["recall"] == 1, setting
    assert len(steps_done(tmp_path)) == 3
