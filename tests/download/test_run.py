import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from drpnet.cli import app
from drpnet.datasets import open_dataset
from drpnet.download import run as run_module
from drpnet.download.run import download
from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import write_micrograph
from drpnet.schema import compose_config, dataset_facts

TRPV1 = "/10005/data/micrographs/summed_frames"


@pytest.fixture(scope="session")
def small_mrc(tmp_path_factory):
    path = tmp_path_factory.mktemp("mrc") / "m.mrc"
    write_micrograph(path, np.random.default_rng(0).normal(size=(3710, 4)), 1.2156)
    return path.read_bytes()


@pytest.fixture
def entries(archive, small_mrc):
    """Three entries as FACTS describes them, tiny: 10005 with a micrograph that nobody labelled, 10017, 10061."""
    for number in (2, 3, 5, 7, 11):
        archive.files[f"{TRPV1}/stack_{number:04d}_2x_SumCorr.mrc"] = small_mrc
        for release, row in (("TRPV1_coords_88915", "1 2 0 1236\n3 4 0 600\n"), ("TRPV1_coords_35645", "1 2 0 1236\n")):
            if number != 3:
                name = f"coordinate_stack_{number:04d}_2x_SumCorr_bin3.dat"
                archive.files[f"/10005/data/somewhere/{release}/{name}"] = row.encode()
    archive.files["/10005/data/particles/tv1_f03-16.mrc"] = b"a stack"
    archive.files["/10005/10005.xml"] = b"<entry/>"
    for stem in ("Falcon_2012_06_12-14_33_35_0", "Falcon_2012_06_12-14_57_34_0"):
        archive.files[f"/10017/data/{stem}.mrc"] = small_mrc
        archive.files[f"/10017/data/{stem}.coord"] = b"1 2\n3 4\n"
    for number in (0, 35):
        archive.files[f"/10061/data/Micrographs/EMD-2984_{number:04d}.mrc"] = small_mrc
        archive.files[f"/10061/data/Movies/EMD-2984_{number:04d}_frames.mrc"] = b"a movie"
    return archive


@pytest.fixture
def facts(archive, tmp_path, monkeypatch):
    """The shipped facts of a data set, pointed at the archive on this machine."""
    monkeypatch.setattr(run_module, "_sums", lambda entry: {})

    def of(name, **changes):
        dataset = dataset_facts(compose_config("train", [f"dataset={name}", f"dataset.root={tmp_path / name}"]).dataset)
        return dataset, replace(dataset.archive, url=archive.url, **changes)

    return of


def below(root):
    """Every file below a folder but the record and the lock."""
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    return names - {"download.json", ".download.lock"}


def test_a_whole_entry_is_ready_for_training(entries, facts, tmp_path):
    dataset, entry = facts("empiar10005")
    done = download(dataset, entry, pause=0.001)
    root = tmp_path / "empiar10005"
    assert done.files == done.fetched == 5 + 4 + 4
    assert done.bytes == sum((root / name).stat().st_size for name in below(root))
    folders = {"data/micrographs/summed_frames", "data/TRPV1_coords_88915", "data/TRPV1_coords_35645"}
    assert {name.rpartition("/")[0] for name in below(root)} == folders
    for remote, content in entries.files.items():
        if not remote.startswith("/10005/"):
            continue
        name = remote.rpartition("/")[2]
        found = [path for path in root.rglob(name) if path.parent.name in remote]
        assert ("particles" in remote or remote.endswith(".xml")) == (not found)
        assert all(path.read_bytes() == content for path in found)
    data = open_dataset(replace(dataset, limit=4, first=0))
    assert not data.simulated and len(data.train) + len(data.validation) == 4
    assert data.train[0].centres.tolist() == [[1, 1], [1909, 1]]
    image, pixel_size = data.train[0].read()
    assert image.shape == (3710, 4) and pixel_size == 1.2156
    other = open_dataset(replace(dataset, limit=4, first=0, coordinates="data/TRPV1_coords_35645"))
    assert other.train[0].centres.tolist() == [[1, 1]]


