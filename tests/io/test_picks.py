import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set, read_coordinates
from drpnet.io.picks import (
    Candidates,
    ParticleTable,
    read_candidates_star,
    write_autopick_index,
    write_autopick_star,
    write_candidates_star,
    write_particles_star,
)
from drpnet.io.star import read_star

CENTRES = np.array([[10.25, 200.5], [3000.125, 4.0]])
MERIT = np.array([0.75, 0.5])


def no_candidates():
    return Candidates(np.empty((0, 2)), *(np.empty(0) for _ in range(3)))


def test_autopick_star_is_x_then_y(tmp_path):
    write_autopick_star(tmp_path / "sub" / "a_autopick.star", CENTRES, MERIT)
    lines = (tmp_path / "sub" / "a_autopick.star").read_text().split("\n")
    assert [line.split()[0] for line in lines if line.startswith("_")] == [
        "_rlnCoordinateX",
        "_rlnCoordinateY",
        "_rlnClassNumber",
        "_rlnAutopickFigureOfMerit",
        "_rlnAnglePsi",
    ]
    rows = [line.split() for line in lines if line[:1].isdigit()]
    assert rows == [["200.5", "10.25", "0", "0.75", "0"], ["4", "3000.125", "0", "0.5", "0"]]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *[st.floats(-100, 12000)] * 2,
            st.floats(0, 1),
            st.floats(-5, 5),
            st.just(np.nan) | st.floats(0, 1),
        )
    )
)
def test_candidates_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("picks") / "a_candidates.star"
    values = np.array(rows).reshape(-1, 5)
    write_candidates_star(path, Candidates(values[:, :2], *values[:, 2:].T))
    back = read_candidates_star(path)
    found = np.column_stack([back.centres, back.figure_of_merit, back.detection_score, back.classifier_score])
    np.testing.assert_allclose(found, values, rtol=1e-8, atol=1e-300)
    picks = read_coordinates(path)  # the candidates are a pick file, too
    np.testing.assert_array_equal(picks.centres, back.centres)


def test_no_picks_are_a_valid_file(tmp_path):
    write_autopick_star(tmp_path / "a_autopick.star", np.empty((0, 2)), np.empty(0))
    found = read_coordinates(tmp_path / "a_autopick.star")
    assert found.centres.shape == (0, 2) and found.scores is not None and found.scores.shape == (0,)
    write_candidates_star(tmp_path / "a.star", no_candidates())
    assert read_candidates_star(tmp_path / "a.star").centres.shape == (0, 2)


def test_candidates_of_another_tool_are_refused(tmp_path):
    write_autopick_star(tmp_path / "a.star", CENTRES, MERIT)
    with pytest.raises(InputError, match="no column drpnetDetectionScore"):
        read_candidates_star(tmp_path / "a.star")


@pytest.mark.parametrize(("old", "new"), [("10.25", "ten"), ("10.25", "nan"), ("0.75", "high")])
def test_damaged_candidates_are_refused(tmp_path, old, new):
    path = tmp_path / "a.star"
    write_candidates_star(path, Candidates(CENTRES, MERIT, MERIT, MERIT))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match="pick this micrograph again"):
        read_candidates_star(path)


def test_index_for_relion(tmp_path):
    picks = [
        ("MotionCorr/job002/m/a.mrc", tmp_path / "m" / "a_autopick.star"),
        ("m/001", tmp_path / "b.star"),
    ]
    write_autopick_index(tmp_path / "autopick.star", picks, "CtfFind/job003/micrographs_ctf.star")
    table = read_star(tmp_path / "autopick.star")["coordinate_files"]
    assert table["rlnMicrographName"].tolist() == ["MotionCorr/job002/m/a.mrc", "m/001"]
    assert table["rlnMicrographCoordinates"].tolist() == [str(path) for _, path in picks]
    assert (tmp_path / "coords_suffix_autopick.star").read_text() == "CtfFind/job003/micrographs_ctf.star\n"


def test_index_without_a_micrographs_star(tmp_path):
    write_autopick_index(tmp_path / "autopick.star", [])
    assert len(read_star(tmp_path / "autopick.star")["coordinate_files"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["autopick.star"]


def test_particles_star(tmp_path):
    optics = {
        "rlnOpticsGroupName": ["left", "right"],
        "rlnOpticsGroup": [1, 2],
        "rlnMicrographPixelSize": [1.5, 2.0],
    }
    ctf = {"rlnDefocusU": 12000.5, "rlnDefocusV": 11000.0, "rlnDefocusAngle": 45.0}
    write_particles_star(
        tmp_path / "particles.star",
        [
            ParticleTable("m/a.mrc", CENTRES, MERIT, 2, ctf),
            ParticleTable("m/empty.mrc", np.empty((0, 2)), np.empty(0), 1, ctf),
            ParticleTable("m/b.mrc", CENTRES[:1] + 1, MERIT[:1], 1, {**ctf, "rlnPhaseShift": 90.0}),
        ],
        optics,
    )
    blocks = read_star(tmp_path / "particles.star")
    assert blocks["optics"].to_dict("list") == optics
    particles = blocks["particles"]
    assert particles["rlnMicrographName"].tolist() == ["m/a.mrc", "m/a.mrc", "m/b.mrc"]
    assert particles["rlnOpticsGroup"].tolist() == [2, 2, 1]
    assert particles["rlnCoordinateX"].tolist() == [200.5, 4.0, 201.5]
    assert particles["rlnDefocusU"].tolist() == [12000.5] * 3
    assert "rlnPhaseShift" not in particles  # not known for every micrograph
    back = read_coordinate_set(tmp_path / "particles.star")
    assert sorted(back) == ["a", "b"]
    np.testing.assert_array_equal(back["a"].centres, CENTRES)
    np.testing.assert_array_equal(back["a"].scores, MERIT)


@pytest.mark.parametrize(("pixel_size", "columns"), [(None, 2), (1.77, 3)])
def test_particles_star_without_optics_or_picks(tmp_path, pixel_size, columns):
    write_particles_star(tmp_path / "a.star", [], None, pixel_size)
    blocks = read_star(tmp_path / "a.star")
    assert blocks["optics"].shape == (1, columns) and len(blocks["particles"]) == 0
    assert read_coordinate_set(tmp_path / "a.star") == {}


def test_particles_star_has_a_figure_of_merit_only_when_every_micrograph_has(tmp_path):
    tables = [ParticleTable("m/a.mrc", CENTRES, MERIT), ParticleTable("m/b.mrc", CENTRES, None)]
    write_particles_star(tmp_path / "a.star", tables)
    assert "rlnAutopickFigureOfMerit" not in read_star(tmp_path / "a.star")["particles"]
    assert all(found.scores is None for found in read_coordinate_set(tmp_path / "a.star").values())
