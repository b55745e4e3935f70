"""The doctor on files: what it reads, says, writes, and what it leaves alone."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from drpnet.cli import app
from drpnet.doctor.examine import examine
from drpnet.doctor.findings import as_json, remarks, sentence
from drpnet.doctor.fix import can_fix, write_fixed
from drpnet.doctor.glance import verdict, warn_of_labels
from drpnet.errors import InputError
from drpnet.frames.diagnosis import LEAST_CENTRES
from drpnet.frames.transforms import Transform
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import read_micrograph, write_micrograph
from drpnet.io.picks import write_autopick_star
from drpnet.labelled import LabelledMicrograph

SHAPE, DIAMETER, PIXEL_SIZE = (300, 340), 20.0, 5.0


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three micrographs of dark discs on noise with their truth, and the same turned upside down."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(0)
    y, x = np.indices(SHAPE)
    for number in range(3):
        grid = np.stack(np.meshgrid(np.arange(20, 280, 28.0), np.arange(20, 320, 28.0)), axis=-1).reshape(-1, 2)
        centres = rng.permutation(grid + rng.uniform(-6, 6, grid.shape))[:60]
        image = rng.normal(0, 1, SHAPE)
        for row, column in centres:
            image -= 1.5 * ((y - row) ** 2 + (x - column) ** 2 < (DIAMETER / 2) ** 2)
        write_micrograph(folder / "micrographs" / f"m{number}.mrc", image, PIXEL_SIZE)
        scores = rng.uniform(0, 1, len(centres))
        write_autopick_star(folder / "truth" / f"m{number}.star", centres, scores)
        write_autopick_star(folder / "flipped" / f"m{number}.star", Transform(flip_y=True).inverse(centres, SHAPE), scores)
        lost = rng.uniform(0, np.array(SHAPE) - 1, centres.shape)
        write_autopick_star(folder / "lost" / f"m{number}.star", lost, scores)
        boxes = [f"{x - 9:.0f}\t{y - 9:.0f}" for y, x in centres]
        (folder / "corners").mkdir(exist_ok=True)
        (folder / "corners" / f"m{number}.txt").write_text("\n".join(boxes) + "\n")
    return folder


def console(*arguments):
    return CliRunner().invoke(app, ["doctor", *(str(one) for one in arguments)])


def flat(done):
    return " ".join(done.output.split())


def test_right_is_status_0(project):
    done = console(project / "micrographs", project / "truth", "--diameter", DIAMETER * PIXEL_SIZE)
    assert done.exit_code == 0, done.output
    assert "right as written" in done.output and "LEFT OUT" not in done.output


def test_wrong_is_status_3_and_the_fix_is_the_truth(project, tmp_path):
    before = {path: path.read_bytes() for path in (project / "flipped").iterdir()}
    out, report = tmp_path / "fixed", tmp_path / "report.json"
    done = console(
        project / "micrographs", project / "flipped", "--diameter-px", DIAMETER, "--fix", out, "--json", report
    )
    assert done.exit_code == 3 and "y flipped" in done.output and "180 corrected coordinates" in done.output
    assert {path: path.read_bytes() for path in (project / "flipped").iterdir()} == before
    truth, fixed = read_coordinate_set(project / "truth"), read_coordinate_set(out)
    for name, coordinates in truth.items():
        np.testing.assert_allclose(fixed[name].centres, coordinates.centres, atol=1e-5)
        np.testing.assert_allclose(fixed[name].scores, coordinates.scores, atol=1e-6)
    found = json.loads(report.read_text())
    assert found["verdict"] == "wrong" and found["transform"]["flip_y"] and found["trials"]
    assert console(project / "micrographs", out, "--diameter-px", DIAMETER).exit_code == 0


def test_corners_read_as_centres(project, tmp_path):
    found = examine(str(project / "micrographs"), project / "corners", diameter_px=DIAMETER)
    assert found.diagnosis.kind == "wrong"
    np.testing.assert_allclose(found.diagnosis.found.transform.offset, 9, atol=0.15 * DIAMETER)
    assert write_fixed(found, tmp_path / "out") == (3, 180, 0, [])
    assert "rlnAutopickFigureOfMerit" not in (tmp_path / "out" / "m0_autopick.star").read_text()


def test_the_diameter_can_be_guessed(project):
    found = examine(str(project / "micrographs"), project / "flipped")
    assert found.guessed and found.diagnosis.found.transform == Transform(flip_y=True)


def test_lost_coordinates_sit_on_nothing_and_nothing_is_written(project, tmp_path):
    out = tmp_path / "none"
    done = console(project / "micrographs", project / "lost", "--diameter-px", DIAMETER, "--fix", out)
    assert done.exit_code == 3 and "sit on nothing" in done.output and not out.exists()


def test_labels_are_evidence_without_reading_an_image(project, tmp_path):
    found = examine(str(project / "micrographs"), project / "flipped", labels=project / "truth")
    assert found.evidence == "labels" and found.diagnosis.found.transform == Transform(flip_y=True)
    assert "lie on the labels" in sentence(found)
    angstrom = examine(
        str(project / "micrographs"), project / "flipped", labels=project / "truth", diameter=DIAMETER * PIXEL_SIZE
    )
    assert angstrom.diagnosis.diameter_px == DIAMETER and angstrom.pixel_size == PIXEL_SIZE


def test_bright_particles_are_not_accused_and_are_seen_with_negative_stain(project, tmp_path):
    for path in (project / "micrographs").iterdir():
        write_micrograph(tmp_path / "micrographs" / path.name, -read_micrograph(path)[0], PIXEL_SIZE)
    words = [tmp_path / "micrographs", project / "truth", "--diameter-px", DIAMETER]
    done = console(*words, "--fix", tmp_path / "out")
    assert done.exit_code == 3 and "lie on bright spots" in done.output and "wrong" not in done.output
    assert "nothing was written" in flat(done) and not (tmp_path / "out").exists()
    assert console(*words, "--negative-stain").exit_code == 0
    flipped = console(words[0], project / "flipped", *words[2:], "--negative-stain")
    assert flipped.exit_code == 3 and "y flipped. Corrected, they lie on bright spots" in flat(flipped)
    line = verdict(project / "truth", project / "truth", tmp_path / "micrographs", DIAMETER)
    assert line is not None and "bright spots" in line and "wrong" not in line and line.endswith("--negative-stain")
    dark = console(project / "micrographs", *words[1:], "--negative-stain")
    assert dark.exit_code == 3 and "lie on dark spots" in flat(dark) and "leave out --negative-stain" in flat(dark)


def test_a_diameter_that_is_much_too_small_is_questioned_not_the_set(tmp_path):
    """In large particles that are dark at one side, as a small diameter finds it, the centres are still the centres."""
    rng = np.random.default_rng(0)
    shape, y, x = (1400, 1400), *np.indices((1400, 1400))
    centres = np.stack(np.meshgrid(np.arange(70, 1340, 115.0), np.arange(70, 1340, 115.0)), axis=-1).reshape(-1, 2)
    centres = rng.permutation(centres + rng.uniform(-17, 17, centres.shape))[:70]
    image = rng.normal(0, 2, shape)
    for row, column in centres:
        image -= 1.5 * ((y - row) ** 2 + (x - column) ** 2 < 40**2)
        image -= 0.5 * ((y - row - 7) ** 2 + (x - column - 7) ** 2 < 4**2)
    write_micrograph(tmp_path / "micrographs" / "m.mrc", image, PIXEL_SIZE)
    write_autopick_star(tmp_path / "truth" / "m.star", centres, None)
    words = [tmp_path / "micrographs", tmp_path / "truth", "--diameter-px"]
    assert console(*words, 80).exit_code == 0
    done = console(*words, 12, "--fix", tmp_path / "out")
    assert done.exit_code == 0 and "is the diameter right?" in done.output and not (tmp_path / "out").exists(), done.output


@pytest.mark.parametrize(
    ("kind", "odd", "said"),
    [("truth", "flipped", "1 micrograph is in another frame than the rest: m1 (y flipped)"),
     ("flipped", "truth", "2 micrographs are in another frame than the rest: m0 (y flipped), m2 (y flipped)")],
)  # fmt: skip
def test_micrographs_in_another_frame_are_named_with_it_and_corrected_alone(project, tmp_path, kind, odd, said):
    mixed, out, report = tmp_path / "mixed", tmp_path / "out", tmp_path / "report.json"
    mixed.mkdir()
    for name, source in (("m0", kind), ("m1", odd), ("m2", kind)):
        (mixed / f"{name}.star").write_bytes((project / source / f"{name}.star").read_bytes())
    done = console(project / "micrographs", mixed, "--diameter-px", DIAMETER, "--fix", out, "--json", report)
    assert done.exit_code == 3 and said in flat(done)
    assert ("60 corrected coordinates of 1 micrograph, and 2 micrographs as they were," in flat(done)) == (kind == "truth")
    others = json.loads(report.read_text())["in_another_frame"]
    assert list(others) == (["m1"] if kind == "truth" else ["m0", "m2"])
    assert all(frame["flip_y"] for frame in others.values())
    fixed = read_coordinate_set(out)
    for name, coordinates in read_coordinate_set(project / "truth").items():
        np.testing.assert_allclose(fixed[name].centres, coordinates.centres, atol=1e-5)


def test_a_frame_that_cannot_be_told_is_left_out_with_the_command_that_looks_closer(project, tmp_path):
    found = examine(str(project / "micrographs"), project / "truth", diameter_px=DIAMETER)
    against = {"m1": None, "m2": Transform(flip_y=True)}
    found = replace(found, diagnosis=replace(found.diagnosis, against=against))
    assert f"doctor {project}/micrographs/m1.mrc {project}/truth --diameter-px 20" in " ".join(remarks(found))
    assert "2 micrographs are in another frame than the rest: m1 (not told which), m2 (y flipped)" in sentence(found)
    written = write_fixed(found, tmp_path / "out")
    assert written[:3] == (1, 60, 1) and "m1" in written.left_out[0]
    assert can_fix(found) and not can_fix(replace(found, diagnosis=replace(found.diagnosis, against={"m1": None})))


def test_the_sentence_says_of_how_many_micrographs_it_speaks(project):
    found = examine(str(project / "micrographs"), project / "flipped", diameter_px=DIAMETER, most=1)
    assert "better in 1 of 1 micrograph;" in sentence(found) and "Looked at 1 of 3 micrographs." in sentence(found)


def test_a_reader_that_goes_away_does_not_change_the_exit_status(project, repository):
    command = [sys.executable, "-m", "drpnet.cli", "doctor", project / "micrographs", project / "flipped"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*map(str, command), "--diameter-px", "20"], stdout=writer, stderr=subprocess.PIPE, cwd=repository)
    os.close(writer)
    assert done.returncode == 3 and not done.stderr


def test_one_bad_file_stops_nothing(project, tmp_path):
    for kind in ("micrographs", "flipped"):
        (tmp_path / kind).mkdir()
        for path in (project / kind).iterdir():
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    (tmp_path / "flipped" / "m1.star").write_text("data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n1 two\n")
    (tmp_path / "micrographs" / "m2.mrc").write_bytes(b"cut short")
    done = console(tmp_path / "micrographs", tmp_path / "flipped", "--diameter-px", DIAMETER, "--fix", tmp_path / "out")
    assert done.exit_code == 3 and "y flipped" in done.output
    assert done.output.count("LEFT OUT") == 3  # once each on reading, the micrograph again on writing
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m0_autopick.star"]


def test_too_few_is_status_4(project, tmp_path):
    (tmp_path / "m0.txt").write_text("10 20\n30 40\n")
    done = console(project / "micrographs", tmp_path, "--diameter-px", DIAMETER)
    assert done.exit_code == 4 and f"it takes {LEAST_CENTRES}" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--diameter", "0"], "--diameter is 0.0"),
        (["--diameter", "90", "--diameter-px", "20"], "not both"),
        (["--labels", "nowhere"], "does not exist"),
        (["--diameter-px", "200"], "too small"),
        (["--labels", "nowhere", "--negative-stain"], "give one of them"),
    ],
)
def test_bad_input_is_status_2(project, arguments, message):
    done = console(project / "micrographs", project / "truth", *arguments)
    assert done.exit_code == 2 and message in done.output and "Traceback" not in done.output


def test_names_that_do_not_agree(project, tmp_path):
    (tmp_path / "other.txt").write_text("1 2\n")
    with pytest.raises(InputError, match="names"):
        examine(str(project / "micrographs"), tmp_path)


def test_a_folder_that_is_there_is_not_written_to(project):
    found = examine(str(project / "micrographs"), project / "flipped", diameter_px=DIAMETER)
    with pytest.raises(InputError, match="there already"):
        write_fixed(found, project / "flipped")


def test_the_json_has_no_objects_of_ours(project):
    found = as_json(examine(str(project / "micrographs"), project / "truth", diameter_px=DIAMETER))
    assert json.dumps(found) and found["looked_at"] == ["m0", "m1", "m2"]


def test_verdict_finds_the_micrographs_beside_and_never_raises(project, tmp_path):
    right = verdict(project / "truth", project / "truth", diameter_px=DIAMETER)
    assert right is not None and "right as written" in right and "\n" not in right
    wrong = verdict(project / "flipped", project / "truth", project / "micrographs", DIAMETER)
    assert wrong is not None and "y flipped" in wrong and "drpnet doctor" in wrong and wrong.endswith("--diameter-px 20")
    assert verdict(tmp_path / "nowhere", tmp_path, None, DIAMETER) is None
    assert verdict(project / "truth", project / "truth", project / "micrographs", -1) is None


def test_evaluation_prints_the_verdict_after_the_score(project):
    words = [str(project / name) for name in ("flipped", "truth")]
    done = CliRunner().invoke(app, ["evaluate", *words, "--diameter-px", str(DIAMETER)])
    assert done.exit_code == 0 and "y flipped" in done.output.partition("pooled")[2]


def labelled(project, kind):
    return [
        LabelledMicrograph(project / "micrographs" / f"{name}.mrc", coordinates.centres)
        for name, coordinates in read_coordinate_set(project / kind).items()
    ]


@pytest.mark.parametrize(("kind", "words"), [("flipped", "y flipped"), ("lost", "nothing"), ("truth", None)])
def test_training_warns_of_labels_in_a_wrong_frame(project, caplog, kind, words):
    with caplog.at_level(logging.WARNING):
        warn_of_labels(labelled(project, kind), DIAMETER * PIXEL_SIZE, str(project), kind)
    text = " ".join(record.getMessage() for record in caplog.records)
    assert words is None and not text or words is not None and words in text and f"drpnet doctor {project}" in text


def test_training_asks_whether_particles_are_bright_and_knows_where_they_are(project, caplog):
    warn_of_labels(labelled(project, "truth"), DIAMETER * PIXEL_SIZE, str(project), "truth", negative_stain=True)
    text = " ".join(record.getMessage() for record in caplog.records)
    assert "ARE THE PARTICLES BRIGHT OR DARK?" in text and "preprocess.negative_stain=false" in text
    assert "RIGHT FRAME" not in text


def test_the_warning_never_fails_a_training(caplog):
    gone = LabelledMicrograph(Path("nowhere.mrc"), np.zeros((50, 2)))
    warn_of_labels([gone], 100.0, "data", "labels")
    warn_of_labels([], 100.0, "data", "labels")
    assert not caplog.records


def test_a_defect_of_the_doctor_costs_no_score_but_is_said(project, monkeypatch, caplog):
    def broken(*_, **__):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("drpnet.doctor.glance.examine", broken)
    assert verdict(project / "labels", project / "labels", project / "micrographs") is None
    assert "the doctor could not look at the picks (ZeroDivisionError: by zero); please report it" in caplog.text