def test_a_second_run_asks_for_nothing(entries, facts):
    dataset, entry = facts("empiar10005")
    first = download(dataset, entry, pause=0.001)
    entries.requests.clear()
    assert download(dataset, entry, pause=0.001) == replace(first, fetched=0)
    assert entries.requests == []


def test_a_wider_subset_fetches_only_what_is_new(entries, facts, tmp_path):
    dataset, entry = facts("empiar10005")
    assert download(dataset, entry, "coords", pause=0.001).files == 8
    assert not list(tmp_path.rglob("*.mrc")) and len(read_coordinate_set(tmp_path / "empiar10005/data/TRPV1_coords_88915")) == 4
    assert download(dataset, entry, "micrographs:2", pause=0.001).fetched == 2
    assert download(dataset, entry, "all", pause=0.001).fetched == 3
    entries.requests.clear()
    for subset in ("coords", "micrographs:2", "all"):
        assert download(dataset, entry, subset, pause=0.001).fetched == 0
    assert entries.requests == []


def test_the_first_micrographs_are_those_with_coordinates(entries, facts, tmp_path):
    dataset, entry = facts("empiar10005")
    done = download(dataset, entry, "micrographs:2", pause=0.001)
    names = below(tmp_path / "empiar10005")
    assert done.files == len(names) == 6
    assert {name[-24:-4] for name in names if name.endswith("mrc")} == {"tack_0002_2x_SumCorr", "tack_0005_2x_SumCorr"}
    assert len(open_dataset(replace(dataset, limit=2, first=0)).train) == 1
    with pytest.raises(InputError, match="has 4 micrographs with coordinates, not 5; use --subset all or micrographs:4"):
        download(dataset, entry, "micrographs:5", pause=0.001)


def test_entries_without_labels_and_with_movies(entries, facts, tmp_path):
    dataset, entry = facts("empiar10061")
    assert download(dataset, entry, "micrographs:1", pause=0.001).files == 1
    assert below(tmp_path / "empiar10061") == {"data/Micrographs/EMD-2984_0000.mrc"}
    assert download(dataset, entry, pause=0.001).files == 2
    with pytest.raises(InputError, match="EMPIAR-10061 has no coordinates; use --subset micrographs:N"):
        download(dataset, entry, "coords", pause=0.001)
    with pytest.raises(InputError, match="empiar10061 has no labels"):
        open_dataset(dataset)


def test_the_published_checksums_decide(entries, facts, tmp_path, monkeypatch):
    dataset, entry = facts("empiar10017")
    sums = {name.rpartition("/")[2]: hashlib.md5(content).hexdigest() for name, content in entries.files.items()}
    bad = "Falcon_2012_06_12-14_57_34_0.coord"
    entries.files[f"/10017/data/{bad}"] = b"1 2\n3 5\n"  # as long as the true one
    monkeypatch.setattr(run_module, "_sums", lambda entry: sums)
    with pytest.raises(InputError, match=f"1 of 4 files could not be fetched, first .*{bad}: .*MD5 sum"):
        download(dataset, entry, pause=0.001)
    assert below(tmp_path / "empiar10017") == {f"data/{n}" for n in sums if n.startswith("Falcon") and n != bad}
    entries.files[f"/10017/data/{bad}"] = b"1 2\n3 4\n"
    assert download(dataset, entry, pause=0.001).fetched == 1


def test_the_checksums_come_with_the_package():
    entry = dataset_facts(compose_config("train", ["dataset=empiar10017"]).dataset).archive
    sums = run_module._sums(entry)
    assert len(sums) == 168 and sums["Falcon_2012_06_12-14_33_35_0.mrc"] == "f34052a1bac8cac777b6ca9b8d4d1c0b"
    assert run_module._sums(replace(entry, checksums="")) == {}


