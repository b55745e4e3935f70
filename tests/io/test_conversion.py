"""Coordinates through every format and back, as far as a format holds them; files of other programs."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.cli import app
from drpnet.convert import Options, convert
from drpnet.errors import InputError
from drpnet.io.coordinates import Coordinates, read_coordinates, read_micrograph_coordinates
from drpnet.io.formats import FORMATS
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import write_autopick_star
from drpnet.io.star import read_star, write_star

SHAPE = (300, 420)
BOX = 45
HALF = 0.5 + 1e-6
PRECISION = {"cs": 1e-4, "topaz": HALF, "box": HALF, "cryoppp": HALF}
"""Px that a way there and back may move a centre; float32 fractions, whole pixels, else nine digits."""
IMAGE = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
PLACES = ("one", "a/one", "a/two.v2", "b/one", "b/x-3_DW")

numbers = st.integers(0, 2400).map(lambda value: value / 8)
scores = st.floats(-3, 1, width=32).map(lambda value: round(value, 4))
picks = st.lists(st.tuples(numbers, numbers, scores), max_size=5)


@pytest.fixture(scope="module")
def mics(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "mics"
    for place in PLACES:
        write_micrograph(folder / f"{place}.mrc", IMAGE, 2.5)
    return folder


def target(folder: Path, to: str) -> Path:
    """Where a format goes: a file or a folder."""
    return folder / f"as{FORMATS[to].suffix}" if FORMATS[to].one_file else folder / to


def stars(folder: Path, found: dict[str, np.ndarray], scored: bool = True) -> Path:
    """A folder of RELION's files, one for each place with its rows x, y, score."""
    for place, rows in found.items():
        table = np.array(rows, dtype=float).reshape(-1, 3)
        write_autopick_star(folder / f"{place}_autopick.star", table[:, 1::-1], table[:, 2] if scored else None)
    return folder


def by_place(found) -> dict[str, Coordinates]:
    return {(entry.tree / entry.stem).as_posix(): entry.coordinates for entry in found}


def ends(place: str, found: dict[str, Coordinates]) -> Coordinates:
    """The coordinates of a place, whatever folders a file names before it."""
    (fitting,) = [found[key] for key in found if f"/{key}".endswith(f"/{place}")] or [Coordinates(np.empty((0, 2)))]
    return fitting


@pytest.mark.parametrize("to", FORMATS)
@settings(max_examples=12, deadline=None)
@given(found=st.dictionaries(st.sampled_from(PLACES[1:]), picks, min_size=1), scored=st.booleans())
def test_there_and_back(tmp_path_factory, mics, to, found, scored):
    """One micrograph's name stands in two folders; the tree and the scores come back, where there is a place for them."""
    folder = tmp_path_factory.mktemp("round")
    source, out, back = stars(folder / "source", found, scored), target(folder, to), folder / "back"
    options = Options(str(mics), box_size=BOX)
    done = convert(source, to, out, options)
    assert done.micrographs == len(found) and done.coordinates == sum(len(rows) for rows in found.values())
    if not done.coordinates and FORMATS[to].one_file:
        return  # a file of rows names no micrograph without one
    again = convert(out, "star", back, Options(str(mics), upside_down=to == "cryoppp"))
    assert again.coordinates == done.coordinates
    read = by_place(read_micrograph_coordinates(back))
    named = {place for place, rows in found.items() if rows or not FORMATS[to].one_file}
    assert set(read) == named
    for place in named:
        before, now = np.array(found[place], dtype=float).reshape(-1, 3), read[place]
        np.testing.assert_allclose(now.centres, before[:, 1::-1], atol=PRECISION.get(to, 1e-6))
        eman_1 = to == "box" and len(before) and (before[:, 2] < -0.5).all() and len(set(before[:, 2])) == 1
        if scored and FORMATS[to].scores and len(before) and not eman_1:
            np.testing.assert_allclose(now.scores, before[:, 2], atol=1e-6)
        elif len(before):
            assert now.scores is None
    lost = any("scores are lost" in note for note in done.notes)
    assert lost == (scored and not FORMATS[to].scores)


