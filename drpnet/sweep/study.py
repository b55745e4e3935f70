"""The study: which trials there are and which come next, in Optuna's journal, a file that many workers may share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from drpnet.sweep.children import Mark, is_worked_on
from drpnet.sweep.lock import FolderLock
from drpnet.sweep.space import Parameter, Sweep, Value

optuna.logging.set_verbosity(optuna.logging.ERROR)
JOURNAL, NAME = "journal.log", "sweep"
MOST_KILLED = 3
"""A trial that was killed so often is not tried again: it may be what kills its worker."""


class Study:
    """A sweep's study in a folder; every change of who does what happens under one lock."""

    def __init__(self, folder: Path, sweep: Sweep):
        """Open or create the study of a folder."""
        self.folder, self.sweep = folder, sweep
        journal = str(folder / JOURNAL)
        self.folder_lock = FolderLock(folder / f"{JOURNAL}.trials")
        with self.lock():
            self.storage = JournalStorage(JournalFileBackend(journal, FolderLock(folder / JOURNAL)))
            self.optuna = optuna.create_study(
                storage=self.storage,
                study_name=NAME,
                load_if_exists=True,
                direction=StudyDirection[sweep.direction.upper()],
                pruner=pruner(sweep),
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Alone among all programs that work in this folder."""
        self.folder_lock.acquire()
        try:
            yield
        finally:
            self.folder_lock.release()

    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self.optuna.get_trials(deepcopy=False)

    def trial_folder(self, number: int) -> Path:
        """Where a trial's run folder is."""
        return self.folder / "trials" / f"{number:04d}"

    def enqueue_grid(self) -> None:
        """Put every point of the grid that is not there yet into the queue, from which each is taken once."""
        with self.lock():
            there = [asked_values(trial) for trial in self.trials()]
            for point in self.sweep.grid():
                if point not in there:
                    self.optuna.enqueue_trial(point)
                    self.folder_lock.touch()  # a large grid takes its time

    def next(self, trials: int) -> tuple[optuna.Trial, dict[str, Value], Mark] | None:
        """A trial for this worker, marked as its own, or None when `trials` are done or being done."""
        with self.lock():
            self.requeue_killed()
            known = self.trials()
            waiting = any(trial.state == TrialState.WAITING for trial in known)
            if self.stopped() or not (waiting or len([trial for trial in known if counts(trial)]) < trials):
                return None
            # a sampler's draws follow from the seed and how many began before, whichever worker asks
            self.optuna.sampler = sampler(self.sweep, sum(trial.state != TrialState.WAITING for trial in known))
            trial = self.optuna.ask({name: distribution(one) for name, one in self.sweep.parameters.items()})
            return trial, dict(trial.params), Mark(self.trial_folder(trial.number))

    def requeue_killed(self) -> None:
        """Fail the trials whose worker is dead, and put their values into the queue again; under the lock."""
        for trial in self.trials():
            if trial.state == TrialState.RUNNING and not is_worked_on(self.trial_folder(trial.number)):
                before = int(trial.user_attrs.get("killed_before", 0)) + 1
                again = before < MOST_KILLED
                note = "its worker was killed" + ("; queued again" if again else f" {before} times; not tried again")
                queued = any(other.user_attrs.get("again") == trial.number for other in self.trials())
                if again and not queued:  # first, so that a kill in between loses no point of a grid
                    attributes = {"killed_before": before, "again": trial.number}
                    self.optuna.enqueue_trial(asked_values(trial), user_attrs=attributes)
                self.end(trial.number, TrialState.FAIL, problem=note, queued_again=again)

    def end(self, number: int, state: TrialState, value: float | None = None, **attributes: Any) -> None:
        """Note how a trial ended; nothing where that is known, for a worker that was silent for too long."""
        if self.trials()[number].state.is_finished():
            return
        place = self.storage.get_trial_id_from_study_id_trial_number(self.storage.get_study_id_from_name(NAME), number)
        for key, content in attributes.items():
            self.storage.set_trial_user_attr(place, key, content)
        self.optuna.tell(number, value, state)

    def stop(self, reason: str) -> None:
        """Tell every worker to start nothing more."""
        self.optuna.set_user_attr("stop", reason)

    def go_on(self) -> None:
        """Forget an earlier stop."""
        self.optuna.set_user_attr("stop", "")

    def stopped(self) -> str:
        """Why no more trials start; empty where they do."""
        return str(self.optuna.user_attrs.get("stop", ""))

    def is_complete(self, trials: int) -> bool:
        """Whether that many trials have ended, and none waits or runs."""
        known = [trial for trial in self.trials() if counts(trial)]
        return len(known) >= trials and all(trial.state.is_finished() for trial in known)

    def best(self) -> FrozenTrial | None:
        """The best complete trial."""
        complete = [trial for trial in self.trials() if trial.state == TrialState.COMPLETE]
        sign = 1 if self.sweep.direction == "maximize" else -1
        return max(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those that were asked for: not one that was killed and queued again."""
    return not trial.user_attrs.get("queued_again", False)


def asked_values(trial: FrozenTrial) -> dict[str, Value]:
    """The values of a trial, those of the queue with them."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def distribution(parameter: Parameter) -> BaseDistribution:
    """A parameter's values as Optuna has them."""
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.choices)
    assert parameter.low is not None and parameter.high is not None
    if parameter.whole:
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def sampler(sweep: Sweep, place: int) -> optuna.samplers.BaseSampler:
    """Draws the values of the trial at a place of the study; a grid's are in the queue."""
    seed = int(np.random.SeedSequence((sweep.seed, place)).generate_state(1)[0])
    if sweep.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


def pruner(sweep: Sweep) -> optuna.pruners.BasePruner:
    """What ends a training early, from the curves of those before it."""
    if sweep.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=sweep.startup_trials, n_warmup_steps=sweep.warmup_epochs)
    if sweep.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, sweep.warmup_epochs))
    return optuna.pruners.NopPruner()