def test_files_of_another_download_are_checked_and_kept_or_fetched_again(entries, facts, tmp_path, small_mrc, caplog):
    dataset, entry = facts("empiar10017")
    data = tmp_path / "empiar10017" / "data"
    data.mkdir(parents=True)
    (data / "Falcon_2012_06_12-14_33_35_0.mrc").write_bytes(small_mrc)
    (data / "Falcon_2012_06_12-14_57_34_0.mrc").write_bytes(small_mrc[:-1])
    with caplog.at_level(logging.WARNING):
        assert download(dataset, entry, pause=0.001).fetched == 3
    assert "14_57_34_0.mrc is there, but it is cut short: 60383 bytes" in caplog.text
    assert "14_33_35_0.mrc is there" not in caplog.text
    assert (data / "Falcon_2012_06_12-14_57_34_0.mrc").read_bytes() == small_mrc


def test_a_file_that_was_lost_or_cut_is_fetched_again(entries, facts, tmp_path):
    dataset, entry = facts("empiar10017")
    download(dataset, entry, pause=0.001)
    data = tmp_path / "empiar10017" / "data"
    (data / "Falcon_2012_06_12-14_33_35_0.coord").unlink()
    (data / "Falcon_2012_06_12-14_57_34_0.coord").write_bytes(b"1 2\n")
    assert download(dataset, entry, pause=0.001).fetched == 2
    assert len({path.read_bytes() for path in data.glob("*.coord")}) == 1


def test_a_broken_record_means_checking_not_fetching(entries, facts, tmp_path):
    dataset, entry = facts("empiar10017")
    first = download(dataset, entry, pause=0.001)
    for content in ("", "{}", "[]", json.dumps({"entry": 1, "files": {}, "subsets": {"all": []}})):
        (tmp_path / "empiar10017" / "download.json").write_text(content)
        assert download(dataset, entry, pause=0.001) == replace(first, fetched=0)


def test_what_goes_wrong_with_some_files_does_not_keep_the_others(entries, facts, tmp_path):
    dataset, entry = facts("empiar10005")
    lost = f"{TRPV1}/stack_0005_2x_SumCorr.mrc"
    entries.faults[lost] = ["403"]
    with pytest.raises(InputError, match=r"1 of 13 files could not be fetched, first .*stack_0005.* is refused \(HTTP 403\)"):
        download(dataset, entry, pause=0.001)
    assert len(below(tmp_path / "empiar10005")) == 12
    entries.requests.clear()
    assert download(dataset, entry, pause=0.001).fetched == 1
    assert [path for _, path, _ in entries.requests if not path.endswith("/")] == [lost]


def test_when_nothing_comes_it_stops_early(entries, facts):
    dataset, entry = facts("empiar10005")
    for path in entries.files:
        entries.faults[path] = ["403"]
    with pytest.raises(InputError, match="13 of 13 files could not be fetched"):
        download(dataset, entry, workers=1, pause=0.001)
    assert len([path for _, path, _ in entries.requests if not path.endswith("/")]) < 9


def test_an_unquiet_line(entries, facts, tmp_path):
    """Every kind of fault at once; whole and right in the end."""
    dataset, entry = facts("empiar10005")
    kinds = [3000, "error", "503", "longer", "shorter", "error 206", "no length"]
    for number, path in enumerate(sorted(entries.files)):
        entries.faults[path] = kinds[number % len(kinds) :][:2]
    entries.faults["/10005/data/"] = ["503", 40]
    assert download(dataset, entry, pause=0.001).fetched == 13
    for name in below(tmp_path / "empiar10005"):
        remote = next(path for path in entries.files if path.endswith("/".join(name.split("/")[-2:])))
        assert (tmp_path / "empiar10005" / name).read_bytes() == entries.files[remote]


def test_several_files_come_at_a_time_and_no_more_than_asked_for(entries, facts):
    dataset, entry = facts("empiar10005")
    entries.piece, entries.delay = 20_000, 0.02
    download(dataset, entry, workers=3, pause=0.001)
    assert 2 <= entries.most_at_once <= 3
    for workers in (0, 17):
        with pytest.raises(InputError, match=f"--workers is {workers}; use 1 to 16"):
            download(dataset, entry, workers=workers)


