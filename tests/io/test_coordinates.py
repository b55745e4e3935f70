import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set, read_coordinates, read_empiar10005, upside_down
from drpnet.io.picks import Candidates, write_autopick_index, write_autopick_star, write_candidates_star
from drpnet.io.star import write_star

XY = np.array([[10.0, 20.0], [30.5, 40.25]])
YX = XY[:, ::-1]
points = npst.arrays(
    np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.integers(0, 80000).map(lambda v: v / 8)
)


def written(folder, name, text):
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def star_table(path, columns, optics=None):
    blocks = {"particles" if optics else "": pd.DataFrame(columns)}
    write_star(path, {"optics": pd.DataFrame(optics), **blocks} if optics else blocks)
    return path


def cbox(rows, columns="CoordinateX CoordinateY CoordinateZ Width Height Depth EstWidth EstHeight Confidence NumBoxes"):
    """A .cbox as crYOLO 1.8 writes it."""
    loop = "".join(f"_{name} #{number}\n" for number, name in enumerate(columns.split(), 1))
    include = "data_cryolo_include\n\nloop_\n_slice_index #1\n\n"
    return f"\ndata_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n{loop}{rows}\n\n{include}"


def cs(path, x, y, shapes, paths=None, **more):
    """A .cs with the locations of a picking job."""
    fields = [
        ("uid", "<u8"),
        ("location/micrograph_shape", "<u4", (2,)),
        ("location/center_x_frac", "<f4"),
        ("location/center_y_frac", "<f4"),
        *([("location/micrograph_path", "S120")] if paths else []),
        *((name, "<f4") for name in more),
    ]
    table = np.zeros(len(x), dtype=fields)
    table["location/micrograph_shape"] = shapes
    table["location/center_x_frac"], table["location/center_y_frac"] = x, y
    if paths:
        table["location/micrograph_path"] = paths
    for name, values in more.items():
        table[name] = values
    with path.open("wb") as file:
        np.save(file, table)
    return path


def xy(**more):
    return {"rlnCoordinateX": XY[:, 0], "rlnCoordinateY": XY[:, 1], **more}


@settings(max_examples=30, deadline=None)
@given(centres=points, box=st.integers(1, 400))
def test_every_format_says_the_same(tmp_path_factory, centres, box):
    folder = tmp_path_factory.mktemp("formats")
    whole = np.floor(centres)
    write_autopick_star(folder / "a.star", centres, np.zeros(len(centres)))
    rows = [f"{x} {y}" for y, x in centres]
    written(folder, "a.coord", "\n".join(rows))
    written(folder, "b.coord", "\n".join(["CoordX CoordY", *rows]))
    written(folder, "a.csv", "\n".join(["x,y", *(row.replace(" ", ",") for row in rows)]))
    corners = [f"{x - box // 2:.0f}\t{y - box // 2:.0f}\t{box}\t{box}" for y, x in whole]
    written(folder, "a.box", "\n".join(corners))
    for name in ("a.star", "a.coord", "b.coord", "a.csv"):
        found = read_coordinates(folder / name).centres
        np.testing.assert_array_equal(found, centres)
        assert found.dtype == np.float64 and found.shape == centres.shape
    np.testing.assert_array_equal(read_coordinates(folder / "a.box").centres, whole)


@pytest.mark.parametrize(("size", "centre"), [(180, 190.0), (181, 190.0), (1, 100.0), (2, 101.0)])
def test_box_centre_is_corner_plus_half_the_size(tmp_path, size, centre):
    found = read_coordinates(written(tmp_path, "a.box", f"100 {100 + 7} {size} {size} 0.5\n"))
    np.testing.assert_array_equal(found.centres, [[centre + 7, centre]])
    np.testing.assert_array_equal(found.scores, [0.5])


def test_box_of_eman_1_has_a_flag_and_no_score(tmp_path):
    assert read_coordinates(written(tmp_path, "a.box", "1 2 8 8 -3\n5 6 8 8 -3\n")).scores is None
    assert read_coordinates(written(tmp_path, "a.box", "1 2 8 8 -3.5\n5 6 8 8 2\n")).scores is not None


