import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("MPLBACKEND", "Agg")
REPOSITORY = Path(__file__).resolve().parents[1]
# what every process of the tests would import for seconds: a server imports it once and forks them
PRELOAD = ["drpnet.train", "drpnet.pick", "drpnet.cli", "pytorch_lightning", "matplotlib.pyplot"]
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
