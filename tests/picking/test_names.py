"""Micrographs and folders with names that people and programs give: picked, cut, scored, reported, converted, or refused."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from drpnet.cli import app
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import write_micrograph
from drpnet.io.star import read_star

STRANGE = [
    "with space", "two  spaces ", "-rf", "--out", "100%", "%s%n", "a*b", "[x]?", "#1", "_rlnX", "data_", "loop_", "über µ",
    "名前", "<script>alert(1)<", "&amp;<b>", "$HOME", "${x}", "a;b|c", "a,b=c", "{z}", "~", "back\\slash",
]  # fmt: skip
REFUSED = {"it's": "quote", 'say "a"': "quote", "two\nlines": "line break", "cr\rhere": "line break"}


def drpnet(capsys, *arguments: object) -> tuple[int, str]:
    """Exit status and what went to standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        app([str(argument) for argument in arguments])
    return int(stop.value.code or 0), capsys.readouterr().err


def test_strange_names_go_all_the_way(pick, weights, tmp_path, capsys, monkeypatch):
    """Each as the name of a micrograph; the folder has one, too. STAR files hold them in double quotes where need be."""
    monkeypatch.chdir(tmp_path)
    rng, folder = np.random.default_rng(0), tmp_path / "my <b>mics</b> 100%"
    for stem in STRANGE:
        write_micrograph(folder / f"{stem}.mrc", rng.normal(100, 10, (120, 150)), 5.0)
    out = tmp_path / "my picks"
    assert pick(weights, folder, out, "--threshold", 0.5) == 0
    index = read_star(out / "autopick.star")["coordinate_files"]
    assert set(index["rlnMicrographName"]) == {str(folder / f"{stem}.mrc") for stem in STRANGE}
    particles = read_star(out / "particles.star")["particles"]
    assert set(particles["rlnMicrographName"]) == set(index["rlnMicrographName"])
    assert drpnet(capsys, "threshold", out, "--at", 0.4)[0] == 0
    assert set(read_coordinate_set(out)) == set(STRANGE)
    assert drpnet(capsys, "evaluate", out, out / "particles.star", "--radius-px", 5, "--json", tmp_path / "m %.json")[0] == 0
    page = tmp_path / "page.html"
    done = drpnet(capsys, "report", out, "--out", page, "--truth", out / "particles.star", "--radius-px", 5)
    assert done[0] == 0, done[1]
    text = page.read_text()
    assert "<script>alert" not in text and "Content-Security-Policy" in text and "<b>mics" not in text
    for to, name in (("star", "s 1"), ("csv", "c%"), ("box", "-b"), ("particles", "all é.star"), ("cs", "all x.cs")):
        words = ["convert", out / "particles.star", "--to", to, "--out", tmp_path / name, "--micrographs", folder]
        done = drpnet(capsys, *words, *(["--box-size", 20] if to == "box" else []))
        assert done[0] == 0, done[1]
        assert set(read_coordinate_set(tmp_path / name)) == set(STRANGE)


@pytest.mark.parametrize("stem", REFUSED)
def test_names_that_no_star_file_holds_are_refused(pick, weights, tmp_path, capsys, stem):
    write_micrograph(tmp_path / "mics" / f"{stem}.mrc", np.random.default_rng(0).normal(100, 10, (120, 150)), 5.0)
    assert pick(weights, tmp_path / "mics", tmp_path / "picks") == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("error: ") and "rename it" in told[-1] and REFUSED[stem] in told[-1]
    assert not (tmp_path / "picks" / "particles.star").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file cannot have such a name")
def test_a_name_that_is_no_text_is_refused(pick, weights, tmp_path, capsys):
    write_micrograph(tmp_path / "mics" / "a.mrc", np.random.default_rng(0).normal(100, 10, (120, 150)), 5.0)
    os.rename(os.fsencode(tmp_path / "mics" / "a.mrc"), os.fsencode(tmp_path / "mics") + b"/\xff\xfe.mrc")
    assert pick(weights, tmp_path / "mics", tmp_path / "picks") == 2
    assert "no UTF-8 text" in capsys.readouterr().err.splitlines()[-1]


def test_a_leading_dash_is_a_path_after_two_dashes(weights, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_micrograph(Path("-mics") / "-a.mrc", np.random.default_rng(0).normal(100, 10, (120, 150)), 5.0)
    options = ["pick", "--out", "-picks", "--diameter", 100, "--weights", weights, "--device", "cpu", "--", "-mics"]
    assert drpnet(capsys, *options)[0] == 0
    assert (tmp_path / "-picks" / "-a_autopick.star").is_file()