@pytest.mark.parametrize("block", ["", "particles", "coordinates"])
def test_star_blocks_and_scores(tmp_path, block):
    write_star(tmp_path / "a.star", {block: pd.DataFrame(xy(rlnAutopickFigureOfMerit=[0.5, -1.0]))})
    found = read_coordinates(tmp_path / "a.star")
    np.testing.assert_array_equal(found.centres, YX)
    np.testing.assert_array_equal(found.scores, [0.5, -1.0])


@pytest.mark.parametrize("merit", [[-999.0, -999.0], [np.nan, 1.0], ["a", "b"]])
def test_scores_that_say_nothing(tmp_path, merit):
    assert (
        read_coordinates(star_table(tmp_path / "a.star", xy(rlnAutopickFigureOfMerit=merit))).scores is None
    )


@pytest.mark.parametrize(
    ("pixel_size", "label"), [(2.0, "rlnMicrographPixelSize"), (4.0, "rlnImagePixelSize")]
)
def test_refined_offsets_are_subtracted(tmp_path, pixel_size, label):
    columns = xy(rlnOriginXAngst=[8.0, -4.0], rlnOriginYAngst=[0.0, 2.0], rlnOpticsGroup=[2, 2])
    path = star_table(tmp_path / "a.star", columns, {"rlnOpticsGroup": [1, 2], label: [99.0, pixel_size]})
    expected = YX - np.array([[0.0, 8.0], [2.0, -4.0]]) / pixel_size
    np.testing.assert_array_equal(read_coordinates(path).centres, expected)


def test_micrograph_pixel_size_goes_before_that_of_binned_images(tmp_path):
    columns = xy(rlnOriginXAngst=[8.0, 8.0], rlnOriginYAngst=[0.0, 0.0], rlnOpticsGroup=[1, 1])
    optics = {"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnMicrographPixelSize": [1.0]}
    np.testing.assert_array_equal(
        read_coordinates(star_table(tmp_path / "a.star", columns, optics)).centres, YX - [0, 8]
    )


def test_offsets_of_relion_30_are_pixels(tmp_path):
    path = star_table(tmp_path / "a.star", xy(rlnOriginX=[1.0, 2.0], rlnOriginY=[0.5, 0.0]))
    np.testing.assert_array_equal(read_coordinates(path).centres, YX - [[0.5, 1.0], [0.0, 2.0]])


def test_offsets_without_a_pixel_size(tmp_path):
    path = star_table(tmp_path / "a.star", xy(rlnOriginXAngst=[1.0, 2.0], rlnOriginYAngst=[0.5, 0.0]))
    with pytest.raises(InputError, match="add rlnMicrographPixelSize"):
        read_coordinates(path)


@pytest.mark.parametrize("header", ["X-Coordinate,Y-Coordinate,Diameter", "x,y,diameter", " X , Y ,d"])
def test_csv_headers(tmp_path, header):
    found = read_coordinates(written(tmp_path, "a.csv", f"{header}\n10,20,108\n30.5,40.25,108\n"))
    np.testing.assert_array_equal(found.centres, YX)
    assert found.scores is None


def test_csv_columns_in_another_order_with_scores(tmp_path):
    found = read_coordinates(
        written(tmp_path, "a.csv", "\ufeffscore,y,name,x\n0.5,20,a b,10\n0.25,40.25,,30.5\n")
    )
    np.testing.assert_array_equal(found.centres, YX)
    np.testing.assert_array_equal(found.scores, [0.5, 0.25])


@pytest.mark.parametrize("name", ["a.box", "a.coord", "a.txt"])
def test_an_empty_list_is_valid(tmp_path, name):
    assert read_coordinates(written(tmp_path, name, "\n")).centres.shape == (0, 2)


