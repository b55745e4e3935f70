"""`drpnet simulate` and `drpnet convert`, killed or on a full disk: all of what they write is there, or nothing."""

import gc
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from drpnet.cli.app import user_errors
from drpnet.evaluation.evaluate import write_json
from drpnet.io.atomic import whole_file
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import ParticleTable, write_particles_star
from drpnet.io.star import write_star
from drpnet.io.volumes import write_volume

SMALL = ("micrographs=4", "height=128", "width=128", "pixel_size=6", "particles_per_micrograph=3")


def content(path: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too; or that of a file."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {found.relative_to(path).as_posix(): found.read_bytes() for found in path.rglob("*") if found.is_file()}


class Output:
    """What a command writes, beside what it wrote undisturbed; nothing else may be in its folder at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.undisturbed: dict[str, bytes] = {}

    def check(self) -> None:
        if self.path.exists():
            assert content(self.path) == self.undisturbed
        if self.path.is_file() or not self.is_resumed:
            self.restart()

    is_resumed = True

    def finished(self) -> None:
        self.undisturbed = self.undisturbed or content(self.path)
        assert content(self.path) == self.undisturbed
        assert list(self.path.parent.iterdir()) == [self.path]

    def restart(self) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path)
        self.path.unlink(missing_ok=True)


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.long)])
def test_a_killed_simulation_is_all_there_or_not_at_all(kill_and_repeat, tmp_path, times):
    output = Output(tmp_path / "made" / "sim")
    arguments = ["simulate", "trpv1", "--out", output.path, *SMALL]
    kill_and_repeat(arguments, output.path.parent, times, output.check, output.finished, output.restart)


def picks_to_convert(folder: Path, to: str) -> tuple[Path, list[object]]:
    """The picks of 60 micrographs in one .star, and the options that a format needs."""
    rng = np.random.default_rng(0)
    names = [f"mics/m{number:03d}.mrc" for number in range(60)]
    tables = [ParticleTable(name, rng.uniform(0, 4000, (100, 2)), rng.uniform(size=100)) for name in names]
    source = folder / "particles.star"
    write_particles_star(source, tables, pixel_size=1.5)
    if to != "cs":
        return source, []
    for name in names:
        write_micrograph(folder / name, rng.normal(size=(64, 64)), 1.5)
    return source, ["--micrographs", folder / "mics"]


@pytest.mark.parametrize("to", ["star", "particles", "cs"])
@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.long)])
def test_a_killed_conversion_is_all_there_or_not_at_all(kill_and_repeat, tmp_path, times, to):
    """Where it was killed after its end, the folder is there and must be removed before: it is never overwritten."""
    source, options = picks_to_convert(tmp_path, to)
    made = tmp_path / "made"
    made.mkdir()
    output = Output(made / ("folder" if to == "star" else f"all{ {'particles': '.star', 'cs': '.cs'}[to] }"))
    output.is_resumed = False
    arguments = ["convert", source, "--to", to, "--out", output.path, *options]
    kill_and_repeat(arguments, made, times, output.check, output.finished, output.restart)


def test_a_full_disk_leaves_nothing_of_a_simulation(fill_up, disk):
    assert not any(fill_up("simulate", "trpv1", "--out", disk.path / "made" / "sim", *SMALL))


@pytest.mark.parametrize(
    ("to", "name"), [("star", "folder"), ("csv", "folder"), ("particles", "all.star"), ("cs", "all.cs")]
)
def test_a_full_disk_leaves_nothing_of_a_conversion(fill_up, disk, tmp_path, to, name):
    source, options = picks_to_convert(tmp_path, to)
    assert not any(fill_up("convert", source, "--to", to, "--out", disk.path / "made" / name, *options))


def test_a_full_disk_leaves_the_file_of_an_earlier_conversion(drpnet, disk, tmp_path):
    source, _ = picks_to_convert(tmp_path, "particles")
    out = disk.path / "all.star"
    out.write_text("what was there")
    disk.resize(100)
    assert str(out) in drpnet("convert", source, "--to", "particles", "--out", out).complaint()
    assert content(disk.path) == {"all.star": b"what was there"}


def draw(path: Path) -> None:
    figure = Figure()
    figure.add_subplot().imshow(NOISE[0])
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=200)


NOISE = np.random.default_rng(0).normal(size=(30, 30, 30))
WRITERS = {
    "map.mrc": lambda path: write_volume(path, NOISE, 2.0),
    "m.mrc": lambda path: write_micrograph(path, NOISE.reshape(180, 150), 2.0),
    "m.mrc.gz": lambda path: write_micrograph(path, NOISE.reshape(180, 150), 2.0),
    "m.mrc.bz2": lambda path: write_micrograph(path, NOISE.reshape(180, 150), 2.0),
    "all.star": lambda path: write_star(path, {"": {"rlnCoordinateX": NOISE.ravel()}}),
    "score.json": lambda path: write_json(NOISE.tolist(), path),
    "picture.png": draw,
}


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_does_not_fit_is_named(disk, capsys, name):
    """Whatever writes it: each library has its own way to fail, and some fail once more when they are cleaned up."""
    disk.resize(8)
    (disk.path / name).write_text("what was there")
    with pytest.raises(SystemExit), user_errors():
        WRITERS[name](disk.path / name)
    gc.collect()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {disk.path / name}: No space left on device;") and "free space" in line
    assert content(disk.path) == {name: b"what was there"}
