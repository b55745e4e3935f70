import multiprocessing
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

import pytest

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("MPLBACKEND", "Agg")
REPOSITORY = Path(__file__).resolve().parents[1]
# what every process of the tests would import for seconds: a server imports it once and forks them
PRELOAD = [
    "drpnet.train", "drpnet.pick", "drpnet.cli", "drpnet.convert", "drpnet.floods", "drpnet.simulation.dataset",
    "pytorch_lightning", "matplotlib.pyplot", "starfile",
]  # fmt: skip
processes = multiprocessing.get_context("forkserver")


def pytest_configure() -> None:
    import torch

    torch.set_num_threads(2)
    processes.set_forkserver_preload(PRELOAD)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_real() -> Path:
    """The folder of real micrographs beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("real data not here: ../shared/real is missing")
    return folder


class Finished(NamedTuple):
    """What a script left behind, as `subprocess.run` says it."""

    returncode: int
    stdout: str
    stderr: str


def _as_main(script: str, arguments: list[str], cwd: str, environment: dict[str, str], outputs: list[str]) -> None:
    """In a process of its own: what `python script *arguments` does."""
    import torch

    torch.set_num_threads(1)
    for number, name in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.environ.update(environment)
    os.chdir(cwd)
    folders = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [str(Path(script).parent), *filter(None, folders)]
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


@pytest.fixture(scope="session")
def start_script():
    """Starts `python script *arguments` in a process of its own, which begins with everything imported."""

    def start(script: Path, *arguments: object, cwd: Path, outputs: list[Path], **environment: str):
        words = [str(word) for word in arguments]
        process = processes.Process(
            target=_as_main, args=(str(script), words, str(cwd), environment, [str(output) for output in outputs])
        )
        process.start()
        return process

    return start


@pytest.fixture(scope="session")
def run_script(tmp_path_factory, start_script):
    """Runs `python script *arguments` to its end, in such a process."""
    folder = tmp_path_factory.mktemp("output")

    def run(script: Path, *arguments: object, cwd: Path, **environment: str) -> Finished:
        outputs = [folder / "stdout", folder / "stderr"]
        for output in outputs:
            output.unlink(missing_ok=True)
        process = start_script(script, *arguments, cwd=cwd, outputs=outputs, **environment)
        process.join(300)
        if process.is_alive():
            process.kill()
            pytest.fail(f"{script.name} did not end within 300 s")
        assert process.exitcode is not None
        return Finished(process.exitcode, *(output.read_text(encoding="utf-8") for output in outputs))

    return run


def _as_drpnet(arguments: list[str], output: str) -> None:
    """In a process of its own: what `drpnet *arguments` does."""
    import torch

    from drpnet.cli import app

    torch.set_num_threads(1)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    os.environ["NO_PROXY"] = "127.0.0.1"
    sys.argv = ["drpnet", *arguments]
    app(arguments)


def _start_drpnet(words: list[str], output: Path) -> ForkServerProcess:
    process = processes.Process(target=_as_drpnet, args=(words, str(output)))
    process.start()
    return process


class Ended(NamedTuple):
    """How `drpnet` ended: its exit status, and what it printed on both streams."""

    status: int
    printed: str

    def complaint(self) -> str:
        """The one line for its user with which it ended; nothing else of what it printed may tell of an error."""
        assert self.status == 2, self.printed[-3000:]
        marks = ("error: ", "Traceback", "Exception ignored")
        lines = self.printed.splitlines()
        assert [line for line in lines if line.startswith(marks)] == lines[-1:], self.printed[-3000:]
        return lines[-1]


@pytest.fixture(scope="session")
def drpnet(tmp_path_factory) -> Callable[..., Ended]:
    """Runs `drpnet *arguments` in a process of its own, which begins with everything imported."""
    output = tmp_path_factory.mktemp("drpnet") / "output"

    def run(*arguments: object) -> Ended:
        process = _start_drpnet([str(argument) for argument in arguments], output)
        process.join(1800)
        if process.is_alive():
            process.kill()
            pytest.fail(f"drpnet {arguments[0]} did not end within 1800 s")
        assert process.exitcode is not None
        return Ended(process.exitcode, output.read_text(encoding="utf-8"))

    return run


def _files(folder: Path) -> int:
    """How many files lie below a folder, hidden ones too."""
    return sum(len(files) for _, _, files in os.walk(folder))


def _wait(process: ForkServerProcess, folder: Path, seconds: float, files: int, draw: random.Random) -> None:
    """Until a moment to kill comes: after a time, or when as many more files have appeared below the folder."""
    end = time.monotonic() + draw.uniform(0, seconds)
    if draw.random() < 0.5:
        process.join(max(0.0, end - time.monotonic()))
        return
    goal, end = _files(folder) + draw.randint(1, max(1, files)), time.monotonic() + 2 * seconds
    while process.is_alive() and time.monotonic() < end and _files(folder) < goal:
        time.sleep(0.0005)  # else this process takes the processor from the one that it waits for
    time.sleep(draw.uniform(0, 0.003))


@pytest.fixture(scope="session")
def kill_and_repeat(tmp_path_factory):
    """Runs `drpnet *arguments` and kills it (kill -9) `times` times, at moments drawn at random; returns how often it ended.

    `folder` is where it writes, `check` looks at it after every kill, `finished` after every run that came to its end, whose
    exit status must be 0; then `restart` clears it, and the command begins anew. `before` gets the number of the process
    that is to be killed. The last run is not disturbed.
    """
    output = tmp_path_factory.mktemp("killed") / "output"

    def run(
        arguments: list[object], folder: Path, times: int, check: Callable[[], object], finished: Callable[[], object],
        restart: Callable[[], object], before: Callable[[int], object] = lambda pid: None, seed: int = 0,
    ) -> int:  # fmt: skip
        draw, words = random.Random(seed), [str(word) for word in arguments]
        kills = ends = 0
        seconds, files = 0.0, 0
        while True:
            begun, process = time.monotonic(), _start_drpnet(words, output)
            if ends and kills < times:
                _wait(process, folder, seconds, files, draw)
                before(process.pid)
                if process.is_alive():
                    os.kill(process.pid, signal.SIGKILL)
                process.join()
                if process.exitcode == -signal.SIGKILL:
                    kills += 1
                    check()
                    continue
            process.join(1800)
            assert process.exitcode == 0, output.read_text(encoding="utf-8")[-3000:]
            if not ends:
                seconds, files = time.monotonic() - begun, _files(folder)
            finished()
            ends += 1
            if kills == times:
                return ends
            restart()

    return run


class Disk:
    """A small disk of its own, at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path))

    def resize(self, kilobytes: int) -> None:
        """Let it hold so much."""
        self._mount("-o", f"remount,size={kilobytes}k", str(self.path))

    def protect(self, read_only: bool) -> None:
        """Let nobody write to it, or everybody."""
        self._mount("-o", f"remount,{'ro' if read_only else 'rw'}", str(self.path))

    def remove(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "--lazy", str(self.path)], capture_output=True, check=True)

    def _mount(self, *words: str) -> None:
        if shutil.which("mount") is None:
            pytest.skip("no disk can be made: there is no mount")
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk can be made: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    """A disk of 4 MB; skipped where nobody may mount one, as in most containers."""
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.remove()


@pytest.fixture
def fill_up(disk, drpnet) -> Callable[..., list[dict[str, bytes]]]:
    """Runs `drpnet *arguments`, which writes below `disk.path`, on disks that are too small, then on one that is not.

    Every one of the small ones ends in a line that names a file there and asks for space, and what has its final name is
    what an undisturbed run writes; after the last one the same command does that. Returns what each of them left.
    """

    def run(*arguments: object, times: int = 5) -> list[dict[str, bytes]]:
        assert (done := drpnet(*arguments)).status == 0, done.printed[-3000:]
        undisturbed = _content(disk.path)
        needed = sum(-(-len(text) // 4096) * 4 for text in undisturbed.values())
        left = []
        for size in [*range(4, needed - 4, -(-needed // times)), needed - 4]:
            for path in disk.path.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            disk.resize(size)
            line = drpnet(*arguments).complaint()
            assert str(disk.path) in line and "No space left on device" in line and "free space" in line
            left.append(_content(disk.path))
            assert left[-1].items() <= undisturbed.items(), f"{size} kB"
        disk.resize(4096)
        assert (done := drpnet(*arguments)).status == 0, done.printed[-3000:]
        assert _content(disk.path) == undisturbed
        return left

    return run


def _content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
