"""What a sweep found: results.csv, the best training copied out, a summary for the screen."""

import csv
import shlex
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from drpnet.io.atomic import whole_file
from drpnet.progress import console
from drpnet.sweep.space import Sweep
from drpnet.sweep.study import Study, asked_values, counts

SHOWN = 10
"""Trainings in the summary's table."""
NAMES = {
    TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
}  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """How many trials ended how, the best first, and why others failed."""

    counts: dict[str, int]
    ranked: list[FrozenTrial]
    problems: list[str]

    @property
    def has_best(self) -> bool:
        """Whether any training is complete."""
        return bool(self.ranked)


def state_of(trial: FrozenTrial) -> str:
    """complete, pruned, failed, killed (and done again under another number), running or waiting."""
    return NAMES[trial.state] if counts(trial) else "killed"


def summary(study: Study) -> Summary:
    """The study in numbers."""
    trials = study.trials()
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    ranked = sorted(complete, key=lambda trial: trial.value or 0.0, reverse=study.sweep.direction == "maximize")
    problems = [
        f"{trial.number}: {trial.user_attrs.get('problem', '')}" for trial in trials if trial.state == TrialState.FAIL
    ]
    return Summary(dict(Counter(map(state_of, trials))), ranked, problems)


def print_summary(found: Summary, sweep: Sweep, folder: Path) -> None:
    """The best trainings, the counts and the failures."""
    if found.ranked:
        table = Table("training", sweep.metric, *sweep.parameters, title=f"{folder}: the best {SHOWN}")
        for trial in found.ranked[:SHOWN]:
            values = [str(short(trial.params.get(name))) for name in sweep.parameters]
            table.add_row(str(trial.number), f"{trial.value:.4f}", *values)
        console.print(table)
    words = ", ".join(f"{number} {state}" for state, number in sorted(found.counts.items()))
    console.print(f"{sum(found.counts.values())} trainings: {words}", highlight=False)
    for problem in found.problems[:SHOWN]:
        console.print(f"[yellow]failed[/] {problem}", highlight=False, soft_wrap=True)
    if len(found.problems) > SHOWN:
        console.print(f"... {len(found.problems) - SHOWN} more in results.csv", highlight=False)


def trial_line(sweep: Sweep, trial: FrozenTrial) -> str:
    """One line for a trial that has ended."""
    settings = " ".join(f"{name}={short(trial.params.get(name))}" for name in sweep.parameters)
    what = f"{trial.value:.4f}" if trial.state == TrialState.COMPLETE else state_of(trial)
    note = trial.user_attrs.get("problem", "")
    return f"training {trial.number}: {what}  {settings}" + (f"  ({note})" if note else "")


def short(value: object) -> object:
    """A value for the screen."""
    return f"{value:.4g}" if isinstance(value, float) else value


def write_results(study: Study) -> None:
    """results.csv, report.html and best/ of the study's folder, of what is there."""
    from drpnet.sweep.pages import write_page  # plotly takes seconds to import

    trials = study.trials()
    if not trials:
        return
    write_csv(study, trials)
    write_page(
        study.optuna, study.sweep, study.folder / "report.html", [trial_line(study.sweep, one) for one in trials]
    )
    best = study.best()
    if best is not None:
        copy_best(study, best)


def write_csv(study: Study, trials: list[FrozenTrial]) -> None:
    """A row a trial, in the order of their numbers."""
    names = list(study.sweep.parameters)
    with (
        whole_file(study.folder / "results.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(["training", "state", study.sweep.metric, "seconds", *names, "folder", "problem", "again"])
        for trial in trials:
            known, notes = asked_values(trial), trial.user_attrs
            value = trial.value if trial.state == TrialState.COMPLETE else None
            folder = study.trial_folder(trial.number).relative_to(study.folder).as_posix()
            row = [trial.number, state_of(trial), value, notes.get("seconds"), *(known.get(name) for name in names)]
            rows.writerow([*row, folder, notes.get("problem", ""), notes.get("again", "")])


def copy_best(study: Study, best: FrozenTrial) -> None:
    """best/: the weights and the configuration of the best training, and the command that repeats it."""
    run, folder = study.trial_folder(best.number), study.folder / "best"
    for name in ("weights.safetensors", "config.yaml", "metrics.json"):
        if (run / name).is_file():
            with whole_file(folder / name) as temporary:
                shutil.copyfile(run / name, temporary)
    words = [*(study.sweep.program or ["drpnet", "train"]), *study.sweep.words(best.params)]
    text = f"# training {best.number}: {study.sweep.metric} {best.value}\n{shlex.join(words)}\n"
    with whole_file(folder / "command.txt") as temporary:
        temporary.write_text(text, encoding="utf-8")