@pytest.mark.parametrize("to", FORMATS)
def test_the_same_input_gives_the_same_bytes_and_without_names_no_micrograph_is_guessed(tmp_path, mics, to):
    source = stars(tmp_path / "source", {"a/one": [(10, 20, 0.5)], "b/one": [(30.25, 40, 0.25)]})
    for name in ("first", "second"):
        convert(source, to, target(tmp_path / name, to), Options(str(mics), box_size=BOX))
    files = {
        name: {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("first", "second")
    }
    one, two = ({k: v for k, v in files[name].items() if k.name != "autopick.star"} for name in files)
    assert one == two and len(one) == (1 if FORMATS[to].one_file else 2)
    if FORMATS[to].names or FORMATS[to].shapes:
        with pytest.raises(InputError, match=r"a/one.*--micrographs"):
            convert(source, to, target(tmp_path / "third", to), Options(box_size=BOX))
        assert not (tmp_path / "third").exists()
    else:
        done = convert(source, to, target(tmp_path / "third", to), Options(box_size=BOX))
        assert done.coordinates == 2


def test_what_goes_wrong_leaves_nothing_behind(tmp_path, mics):
    source = stars(tmp_path / "source", {"a/one": [(1, 2, 0.5)]})
    (tmp_path / "source" / "a" / "two_autopick.star").write_text("data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1\n")
    before = sorted(tmp_path.rglob("*"))
    for to in FORMATS:
        with pytest.raises(InputError, match="cut short"):
            convert(source, to, target(tmp_path, to), Options(str(mics), box_size=BOX))
    (tmp_path / "source" / "a" / "two_autopick.star").unlink()
    write_autopick_star(tmp_path / "source" / "a" / "none_autopick.star", np.ones((1, 2)), None)
    for to in FORMATS:
        with pytest.raises(InputError, match="none is none of the micrographs given"):
            convert(source, to, target(tmp_path, to), Options(str(mics), box_size=BOX))
    (tmp_path / "source" / "a" / "none_autopick.star").rename(tmp_path / "source" / "a" / "two_autopick.star")
    assert sorted(tmp_path.rglob("*")) == before


def test_users_mistakes(tmp_path, mics):
    source = stars(tmp_path / "source", {"a/one": [(1, 2, 0.5)]})
    for to, out, options, said in (
        ("sta", "x", Options(), "--to is 'sta'; use star, particles"),
        ("box", "x", Options(), "give --box-size"),
        ("box", "x", Options(box_size=-3), "--box-size is -3"),
        ("csv", "source", Options(), "source is not empty"),
        ("cs", "source", Options(str(mics)), r"is a folder.*name it: .*all\.cs"),
        ("cs", "x.npy", Options(str(mics)), r"must end with \.cs"),
        ("csv", "x", Options(upside_down=True), "y is turned.*--micrographs"),
    ):
        with pytest.raises(InputError, match=said):
            convert(source, to, tmp_path / out, options)
    convert(source, "particles", tmp_path / "p.star", Options(str(mics)))
    with pytest.raises(InputError, match="is the file that is read"):
        convert(tmp_path / "p.star", "particles30", tmp_path / "p.star", Options(str(mics)))
    with pytest.raises(InputError, match=r"p\.star is a file.*need a folder"):
        convert(source, "csv", tmp_path / "p.star")


def test_the_console_says_what_is_lost_and_what_looks_wrong(tmp_path, mics, capsys):
    source = stars(tmp_path / "source", {"a/one": [(10.5, 20, 0.5)], "b/one": [(10, 500, 0.25)]})
    words = ["convert", source, "--to", "cryoppp", "--out", tmp_path / "out", "--micrographs", mics, "--diameter-px", 40]
    with pytest.raises(SystemExit) as stop:
        app([str(word) for word in words])
    said = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and "scores are lost" in said and "rounded" in said
    assert "1 of 2 micrographs, such as" in said and "outside" in said and "3 micrographs, such as" in said
    assert "2 coordinates of 2 micrographs" in said
    assert (tmp_path / "out" / "a" / "one.csv").read_text() == "X-Coordinate,Y-Coordinate,Diameter\n11,279,40\n"


def test_refined_offsets_of_every_version_move_the_centre(tmp_path, mics):
    """A particles .star of 3.1 with offsets in Angstrom, and one of 3.0 with offsets in pixels, give the same."""
    names = {"rlnMicrographName": ["mics/a/one.mrc"] * 2, "rlnCoordinateX": [100.0, 50.0], "rlnCoordinateY": [60.0, 70.0]}
    optics = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["g"], "rlnMicrographPixelSize": [2.5]}
    new = {**names, "rlnOriginXAngst": [5.0, 0.0], "rlnOriginYAngst": [-2.5, 0.0], "rlnOpticsGroup": [1, 1]}
    write_star(tmp_path / "31.star", {"optics": optics, "particles": new})
    write_star(tmp_path / "30.star", {"": {**names, "rlnOriginX": [2.0, 0.0], "rlnOriginY": [-1.0, 0.0]}})
    for version in ("31", "30"):
        convert(tmp_path / f"{version}.star", "csv", tmp_path / version)
        found = read_coordinates(tmp_path / version / "mics" / "a" / "one.csv")
        np.testing.assert_allclose(found.centres, [[61, 98], [70, 50]])