def test_an_empty_csv_and_star_have_their_header(tmp_path):
    assert read_coordinates(written(tmp_path, "a.csv", "x,y\n")).centres.shape == (0, 2)
    path = written(tmp_path, "a.star", "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n")
    assert read_coordinates(path).centres.shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.star", "", "is empty"),
        ("a.star", "garbage\n", "not a STAR file"),
        (
            "a.star",
            "data_\nloop_\n_rlnMicrographName #1\na.mrc\n",
            "no columns rlnCoordinateX and rlnCoordinateY",
        ),
        (
            "a.star",
            "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3\n",
            "line 6: 1 values for 2",
        ),
        ("a.star", "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 two\n", "'two' in row 1"),
        ("a.star", "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 nan\n", "nan.* in row 1"),
        ("a.box", "1 2 3\n", "line 1.*at least 4"),
        ("a.box", "1 2 8 8\n1 2 8\n", "line 2"),
        ("a.box", "1 2 0 0\n", "without a size"),
        ("a.box", "x y w h\n", "no row of numbers"),
        ("a.csv", "", "is empty"),
        ("a.csv", "1,2\n3,4\n", "name them x,y"),
        ("a.csv", "x,y\n1\n", "line 2: '1' does not fit"),
        ("a.csv", "x,y\n1,two\n", "line 2"),
        ("a.csv", "x,y\n1,\n", "line 2"),
        ("a.txt", "1\n", "line 1"),
        ("a.txt", "x y\n1 2\nthree 4\n", "line 3"),
        ("a.txt", "1 inf\n2 2\n", "line 1"),
        ("a.json", "{}", "no coordinate file"),
        ("a.cbox", "data_global\n\n_cbox_format_version 1.0\n", "no table data_cryolo"),
        ("a.cbox", cbox("1 2 <NA> 8", "CoordinateX CoordinateY CoordinateZ Width"), "no table data_cryolo with"),
        ("a.cbox", cbox("10 20 7.0 8 8 1 nan nan 0.5 nan"), "picks of a tomogram"),
        ("a.cbox", cbox("10 two <NA> 8 8 1 nan nan 0.5 nan"), "CoordinateY is 'two' in row 1"),
        ("a.cbox", "1 2 0 0\n", "without a size"),
        ("a.cs", "x y\n", "no structured numpy array"),
    ],
)
def test_refused(tmp_path, name, text, message):
    path = written(tmp_path, name, text)
    with pytest.raises(InputError, match=message) as caught:
        read_coordinates(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.star", "a.box", "a.cbox", "a.csv", "a.txt"])
def test_missing_and_binary(tmp_path, name):
    with pytest.raises(InputError, match="does not exist|cannot be read"):
        read_coordinates(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x00\xff\xfe" * 100)
    with pytest.raises(InputError, match="not text"):
        read_coordinates(tmp_path / name)


def test_one_micrograph_is_asked_and_several_are_there(tmp_path):
    path = star_table(tmp_path / "a.star", xy(rlnMicrographName=["a.mrc", "b.mrc"]))
    with pytest.raises(InputError, match="several micrographs"):
        read_coordinates(path)


def test_coordinates_of_another_micrograph(tmp_path):
    path = star_table(tmp_path / "a.star", xy())
    assert len(read_coordinates(path, micrograph_shape=(41, 31)).centres) == 2
    for shape in ((40, 31), (41, 30), (15, 15)):
        with pytest.raises(InputError, match="belong to another micrograph"):
            read_coordinates(path, micrograph_shape=shape)


def test_empiar10005_is_flipped_and_unbinned(tmp_path):
    path = written(tmp_path, "coordinate_a_bin3.dat", "1 7 0 1236\n2 7 10 0\n3 7 100 1136\n")
    # binned rows 0, 1236 and 100; the middle pixel of three unbinned ones
    np.testing.assert_array_equal(read_empiar10005(path).centres, [[1, 1], [3709, 31], [301, 301]])
    np.testing.assert_array_equal(read_empiar10005(path, binned_height=1240).centres[:, 0], [10, 3718, 310])


@pytest.mark.parametrize("text", ["1 2 3\n", "a b c d\n", "1 1 5 3000\n", "1 1 5 -4\n", "1 1 -9 5\n"])
def test_empiar10005_refused(tmp_path, text):
    with pytest.raises(InputError, match="coordinate_a_bin3.dat"):
        read_empiar10005(written(tmp_path, "coordinate_a_bin3.dat", text))


def test_empiar10005_is_known_by_its_name(tmp_path):
    """Both releases lie in folders of such files; the set is keyed by the micrographs' stems."""
    stem = "stack_0002_2x_SumCorr"
    for release, row in (("TRPV1_coords_88915", "1 7 0 1236\n9 9 10 0\n"), ("TRPV1_coords_35645", "1 7 0 1236\n")):
        path = written(tmp_path, f"{release}/coordinate_{stem}_bin3.dat", row)
        written(tmp_path, f"{release}/readme.txt", "what these are\n")
        found = read_coordinate_set(tmp_path / release)
        assert list(found) == [stem]
        np.testing.assert_array_equal(found[stem].centres, read_empiar10005(path).centres)
        np.testing.assert_array_equal(found[stem].centres, read_coordinates(path).centres)
        assert len(found[stem].centres) == row.count("\n")
    with pytest.raises(InputError, match="no coordinate file"):
        read_coordinates(written(tmp_path, "something.dat", "1 2 3 4\n"))


def test_upside_down_counts_from_the_other_edge_and_keeps_scores(tmp_path):
    path = written(tmp_path, "a.csv", "x,y,score\n3,0,0.5\n4,99,0.25\n")
    found = upside_down(read_coordinates(path), 100)
    np.testing.assert_array_equal(found.centres, [[99, 3], [0, 4]])
    np.testing.assert_array_equal(found.scores, [0.5, 0.25])
    np.testing.assert_array_equal(upside_down(found, 100).centres, read_coordinates(path).centres)


def test_cbox_is_a_corner_with_confidence(tmp_path):
    rows = "100 50.5 <NA> 181 20 1.0 170 168 0.75 nan\n-90 -90 <NA> 180 180 1.0 nan nan 0.125 nan"
    found = read_coordinates(written(tmp_path, "a.cbox", cbox(rows)))
    np.testing.assert_array_equal(found.centres, [[60.5, 190.5], [0, 0]])
    np.testing.assert_array_equal(found.scores, [0.75, 0.125])


def test_cbox_before_crYOLO_1_8_is_rows(tmp_path):
    found = read_coordinates(written(tmp_path, "a.cbox", "100\t50\t180\t180\t0.75\t170\t168\n"))
    np.testing.assert_array_equal(found.centres, [[140, 190]])
    np.testing.assert_array_equal(found.scores, [0.75])


def test_cbox_without_picks_or_confidence(tmp_path):
    found = read_coordinates(written(tmp_path, "a.cbox", cbox("")))
    assert found.centres.shape == (0, 2) and found.scores is not None and found.scores.shape == (0,)
    columns = "CoordinateX CoordinateY Width Height"
    assert read_coordinates(written(tmp_path, "b.cbox", cbox("1 2 8 8", columns))).scores is None
    assert list(read_coordinate_set(tmp_path)) == ["a", "b"]


def test_cs_counts_y_upwards_in_fractions_of_each_micrograph(tmp_path):
    score = {"pick_stats/ncc_score": [0.5, 0.25]}
    path = cs(tmp_path / "picks.cs", [0.25, 0.5], [0.0, 0.75], [[100, 200], [100, 200]], **score)
    found = read_coordinates(path, micrograph_shape=(101, 200))
    np.testing.assert_array_equal(found.centres, [[100, 50], [25, 100]])
    np.testing.assert_array_equal(found.scores, [0.5, 0.25])
    assert read_coordinates(cs(path, [0.25], [0.5], [[10, 10]])).scores is None


def test_cs_of_several_micrographs_is_split_and_loses_the_unique_numbers(tmp_path):
    paths = ["J2/imported/012345678901234567890_a.mrc", ">J2/imported/112345678901234567890_2_b.mrc"]
    path = cs(tmp_path / "p.cs", [0.5, 0.5, 0], [0.5, 0.5, 1], [[10, 20], [30, 40], [10, 20]], [*paths, paths[0]])
    found = read_coordinate_set(path)
    assert list(found) == ["a", "2_b"]
    np.testing.assert_array_equal(found["a"].centres, [[5, 10], [0, 0]])
    np.testing.assert_array_equal(found["2_b"].centres, [[15, 20]])
    with pytest.raises(InputError, match="several micrographs"):
        read_coordinates(path)


def test_cs_refused(tmp_path):
    path = tmp_path / "a.cs"
    with pytest.raises(InputError, match="row 2 has no location"):
        read_coordinates(cs(path, [0.5, 0.5], [0.5, 0.5], [[9, 9], [0, 0]]))
    with pytest.raises(InputError, match="row 1 has no location"):
        read_coordinates(cs(path, [np.nan], [0.5], [[9, 9]]))
    np.save(path.open("wb"), np.zeros(3, dtype=[("uid", "<u8"), ("blob/path", "S9")]))
    with pytest.raises(InputError, match="has no location/center_x_frac; give the .cs of a picking"):
        read_coordinates(path)
    np.save(path.open("wb"), np.zeros((3, 2)))
    with pytest.raises(InputError, match="has no location/center_x_frac"):
        read_coordinates(path)
    np.save(path.open("wb"), np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="a.cs cannot be read .*cryoSPARC exports"):
        read_coordinates(path)
    with pytest.raises(InputError, match="a.cs cannot be read"):
        read_coordinates(tmp_path / "gone" / "a.cs")


class TestSets:
    def test_particles_star_is_split_by_micrograph(self, tmp_path):
        names = ["MotionCorr/job002/m/a.mrc", "MotionCorr/job002/m/001.mrc"]
        path = star_table(
            tmp_path / "p.star", xy(rlnMicrographName=names, rlnAutopickFigureOfMerit=[1.0, 2.0])
        )
        found = read_coordinate_set(path)
        assert list(found) == ["a", "001"] or sorted(found) == ["001", "a"]
        np.testing.assert_array_equal(found["001"].centres, YX[1:])
        np.testing.assert_array_equal(found["001"].scores, [2.0])

    def test_offsets_hold_in_a_set_too(self, tmp_path):
        columns = xy(
            rlnMicrographName=["a.mrc", "b.mrc"], rlnOriginXAngst=[2.0, 4.0], rlnOriginYAngst=[0.0, 0.0]
        )
        path = star_table(tmp_path / "p.star", columns, {"rlnOpticsGroup": [1], "rlnImagePixelSize": [2.0]})
        found = read_coordinate_set(path)
        np.testing.assert_array_equal(found["b"].centres, YX[1:] - [[0, 2]])

    def test_same_stem_in_two_folders(self, tmp_path):
        names = ["g1/a.mrc", "g2/a.mrc"]
        assert sorted(read_coordinate_set(star_table(tmp_path / "p.star", xy(rlnMicrographName=names)))) == [
            "g1/a",
            "g2/a",
        ]
        for name in ("d/g1/a.box", "d/g2/a.box", "d/g2/b.box"):
            written(tmp_path, name, "1 2 8 8\n")
        assert sorted(read_coordinate_set(tmp_path / "d")) == ["b", "g1/a", "g2/a"]

    def test_our_own_pick_folder(self, tmp_path):
        merit = np.ones(2)
        for stem in "ab":
            write_autopick_star(tmp_path / "m" / f"{stem}_autopick.star", YX, merit)
            more = Candidates(np.ones((5, 2)), *np.ones((3, 5)))
            write_candidates_star(tmp_path / "candidates" / "m" / f"{stem}_candidates.star", more)
        write_autopick_star(tmp_path / "m" / "none_autopick.star", np.empty((0, 2)), np.empty(0))
        star_table(tmp_path / "particles.star", xy(rlnMicrographName=["a.mrc", "b.mrc"]))
        index = [(f"m/{stem}.mrc", tmp_path / "m" / f"{stem}_autopick.star") for stem in ("a", "b", "none")]
        write_autopick_index(tmp_path / "autopick.star", index, "micrographs.star")
        (tmp_path / "run.json").write_text(json.dumps({}))
        for source in (tmp_path, tmp_path / "autopick.star"):
            found = read_coordinate_set(source)
            assert {stem: len(coordinates.centres) for stem, coordinates in found.items()} == {
                "a": 2,
                "b": 2,
                "none": 0,
            }

    def test_index_names_a_missing_file(self, tmp_path):
        write_autopick_index(tmp_path / "autopick.star", [("a.mrc", Path("gone_autopick.star"))])
        with pytest.raises(InputError, match="lists gone_autopick.star, which does not exist"):
            read_coordinate_set(tmp_path / "autopick.star")

    @pytest.mark.parametrize("suffix", ["_manualpick", "_extract", "_topazpicks", ""])
    def test_suffixes_of_pickers(self, tmp_path, suffix):
        star_table(tmp_path / "m" / f"a_1{suffix}.star", xy())
        assert list(read_coordinate_set(tmp_path)) == ["a_1"]

    def test_relion_extract_job(self, tmp_path):
        names = {"rlnMicrographName": ["MotionCorr/job002/m/a.mrc"] * 2}
        star_table(tmp_path / "m" / "a_extract.star", xy(**names))
        star_table(tmp_path / "particles.star", xy(**names))
        write_star(tmp_path / "job.star", {"job": {"rlnJobTypeLabel": "relion.extract"}})
        found = read_coordinate_set(tmp_path)
        assert list(found) == ["a"] and len(found["a"].centres) == 2

    def test_simulated_folder(self, tmp_path):
        star_table(tmp_path / "particles.star", xy(rlnMicrographName=["m/a.mrc", "m/b.mrc"]))
        write_star(
            tmp_path / "micrographs.star", {"micrographs": pd.DataFrame({"rlnMicrographName": ["m/a.mrc"]})}
        )
        assert sorted(read_coordinate_set(tmp_path)) == ["a", "b"]

    def test_micrographs_and_notes_beside_the_coordinates(self, tmp_path):
        for name, text in {
            "a.coord": "1 2\n",
            "a.mrc": "",
            "README.txt": "hello there, all\n",
            "x.csv": "p,q\n",
        }.items():
            written(tmp_path, name, text)
        assert list(read_coordinate_set(tmp_path)) == ["a"]

    def test_single_files(self, tmp_path):
        assert list(read_coordinate_set(written(tmp_path, "a_picks.box", "1 2 8 8\n"))) == ["a"]
        assert list(read_coordinate_set(star_table(tmp_path / "a_autopick.star", xy()))) == ["a"]

    def test_topaz_table(self, tmp_path):
        text = "image_name\tx_coord\ty_coord\tscore\na\t10\t20\t1.5\nb\t1\t2\t-3\na\t30.5\t40.25\t0.5\n"
        found = read_coordinate_set(written(tmp_path, "topaz.txt", text))
        assert sorted(found) == ["a", "b"]
        np.testing.assert_array_equal(found["a"].centres, YX)
        np.testing.assert_array_equal(found["a"].scores, [1.5, 0.5])
        with pytest.raises(InputError, match="several micrographs"):
            read_coordinates(tmp_path / "topaz.txt")

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ([], "holds no coordinates"),
            (["readme.md"], "holds no coordinates"),
            (["a.coord", "a.coords"], "2 coordinate files for micrograph a"),
            (["a.star"], "a.star is empty"),
        ],
    )
    def test_refused(self, tmp_path, files, message):
        for name in files:
            written(tmp_path, name, "")
        with pytest.raises(InputError, match=message):
            read_coordinate_set(tmp_path)

    def test_two_picks_of_one_micrograph(self, tmp_path):
        star_table(tmp_path / "a_manualpick.star", xy())
        star_table(tmp_path / "a.star", xy())
        with pytest.raises(InputError, match="2 coordinate files for micrograph a"):
            read_coordinate_set(tmp_path)

    def test_missing(self, tmp_path):
        for name in ("none", "none.star", "none.box"):
            with pytest.raises(InputError, match=f"{name}.*(does not exist|cannot be read)"):
                read_coordinate_set(tmp_path / name)
