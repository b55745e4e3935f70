"""Picking as an External job of RELION: what it writes, how it ends, what a continued one does; RELION 3.1.3 itself."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from drpnet import pick_many, relion_job
from drpnet.cli import app
from drpnet.convert import Options, convert
from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinates
from drpnet.io.micrographs import read_micrograph, write_micrograph
from drpnet.io.relion_jobs import exit_files, relion_version
from drpnet.io.star import read_star, write_star
from drpnet.ledger import read_records

PLACES = ("a/one", "b/one", "b/two.v2")
JOB = "External/job004"
LABELS = {"4.0": "MicrographsCoords.star.relion.autopick", "5.0": "MicrographCoordsGroup.star.relion.autopick"}
HEAD = "\n# version {}\n\ndata_job\n\n_rlnJobType{}\n_rlnJobIsContinue    0\n"
JOB_STAR = {
    "3.1": HEAD.format("30001", "    99"),
    "4.0": HEAD.format("30001", "Label    relion.external") + "_rlnJobIsTomo    0\n",
    "5.0": HEAD.format("50001", "Label    relion.external") + "_rlnJobIsTomo    0\n",
}
PIPELINE = (
    "\ndata_pipeline_processes\n\nloop_\n_rlnPipeLineProcessName #1\n_rlnPipeLineProcessAlias #2\n"
    "_rlnPipeLineProcessTypeLabel #3\n_rlnPipeLineProcessStatusLabel #4\n"
    "CtfFind/job003/ None relion.ctffind.ctffind4 Succeeded\n\n"
    "data_pipeline_nodes\n\nloop_\n_rlnPipeLineNodeName #1\n_rlnPipeLineNodeTypeLabel #2\n"
    "CtfFind/job003/micrographs_ctf.star {}\n"
)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project of RELION with three motion-corrected micrographs, two of one name, and it is the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    for place in PLACES:
        image = rng.normal(100, 10, (120, 150)).astype(np.float32)
        write_micrograph(tmp_path / f"MotionCorr/job002/Movies/{place}.mrc", image, 5.0)
    list_micrographs(PLACES)
    return tmp_path


def list_micrographs(places) -> None:
    optics = {
        "rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [5.0],
        "rlnMicrographOriginalPixelSize": [5.0], "rlnVoltage": [300.0], "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.1],
    }  # fmt: skip
    names = [f"MotionCorr/job002/Movies/{place}.mrc" for place in places]
    table = {"rlnMicrographName": names, "rlnOpticsGroup": [1] * len(names), "rlnDefocusU": [1e4] * len(names)}
    write_star(Path("CtfFind/job003/micrographs_ctf.star"), {"optics": optics, "micrographs": table})


def start_of(version: str) -> None:
    """What RELION itself puts into the folder of a job that it starts."""
    Path(JOB).mkdir(parents=True, exist_ok=True)
    (Path(JOB) / "job.star").write_text(JOB_STAR[version])


def run(weights: Path, *more: object, mics: str = "CtfFind/job003/micrographs_ctf.star", diameter: object = 100) -> int:
    """The command as RELION's GUI puts it together; returns the exit status."""
    words = ["relion-pick", "--o", f"{JOB}/", "--in_mics", mics, "--diameter", diameter, "--weights", weights,
             "--device", "cpu", "--j", 1, *more]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        app([str(word) for word in words])
    return int(stop.value.code or 0)


def ended() -> list[str]:
    return sorted(path.name.removeprefix("RELION_JOB_") for path in Path(JOB).glob("RELION_JOB_*"))


@pytest.mark.parametrize("version", JOB_STAR)
def test_each_version_gets_its_layout_and_its_node(weights, project, version):
    start_of(version)
    assert run(weights, "--threshold", "all") == 0
    assert ended() == ["EXIT_SUCCESS"]
    job = Path(JOB)
    (node,) = read_star(job / "RELION_OUTPUT_NODES.star")["output_nodes"].to_dict("records")
    if version == "3.1":
        assert node == {"rlnPipeLineNodeName": f"{JOB}/coords_suffix_autopick.star", "rlnPipeLineNodeType": 2}
        assert Path(node["rlnPipeLineNodeName"]).read_text() == "CtfFind/job003/micrographs_ctf.star\n"
    else:
        assert node == {"rlnPipeLineNodeName": f"{JOB}/autopick.star", "rlnPipeLineNodeTypeLabel": LABELS[version]}
        index = read_star(job / "autopick.star")["coordinate_files"]
        assert index["rlnMicrographName"].tolist() == [f"MotionCorr/job002/Movies/{place}.mrc" for place in PLACES]
        assert index["rlnMicrographCoordinates"].tolist() == [f"{JOB}/Movies/{place}_autopick.star" for place in PLACES]
    for place in PLACES:
        (table,) = read_star(job / "Movies" / f"{place}_autopick.star").values()
        needed = {"rlnCoordinateX", "rlnCoordinateY", "rlnClassNumber", "rlnAutopickFigureOfMerit", "rlnAnglePsi"}
        assert needed <= set(table) and len(table) > 3
    particles = read_star(job / "particles.star")
    assert particles["optics"]["rlnVoltage"].tolist() == [300] and "rlnDefocusU" in particles["particles"]


