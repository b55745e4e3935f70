"""Jobs through submitit: a SLURM array, or the same jobs as processes of this machine to try them."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drpnet.errors import InputError

KINDS = ("none", "local", "slurm")


class Job:
    """One submitted job."""

    def __init__(self, job: Any, output: Path):
        """A job of submitit's, and the file of what it prints."""
        self.job, self.output = job, output

    @property
    def name(self) -> str:
        """Its number, as the cluster's commands know it."""
        return str(self.job.job_id)

    def is_running(self) -> bool:
        """Whether it runs or waits."""
        return not self.job.done()

    def failure(self) -> str | None:
        """Why an ended job failed, in one line; None where it did its work."""
        error = self.job.exception()
        if error is None:
            return None
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raised = [line for line in lines if re.match(r"[\w.]*(Error|Exit|Interrupt)\b", line)]  # the last of a traceback
        said = [*lines[:1], *raised][-1] if lines else type(error).__name__
        return f"job {self.name}: {said[:300]}; see {self.output}"

    def stop(self) -> None:
        """Cancel it."""
        self.job.cancel(check=False)


def submit(
    kind: str, parameters: Mapping[str, Any], folder: Path, function: Callable[..., Any], arguments: Sequence[tuple]
) -> list[Job]:
    """Submit `function(*arguments[i])` as one array; scripts, pickles and outputs go to `folder`.

    `parameters` are submitit's (timeout_min, mem_gb, cpus_per_task, gpus_per_node, slurm_partition ...). Raises InputError
    without submitit, without the cluster's commands, and for parameters that it does not know.
    """
    if kind not in KINDS[1:]:
        raise InputError(f"the cluster is {kind!r}; use {', '.join(KINDS[1:])}")
    try:
        import submitit
    except ImportError:
        raise InputError(
            "jobs are submitted by submitit, which is not installed: pip install 'drpnet[sweep]'"
        ) from None
    given = dict(parameters)
    if kind == "local":
        # submitit gives every local job the first GPU (`pins` deals them out) and ends it after two minutes
        given["gpus_per_node"], given["timeout_min"] = 0, given.get("timeout_min", 7 * 24 * 60)
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=kind)
        executor.update_parameters(name="drpnet", **given)
        jobs = executor.map_array(function, *zip(*arguments, strict=True))
    except (NameError, AssertionError, ValueError, TypeError) as error:
        raise InputError(f"submitit refuses the cluster's parameters: {' '.join(str(error).split())[:300]}") from None
    except (RuntimeError, OSError, submitit.core.utils.FailedJobError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{kind} does not take jobs from here: {reason}; run this where sbatch works") from None
    return [Job(job, Path(job.paths.stderr)) for job in jobs]


def pins(workers: int, devices: int = 1) -> list[dict[str, str]]:
    """For each of some workers of this machine, the environment that shows it only its own GPUs; empty without GPUs."""
    named, program = os.environ.get("CUDA_VISIBLE_DEVICES"), shutil.which("nvidia-smi")
    visible = [one for one in (named or "").split(",") if one]
    if named is None and program is not None:  # torch would take seconds to import
        listed = subprocess.run([program, "-L"], capture_output=True, text=True).stdout
        visible = [str(number) for number, _ in enumerate(re.findall(r"(?m)^GPU \d+", listed))]
    if not visible:
        return [{} for _ in range(workers)]
    shares = [[visible[(worker * devices + one) % len(visible)] for one in range(devices)] for worker in range(workers)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(dict.fromkeys(share))} for share in shares]