def test_the_disk_is_looked_at_first(entries, facts, monkeypatch, tmp_path):
    dataset, entry = facts("empiar10005")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=200_000))
    with pytest.raises(InputError, match=r"empiar10005 --subset all needs .* kB more, .* has 200\.0 kB free; use .*--root"):
        download(dataset, entry, pause=0.001)
    assert below(tmp_path / "empiar10005") == set()
    download(dataset, entry, "micrographs:2", pause=0.001)


def test_sizes_that_the_index_does_not_tell_are_asked_for(entries, facts, monkeypatch):
    dataset, entry = facts("empiar10017")
    entries.sizes_listed = False
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    with pytest.raises(InputError, match="empiar10017 --subset all needs 120.8 kB more"):
        download(dataset, entry, pause=0.001)
    assert len(entries.asked("", "HEAD")) == 4
    monkeypatch.undo()
    monkeypatch.setattr(run_module, "_sums", lambda entry: {})
    for path in entries.files:
        entries.faults[path] = ["shorter"] if path.endswith(".mrc") else []
    assert download(dataset, entry, pause=0.001).fetched == 4


def test_a_full_disk_ends_it(entries, facts, monkeypatch):
    dataset, entry = facts("empiar10017")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drpnet.download.run.fetch", full)
    with pytest.raises(InputError, match=r"\.coord cannot be written \(No space left on device\); make room"):
        download(dataset, entry, pause=0.001)


