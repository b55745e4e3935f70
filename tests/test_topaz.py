"""Topaz as a peer: how it is called, what becomes of its coordinates, how its picks are scored."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from drpnet.errors import InputError
from drpnet.io.coordinates import Coordinates
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import Candidates
from drpnet.labelled import LabelledMicrograph
from experiments.topaz import __main__ as program
from experiments.topaz.picking import View, enlarged, pick, view
from experiments.topaz.programs import DETECTORS, LAUNCH, run, topaz_words, versions_of
from experiments.topaz.scores import SEVEN, as_picked, count, numbers, thinned
from experiments.topaz.tables import empty_lines, tables

# Downsamples by taking every n-th pixel; its picks are one pixel of score 3 and one of -2 in the first micrograph.
FAKE = """
import json
import sys
from pathlib import Path
import mrcfile
words = sys.argv[2:]
option = lambda name: words[words.index(name) + 1]
files = [Path(word) for word in words if word.endswith(".mrc")]
out = Path(option("-o"))
if sys.argv[1] == "preprocess":
    out.mkdir(parents=True)
    for path in files:
        with mrcfile.open(path) as big, mrcfile.new(out / path.name) as small:
            small.set_data(big.data[:: int(option("-s")), :: int(option("-s"))])
else:
    rows = f"{files[0].stem}\\t10\\t20\\t3.0\\n{files[0].stem}\\t30\\t5\\t-2.0\\n"
    out.write_text("image_name\\tx_coord\\ty_coord\\tscore\\n" + rows)
