"""python -m drpnet.sweep.worker STUDY TRIALS: one worker of a sweep, which does one trial after the other."""

import signal
import sys
from dataclasses import asdict
from pathlib import Path

import yaml
from optuna import Trial
from optuna.trial import TrialState

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.sweep.space import Sweep
from drpnet.sweep.study import Study
from drpnet.sweep.trial import Outcome, run_trial

SWEEP = "sweep.yaml"
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def write_sweep(sweep: Sweep, folder: Path) -> None:
    """Note in a study's folder what it searches."""
    with whole_file(folder / SWEEP) as temporary:
        temporary.write_text(yaml.safe_dump(asdict(sweep), sort_keys=False), encoding="utf-8")


def read_sweep(folder: Path) -> Sweep | None:
    """What the study in a folder searches; None where there is none. InputError for a broken note."""
    path = folder / SWEEP
    try:
        return Sweep(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} is no note of a sweep ({type(error).__name__}); name a new study") from None


def work(folder: Path, trials: int, changes: dict[str, str] | None = None) -> None:
    """Do trials of the study in `folder` until `trials` of it are done or being done.

    `changes` to the environment of the trainings, such as the device. What shows that the sweep itself is wrong, a
    metric that no training writes, stops all workers.
    """
    sweep = read_sweep(folder)
    if sweep is None:
        raise InputError(f"{folder} holds no {SWEEP}; start it with drpnet sweep")
    study = Study(folder, sweep)
    while (taken := study.next(trials)) is not None:
        trial, values, mark = taken
        place = study.trial_folder(trial.number)
        try:
            outcome = run_trial(sweep, sweep.words(values), place, mark, _asks(trial), changes)
        except InputError as error:
            study.stop(str(error))
            outcome = Outcome("failed", None, str(error))
        value = outcome.value if outcome.state == "complete" else None
        study.end(
            trial.number, _STATES[outcome.state], value, problem=outcome.problem, seconds=round(outcome.seconds, 1)
        )
        mark.drop()


def _asks(trial: Trial):
    def should_end(epoch: int, value: float) -> bool:
        trial.report(value, epoch)
        return trial.should_prune()

    return should_end


if __name__ == "__main__":
    # whoever ends this worker ends its training, too, where the kernel does not see to it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work(Path(sys.argv[1]), int(sys.argv[2]))
