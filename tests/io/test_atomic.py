import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drpnet.io.atomic import whole_file


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / "new" / "picks.star"
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent and temporary.suffix == ".star"
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["picks.star"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    path = tmp_path / "picks.star"
    path.write_text("old")
    with pytest.raises(error), whole_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["picks.star"]


WRITER = """
import sys
from pathlib import Path
from drpnet.io.atomic import whole_file, whole_folder
path = Path(sys.argv[1])
with whole_file(path / "picks.star") as file, whole_folder(path / "sim") as folder:
    file.write_text(sys.argv[2])
    (folder / "a.mrc").write_text(sys.argv[2])
    print("half", flush=True)
    sys.stdin.readline()
"""


def writer(folder: Path, text: str) -> subprocess.Popen:
    """A process that is in the middle of a file and a folder, and ends at a line or the end of its input."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    return process


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    path = tmp_path / "picks.star"
    killed, living = writer(tmp_path, "killed"), writer(tmp_path, "living")
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    left = sorted(os.listdir(tmp_path))
    assert len(left) == 4 and all(name.startswith(".") for name in left)  # hidden: no search finds them
    with whole_file(path) as temporary:
        temporary.write_text("next")
        now = set(os.listdir(tmp_path)) - {temporary.name}
        assert len(now) == 2 and all(f"-{living.pid}-" in name for name in now)
    assert path.read_text() == "next"
    living.communicate("\n")
    assert living.returncode == 0 and path.read_text() == "living"
    assert sorted(os.listdir(tmp_path)) == ["picks.star", "sim"]


def test_leftovers_of_this_process_number_go_and_those_of_another_machine_stay(tmp_path):
    """In a container every run may have the same number; another machine's processes cannot be asked."""
    with whole_file(tmp_path / "elsewhere" / "picks.star") as temporary:
        temporary.touch()
    _, machine, number, token, rest = temporary.name.split("-", 4)
    assert int(number) == os.getpid()
    former = tmp_path / f".drpnet-{machine}-{number}-{'0' * 8}-{rest}"
    foreign = tmp_path / f".drpnet-{'0' * 8}-{number}-{token}-{rest}"
    other = tmp_path / ".drpnet-notes.txt"
    for path in (former, foreign, other):
        path.write_text("half")
    with whole_file(tmp_path / "picks.star") as temporary:
        temporary.write_text("whole")
    assert not former.exists() and foreign.exists() and other.exists()


def test_the_longest_name(tmp_path):
    path = tmp_path / f"{'n' * 250}.star"
    with whole_file(path) as temporary:
        assert temporary.suffix == ".star"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
