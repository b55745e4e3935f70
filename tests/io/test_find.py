import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drpnet.errors import InputError
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import write_micrograph
from drpnet.io.paths import tree_and_stem
from drpnet.io.picks import ParticleTable, write_particles_star
from drpnet.io.star import write_star

IMAGE = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if ".mrc" in name:
            write_micrograph(path, IMAGE, 1.77)
        else:
            path.touch()


def found(source):
    return [(str(entry.path), str(entry.tree), entry.stem) for entry in find_micrographs(str(source)).entries]


def test_folder_with_subfolders_in_sorted_order(project):
    make("m/b.mrc", "m/a.mrc", "m/grid2/a.mrc.gz", "m/.hidden/c.mrc", "m/.c.mrc", "m/notes.txt", "m/x.tif")
    assert found("m") == [
        ("m/a.mrc", ".", "a"),
        ("m/b.mrc", ".", "b"),
        ("m/grid2/a.mrc.gz", "grid2", "a"),
        ("m/x.tif", ".", "x"),
    ]
    assert [entry.name for entry in find_micrographs("m").entries] == [
        "m/a.mrc",
        "m/b.mrc",
        "m/grid2/a.mrc.gz",
        "m/x.tif",
    ]
    assert all(
        entry.pixel_size is None and entry.optics_group == 1 for entry in find_micrographs("m").entries
    )


def test_previews_count_only_where_there_is_nothing_else(project, caplog):
    make("m/a.mrc", "m/a.png", "m/overlays/b.jpg", "p/a.png", "p/b.jpeg")
    with caplog.at_level("INFO"):
        assert [stem for _, _, stem in found("m")] == ["a"]
    assert "m: 2 .png or .jpg beside the micrographs are taken for previews" in caplog.text
    assert [stem for _, _, stem in found("p")] == ["a", "b"]


def test_power_spectra_beside_their_micrograph_are_no_micrographs(project):
    make("m/a.mrc", "m/a_PS.mrc", "m/b_PS.mrc")
    assert [stem for _, _, stem in found("m")] == ["a", "b_PS"]


def test_linked_folders_are_followed_and_loops_end(project):
    make("disk/a.mrc")
    os.makedirs("m")
    os.symlink(project / "disk", "m/grid1")
    os.symlink(project / "m", "m/loop")
    assert found("m") == [("m/grid1/a.mrc", "grid1", "a")]


def test_glob_keeps_the_tree_below_its_fixed_part(project):
    make("m/g1/a.mrc", "m/g2/a.mrc", "m/g2/b.mrc", "m/g2/log.txt")
    assert found("m/*/a.mrc") == [("m/g1/a.mrc", "g1", "a"), ("m/g2/a.mrc", "g2", "a")]
    assert found(project / "m/g2/*") == [(str(project / f"m/g2/{s}.mrc"), ".", s) for s in "ab"]
    assert found("m/**/b.mrc") == [("m/g2/b.mrc", "g2", "b")]
    assert found("*/g1/a.mrc") == [("m/g1/a.mrc", "m/g1", "a")]


def test_one_file(project):
    make("m/a.b.mrc", "m/brackets[1].mrc")
    assert found("m/a.b.mrc") == [("m/a.b.mrc", ".", "a.b")]
    assert found("m/brackets[1].mrc") == [("m/brackets[1].mrc", ".", "brackets[1]")]


def test_relion_31_star(project):
    names = ["MotionCorr/job002/Movies/g1/a.mrc", "MotionCorr/job002/Movies/g2/a.mrc"]
    make(*names)
    optics = pd.DataFrame(
        {"rlnOpticsGroupName": ["one", "two"], "rlnOpticsGroup": [1, 2], "rlnMicrographPixelSize": [1.5, 2.0]}
    )
    table = pd.DataFrame(
        {
            "rlnMicrographName": names,
            "rlnOpticsGroup": [2, 1],
            "rlnDefocusU": [1e4, 2e4],
            "rlnDefocusV": [9e3, 8e3],
        }
    )
    write_star(Path("CtfFind/job003/micrographs_ctf.star"), {"optics": optics, "micrographs": table})
    listed = find_micrographs("CtfFind/job003/micrographs_ctf.star")
    assert [entry.name for entry in listed.entries] == names
    assert [str(entry.tree) for entry in listed.entries] == ["Movies/g1", "Movies/g2"]
    assert [entry.pixel_size for entry in listed.entries] == [2.0, 1.5]
    assert [entry.optics_group for entry in listed.entries] == [2, 1]
    assert listed.optics == optics.to_dict("list")
    assert listed.ctf == {
        names[0]: {"rlnDefocusU": 10000, "rlnDefocusV": 9000},
        names[1]: {"rlnDefocusU": 20000, "rlnDefocusV": 8000},
    }


def test_paths_of_a_star_from_its_own_folder_or_above(project, monkeypatch):
    make("proj/Micrographs/a.mrc", "proj/Import/job001/b.mrc")
    star = project / "proj/Import/job001/micrographs.star"
    write_star(star, {"": pd.DataFrame({"rlnMicrographName": ["Micrographs/a.mrc", "b.mrc"]})})
    monkeypatch.chdir(project.parent)
    entries = find_micrographs(str(star)).entries
    assert [entry.path.resolve() for entry in entries] == [
        project / "proj/Micrographs/a.mrc",
        project / "proj/Import/job001/b.mrc",
    ]
    assert [entry.name for entry in entries] == ["Micrographs/a.mrc", "b.mrc"]