"""


def test_about_8_angstrom_a_pixel():
    assert view(1.77, 191) == View(5, 11)
    assert view(5.36, 300) == View(2, 14)  # 10.7 is nearer to 8 than 5.4, in proportion
    assert view(4.5, 160) == View(2, 9)
    assert view(1.95, 127) == View(4, 8)
    assert view(9, 100) == View(1, 6)


def test_a_command_and_a_python():
    assert topaz_words("topaz") == ["topaz"]
    assert topaz_words("conda run -n topaz topaz") == ["conda", "run", "-n", "topaz", "topaz"]
    assert topaz_words("env/bin/python3.11") == ["env/bin/python3.11", str(LAUNCH)]
    assert topaz_words("env/bin/python", gradients=False)[2:] == ["--no-gradients"]
    assert versions_of(["topaz"]) is None
    with pytest.raises(InputError, match="--topaz is empty"):
        topaz_words(" ")


def test_what_goes_wrong_is_said_in_a_line():
    with pytest.raises(InputError, match="no/topaz cannot be run .*; give --topaz"):
        run(["no/topaz", "extract"])
    with pytest.raises(InputError, match="ended with 1: ValueError: too dark"):
        run([sys.executable, "-c", "raise ValueError('too dark')"])


@pytest.mark.parametrize("shape", [(240, 300), (241, 307)])
def test_coordinates_go_back_to_where_the_particle_is(shape):
    """A blob in an image that is cropped in Fourier space, as Topaz does it."""
    factor, centre = 5, np.array([170.0, 60.0])
    rows, columns = np.indices(shape)
    image = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (2 * 15**2))
    small_shape = (shape[0] // factor, shape[1] // factor)
    kept = np.array([np.fft.fftfreq(n, 1 / n).astype(int) for n in small_shape], dtype=object)
    small = np.fft.ifft2(np.fft.fft2(image)[np.ix_(*kept)]).real
    weights = small / small.sum()
    found = Coordinates(np.array([[(weights * axis).sum() for axis in np.indices(small_shape)]]), np.ones(1))
    np.testing.assert_allclose(enlarged(found, small_shape, shape).centres[0], centre, atol=0.1)


@pytest.fixture
def two(tmp_path) -> list[Path]:
    """Two micrographs, the second without picks."""
    paths = [tmp_path / "mics" / name for name in ("May08_03.05.02.mrc", "b.mrc")]
    for path in paths:
        write_micrograph(path, np.random.default_rng(0).normal(size=(200, 163)), 4.0)
    return paths


def test_picks_are_made_once_and_kept(two, tmp_path):
    (tmp_path / "fake.py").write_text(FAKE)
    how = View(4, 3)
    found = pick(f"{sys.executable} {tmp_path / 'fake.py'}", two, how, tmp_path / "out")
    again = pick("no/topaz", two, how, tmp_path / "out")
    for detector in DETECTORS:
        first = found[detector]["May08_03.05.02"]
        np.testing.assert_allclose(first.centres, [[80, 10 * 163 / 41], [20, 30 * 163 / 41]])
        np.testing.assert_array_equal(first.centres, again[detector]["May08_03.05.02"].centres)
        assert len(found[detector]["b"].centres) == 0
        assert [count(found[detector][path.stem]) for path in two] == [1, 0]
    assert program.made_with(tmp_path, ["out"])["out/s4"] == {
        "command": "topaz preprocess -d -1 -s 4 -o s4 'micrographs/*.mrc'", "versions": None
    }  # fmt: skip
    other = tmp_path / "mics" / "c.mrc"
    with pytest.raises(InputError, match="is of other micrographs, without c; remove"):
        pick("no/topaz", [other], how, tmp_path / "out")


def test_the_default_threshold_and_the_best(two):
    labels = np.array([[50.0, 50.0], [100.0, 100.0], [150.0, 50.0]])
    micrograph = LabelledMicrograph(two[0], labels)
    picks = np.array([[52.0, 50.0], [100.0, 105.0], [100.0, 20.0]])
    scores = np.array([2.0, -1.0, -3.0])
    picked = as_picked({micrograph.stem: Coordinates(picks, scores)}, [micrograph], radius=10)
    row = numbers(picked, [micrograph], 0)
    assert (row["picks"], row["truth"], row["precision"], row["recall"]) == (1, 3, 1, pytest.approx(1 / 3))
    assert (row["best_threshold"], row["best_f_measure"]) == (-1, pytest.approx(0.8))
    assert row["tight_f_measure"] == pytest.approx(0.5)
    assert row["tight_best_f_measure"] == pytest.approx(0.5)  # 5 px are more than 0.2 of 20
    assert row["thinned_best_f_measure"] == row["best_f_measure"]


def test_picks_are_thinned_by_our_own_distance():
    picks = np.array([[0.0, 0.0], [0.0, 11.0], [0.0, 23.0]])
    scores = np.array([1.0, 3.0, 2.0])
    fewer, radius = thinned(Candidates(picks, scores, scores, scores), 10.0)
    assert radius == 10
    np.testing.assert_array_equal(fewer.centres, [[0, 11], [0, 23]])  # 11 px are less than 0.6 of 20, 12 are not
    np.testing.assert_array_equal(fewer.figure_of_merit, [3, 2])


def test_parts_of_a_result_stand_beside_ours():
    ours = json.loads((program.HERE.parent / "real10017" / "result.json").read_text())
    row = {name: {"precision": 0.5, "f_measure": 0.25} for name in DETECTORS}
    text = tables({"entries": {"empiar10028": row, SEVEN: row}}, ours)
    assert "| empiar10028, resnet16 | 0.500 |  | 0.250 |" in text and "particle-free" not in text
    assert f"{SEVEN}, Topaz's published picks" in text
    for weights, part in ours["shipped"].items():
        best = part["entries"]["empiar10028 x1"]["best_f_measure"]
        (line,) = [line for line in text.splitlines() if line.startswith(f"| empiar10028, DRPnet {weights} |")]
        assert f" {best:.3f} " in line
    empty = [{"micrograph": one["micrograph"], **{d: one["picks"] for d in DETECTORS}} for one in part["empty"]]
    assert len(tables({"empty": empty}, ours).splitlines()) == 2 + 1 + 2 + len(empty) + 1


def test_picks_on_empty_pictures_are_added_up():
    counts = {"a": {"120": 1, "180": 2, "300": 3}, "b": {"120": 10, "180": 20, "300": 30}}
    lines = empty_lines({"resnet16": counts, "DRPnet": counts})
    assert lines[0].startswith("| particle-free picture | resnet16, 120 A | DRPnet, 120 A | resnet16, 180 A |")
    assert lines[2] == "| a | 1 | 1 | 2 | 2 | 3 | 3 |" and lines[-1] == "| all | 11 | 11 | 22 | 22 | 33 | 33 |"


def test_an_entry_is_added_to_the_result(two, tmp_path, monkeypatch):
    result = {"entries": {"empiar10059": 1}, "made_with": {"empiar10059/s2": 2}}
    monkeypatch.setattr(program, "entry", lambda *words: {words[-1]: "new"})
    program.add(result, "empiar10028", "topaz", tmp_path, tmp_path / "out")
    assert result == {"entries": {"empiar10059": 1, "empiar10028": "new"}, "made_with": {"empiar10059/s2": 2}}
