import tracemalloc

import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.io.star import numbers, read_columns, read_star, write_star

names = st.text("abcdefXYZ0123456789_-./# ", min_size=1, max_size=12).map(str.strip).filter(bool)


def written(tmp_path, text):
    path = tmp_path / "a.star"
    path.write_text(text)
    return path


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            names, st.floats(-1e12, 1e12).map(lambda v: float(f"{v:.9g}")), st.integers(-(10**9), 10**9)
        ),
        max_size=6,
    )
)
def test_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("star") / "a.star"
    table = pd.DataFrame(rows, columns=["rlnMicrographName", "rlnCoordinateX", "rlnClassNumber"])
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnVoltage": [300.0]})
    write_star(path, {"optics": optics, "particles": table})
    blocks = read_star(path)
    assert list(blocks) == ["optics", "particles"]
    back = blocks["particles"]
    assert list(back.columns) == list(table.columns)
    assert back["rlnMicrographName"].tolist() == [row[0] for row in rows]
    assert back["rlnCoordinateX"].astype(float).tolist() == [row[1] for row in rows]
    assert back["rlnClassNumber"].astype(int).tolist() == [row[2] for row in rows]


@pytest.mark.parametrize(
    "name", ["_a", "data_1.mrc", "data_1/a b.mrc", "loop_", "a#1.mrc", "#a", "# a b", "NA", "a\tb"]
)
def test_names_that_look_like_the_file_itself(tmp_path, name):
    write_star(
        tmp_path / "a.star", {"": pd.DataFrame({"rlnMicrographName": [name, "b.mrc"], "rlnVoltage": [1, 2]})}
    )
    assert read_star(tmp_path / "a.star")[""]["rlnMicrographName"].tolist() == [name, "b.mrc"]


@pytest.mark.parametrize("name", ["John's/a.mrc", 'a"b', "a\nb"])
def test_names_that_no_star_can_hold(tmp_path, name):
    with pytest.raises(InputError, match="rename it"):
        write_star(tmp_path / "a.star", {"": pd.DataFrame({"rlnMicrographName": [name]})})
    assert not list(tmp_path.iterdir())


def test_small_numbers_and_nan_survive(tmp_path):
    write_star(tmp_path / "a.star", {"": pd.DataFrame({"a": [1e-8, np.nan, 123456.789], "b": [1, 2, 3]})})
    assert "<NA>" not in (tmp_path / "a.star").read_text()
    np.testing.assert_array_equal(read_star(tmp_path / "a.star")[""]["a"], [1e-8, np.nan, 123456.789])


def test_names_that_look_like_numbers_stay_names(tmp_path):
    path = written(tmp_path, "data_\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n001 1\n1e5 2\nnan 3\n")
    table = read_star(path)[""]
    assert table["rlnMicrographName"].tolist()[:2] == ["001", "1e5"]
    assert table["rlnOpticsGroup"].tolist() == [1, 2, 3]


def test_block_without_a_loop_is_one_row(tmp_path):
    path = written(tmp_path, "data_general\n\n_rlnFinalResolution 3.27\n_rlnMaskName 'a b.mrc'\n")
    table = read_star(path)["general"]
    assert table.to_dict("records") == [{"rlnFinalResolution": 3.27, "rlnMaskName": "a b.mrc"}]
    write_star(tmp_path / "b.star", {"general": {"rlnFinalResolution": 3.27}})
    assert read_star(tmp_path / "b.star")["general"].to_dict("records") == [{"rlnFinalResolution": 3.27}]


def test_same_blocks_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_star(tmp_path / name, {"": pd.DataFrame({"rlnCoordinateX": [1.5]})})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "Created by" not in (tmp_path / "a").read_text()


COLUMNS = {
    "rlnMicrographName": names.filter(lambda name: "#" not in name and not name.startswith(("_", "data_", "loop_"))),
    "rlnCoordinateX": st.floats() | st.floats(0, 1e4),
    "rlnDefocusU": st.floats(width=32),
    "rlnClassNumber": st.integers(-(2**63), 2**63 - 1),
}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(st.sampled_from(list(COLUMNS)), min_size=1, unique=True), st.integers(0, 4))
def test_loops_are_written_as_starfile_writes_them(tmp_path_factory, data, labels, n):
    path = tmp_path_factory.mktemp("star") / "a.star"
    columns = {label: data.draw(st.lists(COLUMNS[label], min_size=n, max_size=n)) for label in labels}
    write_star(path, {"": columns})
    table = pd.DataFrame(columns, dtype=None if n else object)
    expected = starfile.to_string({"": table}, float_format="%.9g", na_rep="nan").split("\n", 1)[1].lstrip("\n")
    assert path.read_text() == "\n" + expected
    write_star(path, {"": table})
    assert path.read_text() == "\n" + expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(names, st.floats(-1e9, 1e9)), max_size=5), st.sampled_from(["", "# note\n\n"]))
def test_columns_are_the_text_that_read_star_makes_a_table_of(tmp_path_factory, rows, between):
    path = tmp_path_factory.mktemp("star") / "a.star"
    first = {"rlnMicrographName": [name for name, _ in rows], "rlnCoordinateX": [x for _, x in rows]}
    write_star(path, {"": first, "b": {"rlnVoltage": [300.0]}})
    path.write_text(path.read_text().replace("#2\n", f"#2\n{between}"))
    columns, table = read_columns(path), read_star(path)[""]
    assert columns["rlnMicrographName"] == table["rlnMicrographName"].tolist() == first["rlnMicrographName"]
    assert list(map(float, columns["rlnCoordinateX"])) == table["rlnCoordinateX"].astype(float).tolist()
    assert list(columns) == list(first)