def test_relion_30_star_gets_optics_groups(project):
    make("a.mrc", "b.mrc", "c.mrc")
    table = pd.DataFrame(
        {
            "rlnMicrographName": ["a.mrc", "b.mrc", "c.mrc"],
            "rlnVoltage": [300.0, 300.0, 200.0],
            "rlnSphericalAberration": 2.7,
            "rlnAmplitudeContrast": 0.1,
            "rlnMagnification": 28248.5875,
            "rlnDetectorPixelSize": 5.0,
        }
    )
    write_star(Path("micrographs.star"), {"": table})
    listed = find_micrographs("micrographs.star")
    assert [entry.optics_group for entry in listed.entries] == [1, 1, 2]
    assert [entry.pixel_size for entry in listed.entries] == [pytest.approx(1.77, abs=1e-5)] * 3
    assert listed.optics is not None
    assert listed.optics["rlnVoltage"] == [300, 200] and listed.optics["rlnOpticsGroup"] == [1, 2]
    assert "rlnMagnification" not in listed.optics


def test_what_a_star_gives_is_what_particles_need(project):
    make("a.mrc")
    optics = pd.DataFrame(
        {"rlnOpticsGroupName": ["g"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [1.5]}
    )
    table = pd.DataFrame({"rlnMicrographName": ["a.mrc"], "rlnOpticsGroup": [1], "rlnDefocusU": [1e4]})
    write_star(Path("micrographs.star"), {"optics": optics, "micrographs": table})
    listed = find_micrographs("micrographs.star")
    entry = listed.entries[0]
    picks = ParticleTable(entry.name, np.ones((2, 2)), np.ones(2), entry.optics_group, listed.ctf[entry.name])
    write_particles_star(Path("particles.star"), [picks], listed.optics)
    with pytest.raises(InputError, match="lists particles; give the micrographs"):
        find_micrographs("particles.star")


def star(columns, optics=None):
    blocks = {"micrographs": pd.DataFrame(columns)}
    write_star(Path("in.star"), blocks if optics is None else {"optics": pd.DataFrame(optics), **blocks})
    return "in.star"


@pytest.mark.parametrize(
    ("columns", "optics", "message"),
    [
        (
            {"rlnMicrographName": ["m/a.mrc", "m/no.mrc", "m/nor.mrc"]},
            None,
            "2 of 3 micrographs do not exist, first m/no.mrc",
        ),
        ({"rlnMicrographName": []}, None, "lists no micrographs"),
        ({"rlnVoltage": [300]}, None, "no column rlnMicrographName"),
        ({"rlnMicrographName": ["m/a.mrc"] * 2}, None, "both be picked into m/a_autopick.star"),
        ({"rlnMicrographName": ["m/log.txt"]}, None, "is no micrograph"),
        (
            {"rlnMicrographName": ["m/a.mrc"], "rlnOpticsGroup": [3]},
            {"rlnOpticsGroup": [1]},
            "optics group 3",
        ),
        (
            {"rlnMicrographName": ["m/a.mrc"]},
            {"rlnVoltage": [300]},
            "data_optics has no column rlnOpticsGroup",
        ),
        (
            {"rlnMicrographName": ["m/a.mrc"], "rlnOpticsGroup": [1]},
            {"rlnOpticsGroup": [1], "rlnMicrographPixelSize": [0.0]},
            "rlnMicrographPixelSize is 0",
        ),
        (
            {"rlnMicrographName": ["m/a.mrc"], "rlnOpticsGroup": ["one"]},
            {"rlnOpticsGroup": [1]},
            "rlnOpticsGroup is 'one' in row 1",
        ),
    ],
)
def test_stars_that_are_refused(project, columns, optics, message):
    make("m/a.mrc", "m/log.txt")
    with pytest.raises(InputError, match=message) as caught:
        find_micrographs(star(columns, optics))
    assert "in.star" in str(caught.value) or "log.txt" in str(caught.value)


def test_a_star_of_movies(project):
    write_star(Path("movies.star"), {"movies": pd.DataFrame({"rlnMicrographMovieName": ["a.tif"]})})
    with pytest.raises(InputError, match="motion-correct them first"):
        find_micrographs("movies.star")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none", "none does not exist; give a folder"),
        ("none.mrc", "does not exist"),
        ("none.star", "does not exist"),
        ("empty", "empty holds no micrographs"),
        ("m/*.tif", "matches no file"),
        ("m/*.txt", "matches 1 files but no micrograph"),
        ("m/log.txt", "is no micrograph"),
        ("twice", r"twice/a.mrc and twice/a.tif would both be picked into a_autopick.star"),
        ("quote", "quote"),
    ],
)
def test_sources_that_are_refused(project, source, message):
    os.makedirs("empty")
    make("m/a.mrc", "m/log.txt", "twice/a.mrc", "twice/a.tif", "quote/it's.mrc")
    with pytest.raises(InputError, match=message):
        find_micrographs(source)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mrc", (".", "a")),
        ("Micrographs/a.mrc", ("Micrographs", "a")),
        ("MotionCorr/job002/Micrographs/a.mrc", ("Micrographs", "a")),
        ("MotionCorr/job1234/a.mrc", (".", "a")),
        ("job002/a.mrc", ("job002", "a")),
        ("x/jobs/a.mrc", ("x/jobs", "a")),
        ("/data/x/a.b.mrc.gz", ("data/x", "a.b")),
        ("../x/a.mrc", ("x", "a")),
    ],
)
def test_tree_and_stem(name, expected):
    tree, stem = tree_and_stem(name)
    assert (str(tree), stem) == expected