def micrographs_star(folder: Path, mics: Path) -> Path:
    optics = {
        "rlnOpticsGroupName": ["g1", "g2"], "rlnOpticsGroup": [1, 2], "rlnMicrographPixelSize": [2.5, 2.5],
        "rlnVoltage": [300.0, 200.0], "rlnSphericalAberration": [2.7, 2.7], "rlnAmplitudeContrast": [0.1, 0.07],
    }  # fmt: skip
    table = {
        "rlnMicrographName": [f"{mics}/{place}.mrc" for place in PLACES], "rlnOpticsGroup": [1, 1, 2, 2, 1],
        "rlnDefocusU": [1e4, 1.1e4, 1.2e4, 1.3e4, 1.4e4],
    }  # fmt: skip
    write_star(folder / "micrographs_ctf.star", {"optics": optics, "micrographs": table})
    return folder / "micrographs_ctf.star"


def test_optics_and_ctf_come_from_the_micrographs_star(tmp_path, mics):
    star = micrographs_star(tmp_path, mics)
    source = stars(tmp_path / "source", {"a/two.v2": [(10, 20, 0.5)], "a/one": [(30, 40, 0.25)]})
    done = convert(source, "particles", tmp_path / "p.star", Options(str(star)))
    assert not any("optics groups" in note for note in done.notes)
    blocks = read_star(tmp_path / "p.star")
    assert blocks["optics"]["rlnVoltage"].tolist() == [300, 200]
    rows = blocks["particles"].set_index("rlnMicrographName")
    assert rows.loc[f"{mics}/a/two.v2.mrc", ["rlnOpticsGroup", "rlnDefocusU"]].tolist() == [2, 12000]
    assert rows.loc[f"{mics}/a/one.mrc", ["rlnOpticsGroup", "rlnDefocusU"]].tolist() == [1, 11000]
    convert(tmp_path / "p.star", "particles30", tmp_path / "old.star", Options(str(star)))
    (old,) = read_star(tmp_path / "old.star").values()
    old = old.set_index("rlnMicrographName")
    row = old.loc[f"{mics}/a/two.v2.mrc"]
    assert (row["rlnVoltage"], row["rlnAmplitudeContrast"], row["rlnDefocusU"]) == (200, 0.07, 12000)
    assert row["rlnDetectorPixelSize"] * 1e4 / row["rlnMagnification"] == 2.5 and "rlnOpticsGroup" not in old
    convert(source, "star", tmp_path / "stars", Options(str(star)))
    index = read_star(tmp_path / "stars" / "autopick.star")["coordinate_files"]
    assert [Path(path).is_file() for path in index["rlnMicrographCoordinates"]] == [True, True]
    assert (tmp_path / "stars" / "coords_suffix_autopick.star").read_text() == f"{star}\n"


