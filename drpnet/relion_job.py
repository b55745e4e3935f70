"""Picking as a job of RELION's type External: `drpnet relion-pick`."""

from collections.abc import Sequence
from pathlib import Path

import torch

from drpnet.errors import InputError
from drpnet.io.relion_jobs import RELION_VERSIONS, relion_version, stop_if_aborted, write_output_nodes
from drpnet.pick import PickResult, pick
from drpnet.schema import PickSchema


def relion_pick(settings: PickSchema, threads: int, version: str | None = None) -> PickResult:
    """Pick the micrographs of a star into the folder of a job, as far as an earlier run has not, and tell RELION's pipeline.

    `version` of RELION is None to find it in the job's and the project's files. Raises InputError as `pick`, and
    JobAborted between two micrographs once RELION asks for it; a continued job picks the rest.
    """
    job = Path(settings.out)
    if version is not None and version not in RELION_VERSIONS:
        raise InputError(f"--relion is {version!r}; use {', '.join(RELION_VERSIONS)}")
    if threads < 1:
        raise InputError(f"--j is {threads}; give the number of threads, at least 1")
    if not settings.micrographs.lower().endswith(".star"):
        raise InputError(f"--in_mics is {settings.micrographs!r}; give RELION's micrographs .star")
    version = version or relion_version(job, Path())
    stop_if_aborted(job)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = pick(settings, between=lambda: stop_if_aborted(job))
    finally:
        torch.set_num_threads(before)
    write_output_nodes(job, version)
    return result


def require_known(arguments: Sequence[str]) -> None:
    """Raise InputError for what RELION passes on and this job does not know."""
    if not arguments:
        return
    if arguments[0].startswith("--in_"):
        raise InputError(f"{' '.join(arguments[:2])}: relion-pick takes micrographs only; clear RELION's other input fields")
    raise InputError(f"relion-pick does not know {arguments[0]!r}; drpnet relion-pick --help lists its parameters")
