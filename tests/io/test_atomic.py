import os
import signal
import subprocess
import sys

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


def test_a_killed_writer_leaves_no_file_of_that_name(tmp_path):
    path = tmp_path / "picks.star"
    script = f"""
import os, signal
from pathlib import Path
from drpnet.io.atomic import whole_file
with whole_file(Path({str(path)!r})) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert not path.exists()
    assert all(name.startswith(".") for name in os.listdir(tmp_path))  # hidden: no search finds it