def test_columns_want_a_loop(tmp_path):
    with pytest.raises(InputError, match="block data_general is no loop_"):
        read_columns(written(tmp_path, "data_general\n_rlnVoltage 300\n"))


def test_version_line_only_with_optics(tmp_path):
    table = pd.DataFrame({"rlnOpticsGroup": [1]})
    write_star(tmp_path / "a.star", {"optics": table, "micrographs": table})
    write_star(tmp_path / "b.star", {"": table})
    assert (tmp_path / "a.star").read_text().count("# version 30001\n\ndata_") == 2
    assert "version" not in (tmp_path / "b.star").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n\n",
        "data_\n\nloop_ \n_rlnCoordinateX #1 \n_rlnCoordinateY #2",
        "# version 30001\n\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n\n# version 30001\n",
        "# by hand\r\ndata_\r\nloop_\r\n\r\n_rlnCoordinateX #1\r\n# note\r\n_rlnCoordinateY #2\r\n",
    ],
)
def test_a_table_without_rows(tmp_path, text):
    table = read_star(written(tmp_path, text))[""]
    assert len(table) == 0 and list(table.columns) == ["rlnCoordinateX", "rlnCoordinateY"]


def test_empty_loop_before_another_block_and_comments_between_rows(tmp_path):
    path = written(
        tmp_path,
        "data_a\nloop_\n_x #1\n# version 30001\n\n"
        "data_b\nloop_\n_x #1\n_y #2\n1 2\n# half time\n3 4\n\n"
        "# version 30001\ndata_c\n_z 5\n",
    )
    blocks = read_star(path)
    assert len(blocks["a"]) == 0
    assert blocks["b"].to_numpy().tolist() == [[1, 2], [3, 4]]
    assert blocks["c"]["z"].tolist() == [5]


HEAD = "data_\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("hello\n", "line 1: not a STAR file, it starts with 'hello'"),
        ("<?xml version='1.0'?><Error/>\n", "not a STAR file"),
        ("# only a comment\n", "no data_ block"),
        (HEAD + "1 2\n3\n", r"line 6: 1 values for 2 columns; is the file cut short\?"),
        (HEAD + "1\n2\n", "line 5: 1 values for 2 columns"),
        (HEAD + "1 2 3\n", "line 5: 3 values for 2 columns"),
        (HEAD + "1 2\n1 'a\n", "line 6"),
        ("data_\nloop_\n1 2\n", "line 3: 2 values for 0 columns"),
        ("data_\n_rlnVoltage\n", "line 2: rlnVoltage has no value"),
        (HEAD + "1 2\n" + HEAD + "1 2\n", "block data_ stands there twice"),
        ("data_\n", "block data_ has no columns"),
        (HEAD + "1 2\ndata_b\nloop_\n", "block data_b has no columns"),
        ("data_\n_a 1\nloop_\n_b #1\n2\n", "block data_ is no plain table|values for"),
        ("data_\nloop_\n_a #1\n_a #2\n1 2\n", "column a stands there twice"),
    ],
)
def test_refused(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_star(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_refused_paths_and_bytes(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_star(tmp_path / "none.star")
    with pytest.raises(InputError, match="is a folder"):
        read_star(tmp_path)
    (tmp_path / "a.star").write_bytes(b"data_\xff\xfe\0\1")
    with pytest.raises(InputError, match="not text"):
        read_star(tmp_path / "a.star")


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(
            ["data_", "data_a", "loop_", "_x #1", "_y", "1 2", "3", "'", '"a b" 2', "#", "", "é"]
        ),
        max_size=10,
    ).map("\n".join)
)
def test_any_text_is_read_whole_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "a.star"
    path.write_text(text)
    try:
        blocks = read_star(path)
    except InputError:
        return
    assert set(blocks) == {line[5:] for line in text.split("\n") if line.startswith("data_")}


def test_numbers_names_the_bad_row(tmp_path):
    table = pd.DataFrame({"rlnCoordinateX": ["1.5", "two"]})
    with pytest.raises(InputError, match="rlnCoordinateX is 'two' in row 2"):
        numbers(tmp_path / "a.star", table, "rlnCoordinateX")
    np.testing.assert_array_equal(numbers(tmp_path / "a.star", table[:1], "rlnCoordinateX"), [1.5])


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.star"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_star(path, {"": pd.DataFrame({"a": [1]})})
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_long_table_is_never_whole_in_memory_as_text(tmp_path):
    count = 300_000
    table = {"rlnMicrographName": np.repeat(np.array(["a.mrc"], object), count), "rlnCoordinateX": np.arange(count) / 8}
    tracemalloc.start()
    try:
        write_star(tmp_path / "long.star", {"particles": table})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * count  # the words alone of two columns take twice that
    lines = (tmp_path / "long.star").read_text().splitlines()
    assert [line for line in lines if line.startswith("a.mrc")] == [f"a.mrc\t{i / 8:.9g}" for i in range(count)]


def test_columns_of_different_lengths_leave_no_file(tmp_path):
    for lengths in ((3, 2), (65_536, 65_537)):
        with pytest.raises(ValueError):
            write_star(tmp_path / "x.star", {"": {name: np.zeros(n) for name, n in zip("ab", lengths, strict=True)}})
    assert list(tmp_path.iterdir()) == []