def test_the_version_is_found_in_the_project_or_given_or_an_error(weights, project, capsys):
    assert run(weights) == 2 and ended() == ["EXIT_FAILURE"]
    assert "tells the version of RELION" in capsys.readouterr().err
    assert run(weights, "--relion", "4.1") == 2 and "--relion is '4.1'; use 3.1, 4.0, 5.0" in capsys.readouterr().err
    for label, version in (("MicrographsData.star.relion.ctf", "4.0"), ("MicrographGroupMetadata.star.relion.ctf", "5.0")):
        Path("default_pipeline.star").write_text(PIPELINE.format(label))
        assert relion_version(Path(JOB), Path()) == version
    assert run(weights, "--relion", "3.1") == 0 and ended() == ["EXIT_SUCCESS"]


def test_a_continued_job_picks_only_new_micrographs(weights, project, monkeypatch):
    start_of("4.0")
    list_micrographs(PLACES[:2])
    assert run(weights) == 0
    picked = []
    really = pick_many.pick_one
    monkeypatch.setattr(pick_many, "pick_one", lambda p, entry, *more: picked.append(entry.stem) or really(p, entry, *more))
    list_micrographs(PLACES)
    assert run(weights, "--threshold", "0.9") == 0 and picked == ["two.v2"]
    assert len(read_star(Path(JOB) / "autopick.star")["coordinate_files"]) == 3 and ended() == ["EXIT_SUCCESS"]


def test_an_abort_ends_between_two_micrographs_and_what_is_picked_is_kept(weights, project, monkeypatch, capsys):
    start_of("5.0")
    picked = []
    really = pick_many.pick_one

    def pick_one(picker, entry, *more):
        picked.append(entry.stem)
        if len(picked) == 2:
            (Path(JOB) / "RELION_JOB_ABORT_NOW").touch()
        return really(picker, entry, *more)

    monkeypatch.setattr(pick_many, "pick_one", pick_one)
    assert run(weights) != 0 and ended() == ["EXIT_ABORTED"]
    assert len(picked) == 2 and "aborted, as RELION asked" in capsys.readouterr().err
    assert not (Path(JOB) / "RELION_OUTPUT_NODES.star").exists()
    assert run(weights) == 0 and len(picked) == 3 and ended() == ["EXIT_SUCCESS"]
    (Path(JOB) / "RELION_JOB_ABORT_NOW").touch()  # asked for while the job waited in a queue
    assert run(weights) != 0 and len(picked) == 3 and ended() == ["EXIT_ABORTED"]


@pytest.mark.slow
def test_workers_stop_at_an_abort(weights, project, monkeypatch):
    start_of("5.0")
    asked = []
    really = relion_job.stop_if_aborted

    def stop_if_aborted(job):
        asked.append(job)
        if len(asked) == 2:  # at the start, then after the first micrograph
            (job / "RELION_JOB_ABORT_NOW").touch()
        really(job)

    monkeypatch.setattr(relion_job, "stop_if_aborted", stop_if_aborted)
    assert run(weights, "--workers", 2, "--j", 2) != 0 and ended() == ["EXIT_ABORTED"]
    assert 1 <= len(read_records(Path(JOB))) <= 3 and len(asked) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--in_parts", "Select/job9/particles.star"], "--in_parts Select/job9/particles.star: relion-pick takes micrographs"),
        (["--diamter", "180"], "does not know '--diamter'"),
        (["--threshold", "2"], "threshold is '2'"),
        (["--preset", "most"], "preset is 'most'"),
        (["--j", "0"], "--j is 0"),
        (["--workers", "many"], "--workers"),
        (["--box_size", "4000"], "the box of 4000 px is larger"),
    ],
)
def test_whatever_is_wrong_the_job_is_marked_as_failed(weights, project, capsys, more, said):
    start_of("4.0")
    (Path(JOB) / "RELION_JOB_EXIT_SUCCESS").touch()  # of an earlier run
    assert run(weights, *more) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert ended() == ["EXIT_FAILURE"]