def test_cryosparc_tools_reads_what_is_written_and_writes_what_is_read(tmp_path, mics):
    """Structura's own library: the same numbers, strings and types both ways; the file holds no pickle."""
    dataset = pytest.importorskip("cryosparc.dataset", reason="cryosparc-tools is not installed").Dataset
    source = stars(tmp_path / "source", {"a/one": [(10.5, 30, 0.5)], "b/one": [(42, 75, 0.25), (1, 2, 0.75)]})
    convert(source, "cs", tmp_path / "p.cs", Options(str(mics), pixel_size=2.5))
    found = dataset.load(tmp_path / "p.cs")
    assert found["location/micrograph_path"].tolist() == [f"{mics}/{name}.mrc" for name in ("a/one", "b/one", "b/one")]
    assert found["location/micrograph_shape"].tolist() == [list(SHAPE)] * 3
    np.testing.assert_allclose(found["location/center_x_frac"], [10.5 / 420, 42 / 420, 1 / 420], rtol=1e-6)
    np.testing.assert_allclose(found["location/center_y_frac"], [0.9, 0.75, 1 - 2 / 300], rtol=1e-6)
    assert found["pick_stats/ncc_score"].tolist() == [0.5, 0.25, 0.75]
    assert found["location/micrograph_psize_A"].tolist() == [2.5] * 3
    assert len(set(found["uid"].tolist())) == 3 and len(set(found["location/micrograph_uid"].tolist())) == 2
    assert np.load(tmp_path / "p.cs", allow_pickle=False).dtype.hasobject is False
    found.save(tmp_path / "theirs.cs")
    done = convert(tmp_path / "theirs.cs", "particles", tmp_path / "theirs.star")
    assert any("without cryoSPARC's number" in note for note in done.notes)
    convert(tmp_path / "theirs.cs", "star", tmp_path / "back", Options(str(mics)))
    for place, rows in by_place(read_micrograph_coordinates(source)).items():
        now = by_place(read_micrograph_coordinates(tmp_path / "back"))[place]
        np.testing.assert_allclose(now.centres, rows.centres, atol=1e-4)
        np.testing.assert_array_equal(now.scores, rows.scores)


def test_exposures_of_cryosparc_give_their_sizes_and_numbers(tmp_path, mics):
    dataset = pytest.importorskip("cryosparc.dataset", reason="cryosparc-tools is not installed").Dataset
    exposures = dataset.allocate(
        2,
        [
            ("micrograph_blob/path", "O"), ("micrograph_blob/shape", "u4", (2,)), ("micrograph_blob/psize_A", "f4"),
        ],
    )  # fmt: skip
    exposures["micrograph_blob/path"] = [f"J1/imported/0123456789012345678{n}_{name}.mrc" for n, name in enumerate("xy")]
    exposures["micrograph_blob/shape"] = [SHAPE, (100, 200)]
    exposures["micrograph_blob/psize_A"] = [2.5, 2.5]
    exposures.save(tmp_path / "mics.cs")
    source = stars(tmp_path / "source", {"y": [(50, 25, 0.5)]})
    convert(source, "cs", tmp_path / "p.cs", Options(str(tmp_path / "mics.cs")))
    (row,) = np.load(tmp_path / "p.cs", allow_pickle=False)
    assert row["location/micrograph_uid"] == exposures["uid"][1]
    assert row["location/micrograph_path"] == b"J1/imported/01234567890123456781_y.mrc"
    assert row["location/micrograph_shape"].tolist() == [100, 200] and row["location/micrograph_psize_A"] == 2.5
    assert (row["location/center_x_frac"], row["location/center_y_frac"]) == (0.25, 0.75)
    pickled = np.array([("J1/a.mrc", 1)], dtype=[("micrograph_blob/path", "O"), ("uid", "u8")])
    with (tmp_path / "old.cs").open("wb") as file:
        np.save(file, pickled, allow_pickle=True)
    with pytest.raises(InputError, match=r"old\.cs cannot be read"):
        convert(source, "cs", tmp_path / "q.cs", Options(str(tmp_path / "old.cs")))