def test_a_bug_is_not_hidden(entries, facts, monkeypatch):
    dataset, entry = facts("empiar10017")
    monkeypatch.setattr("drpnet.download.run.fetch", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        download(dataset, entry, pause=0.001)


def test_an_archive_that_changed_its_layout_is_described(entries, facts):
    dataset, entry = facts("empiar10005", coordinates={"data/x": "data/**/coords/*.dat"}, particle_counts={})
    with pytest.raises(InputError, match=r"no files 'data/\*\*/coords/\*\.dat'; it has files in .*summed_frames.*KEY=VALUE"):
        download(dataset, entry, pause=0.001)
    dataset, entry = facts("empiar10005", coordinates={"data/x": "**/coordinate_*_bin3.dat"}, particle_counts={})
    with pytest.raises(InputError, match="would both become data/x/coordinate_stack_0002.*narrower"):
        download(dataset, entry, pause=0.001)


def test_unexpected_numbers_are_said(entries, facts, caplog):
    dataset, entry = facts("empiar10005")
    with caplog.at_level(logging.WARNING):
        download(dataset, entry, pause=0.001)
    assert "the archive has 5 micrographs, 871 were expected" in caplog.text
    assert "TRPV1_coords_88915 holds 8 particles, 88915 were expected" in caplog.text
    caplog.clear()
    dataset, entry = facts("empiar10017", micrograph_count=2, particle_counts={"data": 4})
    with caplog.at_level(logging.WARNING):
        download(dataset, entry, pause=0.001)
    assert caplog.text == ""


@pytest.mark.parametrize("subset", ["", "micrographs", "micrographs:", "micrographs:0", "micrographs:-1", "movies", "coords:3"])
def test_subsets_that_there_are_not(entries, facts, subset):
    dataset, entry = facts("empiar10017")
    with pytest.raises(InputError, match="use coords, micrographs:N or all"):
        download(dataset, entry, subset)
    assert entries.requests == []


def test_two_downloads_do_not_meet(entries, facts, tmp_path):
    dataset, entry = facts("empiar10017")
    with run_module.alone(tmp_path / "empiar10017"), pytest.raises(InputError, match="another download into .* is running"):
        download(dataset, entry, pause=0.001)
    download(dataset, entry, pause=0.001)


def test_facts_that_changed_make_another_subset(entries, facts):
    dataset, entry = facts("empiar10005")
    download(dataset, entry, "coords", pause=0.001)
    fewer = {folder: glob.replace("_*_", "_*_000[0-9]_") for folder, glob in entry.coordinates.items()}
    with pytest.raises(InputError, match="no files"):
        download(dataset, replace(entry, coordinates=fewer), "coords", pause=0.001)
    one = dict([*entry.coordinates.items()][:1])
    assert download(dataset, replace(entry, coordinates=one, particle_counts={}), "coords", pause=0.001).files == 4


def test_where_nothing_came_no_folder_stays(entries, facts, tmp_path):
    """Else training would find an incomplete data set there instead of nothing."""
    dataset, entry = facts("empiar10005")
    with pytest.raises(InputError, match="/nowhere/10005/data/ is not there"):
        download(dataset, replace(entry, url=f"{entries.url}/nowhere"), pause=0.001)
    assert not (tmp_path / "empiar10005").exists()


def test_coordinates_of_an_unknown_form_are_kept_and_said(entries, facts, caplog):
    dataset, entry = facts("empiar10017", micrograph_count=2)
    for path in entries.files:
        if path.endswith(".coord"):
            entries.files[path] = b"1 2\nx y z\n"
    with caplog.at_level(logging.WARNING):
        assert download(dataset, entry, pause=0.001).fetched == 4
    assert "the coordinates came, but cannot be read: " in caplog.text and "line 2" in caplog.text


def test_small_files_share_a_connection(entries, facts):
    dataset, entry = facts("empiar10005")
    download(dataset, entry, workers=1, pause=0.001)
    assert len(entries.connections) <= 3  # the index, the sizes, the files


def test_a_folder_that_cannot_be_made(facts, tmp_path):
    dataset, entry = facts("empiar10017")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written .*--root"):
        download(replace(dataset, root=str(tmp_path / "file" / "x")), entry)


def command(*arguments):
    return [sys.executable, "-m", "drpnet.cli", "download", *map(str, arguments)]


def test_the_command_with_ctrl_c_in_between(entries, repository, tmp_path):
    """What came stays, the message says how to go on, the same command does, with ranges."""
    entries.piece, entries.delay = 2000, 0.5
    line = command("empiar10061", f"url={entries.url}", "--workers", 2)
    environment = {**os.environ, "DRPNET_DATA": str(tmp_path)}
    process = subprocess.Popen(line, cwd=repository, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    root = tmp_path / "empiar10061" / "data" / "Micrographs"
    while process.poll() is None and len(list(root.glob("*.part"))) < 2:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 130, said
    last = said.strip().splitlines()[-1]
    assert last.startswith("interrupted; 0 files came whole") and ".part; the same command goes on" in last
    assert "Traceback" not in said
    assert sorted(path.suffix for path in root.iterdir()) == [".json", ".json", ".part", ".part"]
    entries.delay = 0
    entries.requests.clear()
    done = subprocess.run(line, cwd=repository, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "has all 2 files" in done.stdout and "2 of them came now" in done.stdout
    assert all(wanted and wanted != "bytes=0-" for wanted in entries.asked(".mrc"))
    assert {path.read_bytes() for path in root.iterdir()} == {entries.files["/10061/data/Micrographs/EMD-2984_0000.mrc"]}
    again = subprocess.run(line, cwd=repository, env=environment, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0 and "nothing was left to fetch" in again.stdout


def test_the_command_refuses_in_one_line(entries, capsys, tmp_path):
    for arguments, named in (
        (["empiar10099"], "empiar10099"),
        (["simulated_trpv1"], "simulated_trpv1 is in no archive"),
        (["empiar10017", "--subset", "movies"], "--subset is 'movies'"),
        (["empiar10017", "ulr=http://x"], "ulr"),
        (["empiar10017", f"url={entries.url}/nowhere", "--root", str(tmp_path / "a b")], "/nowhere/10017/"),
    ):
        with pytest.raises(SystemExit) as stop:
            app(["download", *arguments])
        said = capsys.readouterr().err
        assert stop.value.code == 2 and named in said.splitlines()[-1] and said.count("error: ") == 1
