"""The files by which RELION (3.1 to 5) and a job of type External talk: exit and abort files, output nodes, versions.

After RELION's manual, «Using RELION: External jobs», and the node labels in its pipeline_jobs.h.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drpnet.errors import InputError
from drpnet.io.star import write_star

_ENDS = ("SUCCESS", "FAILURE", "ABORTED")
_NODES: dict[str, tuple[str, str, str | int]] = {
    "3.1": ("coords_suffix_autopick.star", "rlnPipeLineNodeType", 2),
    "4.0": ("autopick.star", "rlnPipeLineNodeTypeLabel", "MicrographsCoords.star.relion.autopick"),
    "5.0": ("autopick.star", "rlnPipeLineNodeTypeLabel", "MicrographCoordsGroup.star.relion.autopick"),
}
RELION_VERSIONS = tuple(_NODES)
"""The versions whose External jobs are known; the patch and minor releases after each are like it."""


class JobAborted(Exception):
    """RELION asked the job to stop: *Job actions*, *Abort running*."""


@contextmanager
def exit_files(job: Path) -> Iterator[None]:
    """Leave RELION_JOB_EXIT_SUCCESS, _ABORTED or _FAILURE in the folder of a job, by how the body ends.

    What an earlier run of the job left goes first. An abort takes its request, RELION_JOB_ABORT_NOW, away. A
    job that a queue ends with SIGTERM has failed.
    """
    _forget_end(job)
    try:
        with _terminated_as_interrupted():
            yield
    except JobAborted:
        (job / "RELION_JOB_ABORT_NOW").unlink(missing_ok=True)
        (job / "RELION_JOB_EXIT_ABORTED").touch()
        raise
    except BaseException:
        mark_failed(job)
        raise
    (job / "RELION_JOB_EXIT_SUCCESS").touch()


def mark_failed(job: Path) -> None:
    """Tell RELION that the job of that folder has failed."""
    _forget_end(job)
    (job / "RELION_JOB_EXIT_FAILURE").touch()


def _forget_end(job: Path) -> None:
    """Make the folder of a job, without what an earlier run said of its end."""
    job.mkdir(parents=True, exist_ok=True)
    for end in _ENDS:
        (job / f"RELION_JOB_EXIT_{end}").unlink(missing_ok=True)


def stop_if_aborted(job: Path) -> None:
    """Raise JobAborted when RELION has put RELION_JOB_ABORT_NOW into the folder of the job."""
    if (job / "RELION_JOB_ABORT_NOW").exists():
        raise JobAborted


def write_output_nodes(job: Path, version: str) -> None:
    """Write RELION_OUTPUT_NODES.star: the picks of the job, as the pipeline of that version types them.

    3.1 takes the coords_suffix file as type 2, later versions autopick.star under a label that 5.0 renamed.
    """
    file, label, kind = _NODES[version]
    table = {"rlnPipeLineNodeName": [f"{job.as_posix()}/{file}"], label: [kind]}
    write_star(job / "RELION_OUTPUT_NODES.star", {"output_nodes": table})


def relion_version(job: Path, project: Path) -> str:
    """The version whose files lie in the folder of a job, else in the project's: one of `RELION_VERSIONS`.

    3.1 types jobs and nodes by numbers, 4.0 and 5.0 by labels; 5.0 marks its files as version 50001 and has
    other labels. Raises InputError where neither folder tells.
    """
    for path in (job / "job.star", project / "default_pipeline.star"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if "# version 50001" in text or "GroupMetadata.star" in text or "CoordsGroup.star" in text:
            return "5.0"
        if "_rlnJobTypeLabel" in text or "_rlnPipeLineProcessTypeLabel" in text:
            return "4.0"
        if "_rlnJobType" in text or "_rlnPipeLineProcessType" in text:
            return "3.1"
    raise InputError(
        f"no job.star in {job} and no default_pipeline.star in {project} tells the version of RELION; "
        f"run it from the project's folder, or give --relion {', '.join(RELION_VERSIONS)}"
    )


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the body like a Ctrl-C, so that it is cleaned up; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt("the job was terminated; continue it in RELION to pick the rest")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