def test_starfile_reads_the_cbox_and_the_stars(tmp_path, mics):
    """An independent reader: columns, types, and the corner of a box of odd size."""
    import starfile

    source = stars(tmp_path / "source", {"a/one": [(10.5, 30, 0.5)], "a/two.v2": []})
    convert(source, "cbox", tmp_path / "cbox", Options(box_size=BOX))
    blocks = starfile.read(tmp_path / "cbox" / "a" / "one.cbox", always_dict=True)
    (row,) = blocks["cryolo"].to_dict("records")
    corner = row["CoordinateX"], row["CoordinateY"], row["Width"], row["Height"], row["Confidence"]
    assert corner == (10.5 - 22.5, 30 - 22.5, 45, 45, 0.5) and np.isnan(row["CoordinateZ"])
    assert float(blocks["global"]["cbox_format_version"]) == 1.0
    convert(source, "box", tmp_path / "box", Options(box_size=BOX))
    assert (tmp_path / "box" / "a" / "one.box").read_text() == "-11\t8\t45\t45\t0.5\n"  # 10.5 -> 11, 11 - 22
    assert (tmp_path / "box" / "a" / "two.v2.box").read_text() == ""
    convert(source, "topaz", tmp_path / "t.txt")
    assert (tmp_path / "t.txt").read_text() == "image_name\tx_coord\ty_coord\tscore\none\t11\t30\t0.5\n"


@pytest.mark.real
@pytest.mark.parametrize("tool", ["crYOLO", "topaz", "deepPicker"])
def test_boxes_of_real_pickers_come_back_unchanged(shared_real, tmp_path, tool):
    source = shared_real / "empiar10017" / "peers" / tool
    convert(source, "star", tmp_path / "star")
    convert(tmp_path / "star", "box", tmp_path / "box", Options(box_size=180))
    paths = sorted(source.glob("*.box"))
    assert len(paths) == 7
    for path in paths:
        theirs, ours = (np.loadtxt(p, ndmin=2) for p in (path, tmp_path / "box" / path.name))
        np.testing.assert_array_equal(ours[:, :4], theirs[:, :4])
        np.testing.assert_allclose(ours[:, 4], theirs[:, 4], rtol=1e-8)


@pytest.mark.real
def test_cryoppp_and_cryosparc_agree_on_a_real_micrograph(shared_real, tmp_path):
    """The published .csv, through RELION's frame and a .cs, comes back to the same whole pixels."""
    source = shared_real / "empiar10017"
    stem = next((source / "cryoppp").glob("*.csv")).stem
    options = Options(str(source / "images" / f"{stem}.jpg"), diameter_px=108)
    convert(source / "cryoppp", "star", tmp_path / "star", Options(options.micrographs, upside_down=True))
    convert(tmp_path / "star", "cs", tmp_path / "p.cs", options)
    convert(tmp_path / "p.cs", "cryoppp", tmp_path / "csv", options)
    (path,) = tmp_path.glob("csv/**/*.csv")
    theirs = (source / "cryoppp" / f"{stem}.csv").read_text().split()
    assert path.read_text().split() == theirs and len(theirs) > 100