def test_a_bad_micrograph_is_named_and_the_rest_is_picked(weights, project, capsys):
    start_of("4.0")
    Path("MotionCorr/job002/Movies/b/one.mrc").write_bytes(b"torn")
    assert run(weights) == 0 and ended() == ["EXIT_SUCCESS"]
    assert "1 micrographs were not picked; continue" in capsys.readouterr().err
    assert len(read_star(Path(JOB) / "autopick.star")["coordinate_files"]) == 2


def test_a_terminated_job_has_failed(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt, match="continue it in RELION"), exit_files(tmp_path / "job"):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["RELION_JOB_EXIT_FAILURE"]
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(InputError), exit_files(tmp_path / "job"):
        raise InputError("x")
    with exit_files(tmp_path / "job"):
        pass
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["RELION_JOB_EXIT_SUCCESS"]


relion = [
    pytest.mark.relion,
    pytest.mark.skipif(shutil.which("relion_pipeliner") is None, reason="RELION's programs are not installed"),
]


def program(*words: object) -> str:
    """What one of RELION's programs prints; it must end well."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture
def imported(project) -> str:
    """The micrographs .star of a project as relion_import writes it."""
    Path("Import/job001").mkdir(parents=True)
    program("relion_import", "--do_micrographs", "--optics_group_name", "opticsGroup1", "--angpix", 5, "--kV", 300, "--Cs", 2.7,
            "--Q0", 0.1, "--i", "MotionCorr/job002/Movies/*/*.mrc", "--odir", "Import/job001/", "--ofile", "micrographs.star",
            "--pipeline_control", "Import/job001/")  # fmt: skip
    return "Import/job001/micrographs.star"


def require_extracted(star: str, coordinates) -> None:
    """What relion_preprocess cut out are, to the pixel, the squares of 32 px around the centres by place.

    Beyond an edge it repeats the last pixel; fractions of a coordinate it cuts off.
    """
    table = read_star(Path(star))["particles"]
    count = 0
    for name, rows in table.groupby("rlnMicrographName", sort=False):
        image = np.pad(read_micrograph(Path(str(name)))[0], 16, mode="edge")
        place = str(name).removeprefix("MotionCorr/job002/Movies/").removesuffix(".mrc")
        centres = coordinates[place].centres
        xy = rows[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
        for x, y, where in zip(*xy.T, rows["rlnImageName"], strict=True):
            assert np.abs(centres - (y, x)).max(axis=1).min() < 1e-4
            index, _, stack = str(where).partition("@")
            with mrcfile.open(stack, permissive=True) as file:
                particle = np.atleast_3d(file.data)[int(index) - 1] if file.data.ndim == 3 else file.data
            top, left = int(y), int(x)  # of the padded image
            np.testing.assert_array_equal(particle, image[top : top + 32, left : left + 32])
            count += 1
    assert count == sum(len(found.centres) for found in coordinates.values()) > 5


def extract(mics: str, folder: str, suffix: str, out: str) -> str:
    program("relion_preprocess", "--i", mics, "--coord_dir", folder, "--coord_suffix", suffix, "--part_star",
            f"{out}/particles.star", "--part_dir", f"{out}/", "--extract", "--extract_size", 32)  # fmt: skip
    return f"{out}/particles.star"


class TestRelionItself:
    """Version 3.1.3, as Debian packages it."""

    pytestmark = relion

    def test_the_pipeliner_runs_the_job_and_knows_its_picks(self, weights, imported, monkeypatch):
        """The job as its form describes it, label and value of each parameter, and what it leaves in the pipeline."""
        monkeypatch.setenv("PYTHONPATH", str(Path(pick_many.__file__).parents[1]))
        Path("default_pipeline.star").write_text("\ndata_pipeline_general\n\n_rlnPipeLineJobCounter  4\n")
        parameters = {"diameter": "100", "weights": weights, "threshold": "all", "device": "cpu", "no_classifier": ""}
        options = [f"fn_exe == {sys.executable} -m drpnet.cli relion-pick", f"in_mic == {imported}", "nr_threads == 1"]
        for number, (label, value) in enumerate(parameters.items(), 1):
            options += [f"param{number}_label == {label}", f"param{number}_value == {value}"]
        program("relion_pipeliner", "--addJob", "External", "--addJobOptions", ";".join(options))
        program("relion_pipeliner", "--RunJobs", f"{JOB}/", "--schedule", "s", "--sec_wait_after", 0, "--min_wait_before", 0)
        errors = (Path(JOB) / "run.err").read_text()
        assert ended() == ["EXIT_SUCCESS"], errors
        pipeline = read_star(Path("default_pipeline.star"))
        assert pipeline["pipeline_processes"]["rlnPipeLineProcessStatus"].tolist() == [2]  # finished
        nodes = pipeline["pipeline_nodes"].set_index("rlnPipeLineNodeName")["rlnPipeLineNodeType"]
        assert nodes[f"{JOB}/coords_suffix_autopick.star"] == 2 and nodes[imported] == 1
        edges = pipeline["pipeline_output_edges"]["rlnPipeLineEdgeToNode"]
        assert edges.tolist() == [f"{JOB}/coords_suffix_autopick.star"]
        picks = {place: read_coordinates(Path(JOB) / "Movies" / f"{place}_autopick.star") for place in PLACES}
        require_extracted(extract(imported, f"{JOB}/", "_autopick.star", "Extract/job005"), picks)

    def test_the_pipeliner_sees_a_failure(self, imported, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", str(Path(pick_many.__file__).parents[1]))
        Path("default_pipeline.star").write_text("\ndata_pipeline_general\n\n_rlnPipeLineJobCounter  4\n")
        options = [f"fn_exe == {sys.executable} -m drpnet.cli relion-pick", f"in_mic == {imported}", "param1_label == diamter"]
        program("relion_pipeliner", "--addJob", "External", "--addJobOptions", ";".join(options))
        run_jobs = ["relion_pipeliner", "--RunJobs", f"{JOB}/", "--schedule", "s", "--sec_wait_after", "0"]
        subprocess.run(run_jobs, capture_output=True, timeout=60)
        assert ended() == ["EXIT_FAILURE"]

    @pytest.mark.parametrize(("to", "suffix"), [("star", "_autopick.star"), ("box", ".box")])
    def test_extraction_cuts_out_what_was_converted(self, imported, to, suffix):
        """Converted from Topaz's table, RELION cuts the squares around the same centres."""
        rng = np.random.default_rng(3)
        rows = [(place, *rng.integers(20, 100, 2)) for place in PLACES for _ in range(4)]
        lines = [f"{place}\t{x}\t{y}\t0.5" for place, x, y in rows]
        Path("topaz.txt").write_text("\n".join(["image_name\tx_coord\ty_coord\tscore", *lines]))
        convert(Path("topaz.txt"), to, Path("converted"), Options(imported, box_size=48))
        found = {place: read_coordinates(Path(f"converted/Movies/{place}{suffix}")) for place in PLACES}
        for place in PLACES:
            expected = [[y, x] for name, x, y in rows if name == place]
            np.testing.assert_array_equal(found[place].centres, expected)
        require_extracted(extract(imported, "converted/", suffix, "Extract/job006"), found)

    def test_its_programs_read_the_particles_of_both_versions(self, imported):
        """relion_convert_star turns the 3.0 table into one with the optics that ours of 3.1 has."""
        table = "\n".join(["image_name\tx_coord\ty_coord\tscore", "a/one\t20\t30\t0.5", "b/two.v2\t40\t50\t0.25"])
        Path("topaz.txt").write_text(table)
        for version in ("particles30", "particles"):
            convert(Path("topaz.txt"), version, Path(f"{version}.star"), Options(imported))
        program("relion_convert_star", "--i", "particles30.star", "--o", "converted.star", "--Cs", 2.7, "--Q0", 0.1)
        theirs, ours = read_star(Path("converted.star")), read_star(Path("particles.star"))
        columns = ["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit", "rlnOpticsGroup"]
        (table_name,) = set(theirs) - {"optics"}
        assert theirs[table_name][columns].to_numpy().tolist() == ours["particles"][columns].to_numpy().tolist()
        assert theirs["optics"]["rlnVoltage"].tolist() == ours["optics"]["rlnVoltage"].tolist() == [300]
        shown = program("relion_star_printtable", "particles.star", "data_particles", "rlnCoordinateX", "rlnCoordinateY")
        assert [line.split() for line in shown.splitlines() if line.strip()] == [["20", "30"], ["40", "50"]]
