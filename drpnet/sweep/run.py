"""drpnet sweep: workers, a progress bar over what they do, and the results at the end."""

import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from optuna.trial import FrozenTrial, TrialState
from rich.progress import Progress

from drpnet.cluster import Job, pins, submit
from drpnet.errors import InputError
from drpnet.progress import bar
from drpnet.sweep.children import end, start
from drpnet.sweep.report import Summary, summary, trial_line, write_results
from drpnet.sweep.settings import SweepRun
from drpnet.sweep.study import Study, counts
from drpnet.sweep.worker import read_sweep, work, write_sweep

LOOK = 0.5
"""Seconds between two looks at the study."""
ROUNDS_WITHOUT_TRIAL = 2
"""Starts of all workers after which nothing has ended: then they cannot work here."""


class Worker(Protocol):
    """A process of this machine, or a job."""

    output: Path

    def is_running(self) -> bool:
        """Whether it runs or waits."""

    def stop(self) -> None:
        """End it."""


class Process:
    """A worker as a process of this machine; what it prints goes to a file."""

    def __init__(self, run: SweepRun, number: int, changes: dict[str, str]):
        """Start it with these changes to its environment."""
        self.output = run.study / "workers" / f"{number}.log"
        self.output.parent.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "drpnet.sweep.worker", str(run.study), str(run.trials)]
        with self.output.open("w", encoding="utf-8") as output:
            self.process: subprocess.Popen = start(words, output, changes)

    def is_running(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it, with what it has started."""
        end(self.process)


def sweep(run: SweepRun) -> Summary:
    """Do the trainings that the study lacks, then write its results; again, or at once elsewhere, to go on.

    Raises InputError for a study of another sweep, for a metric that no training writes, and where no worker can start.
    """
    study = open_study(run)
    workers: list[Worker] = []
    try:
        with bar() as progress:
            follow(run, study, workers, progress)
    except BaseException:
        for worker in workers:
            if not isinstance(worker, Job):  # jobs go on without us
                worker.stop()
        raise
    finally:
        write_results(study)
    if reason := study.stopped():
        raise InputError(reason)
    if run.wandb_project:
        from drpnet.sweep.wandb_rows import log_rows

        log_rows(study, run.wandb_project)
    return summary(study)


def open_study(run: SweepRun) -> Study:
    """The study in its folder, ready to go on: what a killed worker left is queued again, a grid is in the queue."""
    before = read_sweep(run.study)
    if before is None:
        if run.study.exists() and any(run.study.iterdir()):
            raise InputError(f"study={run.study} holds other files; name a new folder")
        write_sweep(run.sweep, run.study)
    elif different := differences(asdict(before), asdict(run.sweep)):
        raise InputError(f"{run.study} holds another sweep ({different}); name a new study")
    study = Study(run.study, run.sweep)
    study.go_on()
    if run.sweep.sampler == "grid":
        study.enqueue_grid()
    with study.lock():
        study.requeue_killed()
    return study


def differences(before: dict, now: dict) -> str:
    """What two sweeps differ in, for a message; empty where they are the same."""
    different = [key for key in now if before.get(key) != now[key]]
    short = [key for key in different if not isinstance(now[key], dict | list) and not isinstance(before[key], dict | list)]
    named = [f"{key} was {before[key]}, now {now[key]}" if key in short else f"other {key}" for key in different]
    return ", ".join(named)


def follow(run: SweepRun, study: Study, workers: list[Worker], progress: Progress) -> None:
    """Start workers and show what they do until the study is complete or stopped."""
    task = progress.add_task("Trainings", total=run.trials)
    shown = {trial.number for trial in study.trials() if trial.state.is_finished()}
    fruitless, ended = 0, len(shown)
    while True:
        show(study, progress, task, shown)
        busy = any(worker.is_running() for worker in workers)
        if not busy and (study.is_complete(run.trials) or study.stopped()):
            show(study, progress, task, shown)
            return
        if not busy and to_start(study, run):
            fruitless = 0 if len(shown) > ended else fruitless + 1
            if fruitless > ROUNDS_WITHOUT_TRIAL:
                raise InputError(f"the workers end without a training: {last_words(workers)}")
            ended = len(shown)
            workers[:] = start_workers(run, to_start(study, run), len(workers))
        elif not busy:
            with study.lock():  # others' trainings run; they may have died
                study.requeue_killed()
        time.sleep(LOOK)


def to_start(study: Study, run: SweepRun) -> int:
    """How many workers have something to do."""
    known = [trial for trial in study.trials() if counts(trial)]
    waiting = sum(trial.state == TrialState.WAITING for trial in known)
    return min(run.workers, waiting + max(0, run.trials - len(known)))


def start_workers(run: SweepRun, number: int, first: int) -> list[Worker]:
    """Start some workers: processes that share this machine's GPUs and cores, or the tasks of one job array."""
    if run.cluster == "slurm":
        arguments: list[tuple] = [(run.study.resolve(), run.trials)] * number
        return [*submit(run.cluster, run.submission, run.study / "jobs", work, arguments)]
    shares = pins(number, run.devices)
    if "OMP_NUM_THREADS" not in os.environ:
        threads = str(max(1, (os.cpu_count() or 1) // (number * run.devices)))
        shares = [{**share, "OMP_NUM_THREADS": threads} for share in shares]
    if run.cluster == "local":
        arguments = [(run.study.resolve(), run.trials, share) for share in shares]
        return [*submit(run.cluster, run.submission, run.study / "jobs", work, arguments)]
    run = replace(run, study=run.study.resolve())
    return [Process(run, first + index, share) for index, share in enumerate(shares)]


def show(study: Study, progress: Progress, task, shown: set[int]) -> None:
    """Move the bar, and print a line for every trial that has ended since."""
    known = study.trials()
    for trial in known:
        if trial.state.is_finished() and trial.number not in shown:
            shown.add(trial.number)
            progress.console.print(trial_line(study.sweep, trial), highlight=False, soft_wrap=True)
    best = study.best()
    text = "Trainings" if best is None else f"Trainings, best {best.value:.4g} ({best.number})"
    progress.update(task, completed=ended_trials(known), description=text)


def ended_trials(known: list[FrozenTrial]) -> int:
    """How many of the trials that were asked for have ended."""
    return sum(counts(trial) and trial.state.is_finished() for trial in known)


def last_words(workers: list[Worker]) -> str:
    """The last line that a worker printed."""
    for worker in workers:
        if worker.output.is_file():
            lines = worker.output.read_text(encoding="utf-8", errors="replace").split("\n")
            if written := [line for line in lines if line.strip()]:
                return f"{written[-1][:300]} ({worker.output})"
    return "they printed nothing"
