"""One HTML page of a study that opens from disk: its history, what mattered, which settings went together."""

import html
from collections.abc import Callable
from pathlib import Path

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState
from optuna.visualization import (
    plot_intermediate_values,
    plot_optimization_history,
    plot_parallel_coordinate,
    plot_param_importances,
    plot_slice,
)

from drpnet.io.atomic import whole_file
from drpnet.sweep.space import Sweep

_STYLE = (
    "body{font-family:sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "pre{overflow-x:auto;background:#f4f4f4;padding:1em}"
)


def write_page(study: optuna.Study, sweep: Sweep, path: Path, lines: list[str]) -> None:
    """The pictures that the trials so far allow, and a line a trial; plotly's script is in the page, once."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    parts: list[str] = []
    for title, draw in pictures(study, sweep, len(complete)).items():
        figure = draw()
        figure.update_layout(title=None, template="plotly_white", margin={"t": 30})
        script = not parts  # the first brings it for all
        body = figure.to_html(full_html=False, include_plotlyjs=script, config={"displaylogo": False})
        parts.append(f"<h2>{title}</h2>{body}")
    name = html.escape(path.parent.name)
    said = html.escape("\n".join(lines))
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sweep {name}</title><style>{_STYLE}</style></head>'
        f"<body><h1>Sweep {name}: {html.escape(sweep.metric)}</h1>{''.join(parts)}"
        f"<h2>Trainings</h2><pre>{said}</pre></body></html>"
    )
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def pictures(study: optuna.Study, sweep: Sweep, complete: int) -> dict[str, Callable[[], go.Figure]]:
    """What can be drawn, by its title."""
    drawn: dict[str, Callable[[], go.Figure]] = {}
    if not complete:
        return drawn
    name, evaluator = sweep.metric, optuna.importance.PedAnovaImportanceEvaluator(evaluate_on_local=False)
    drawn["History"] = lambda: plot_optimization_history(study, target_name=name)
    if sweep.curve and any(trial.intermediate_values for trial in study.get_trials(deepcopy=False)):
        drawn[f"Curves of {html.escape(sweep.curve)}"] = lambda: plot_intermediate_values(study)
    if complete < 2:
        return drawn
    if len(sweep.parameters) > 1 and _differ(study):
        drawn["Importance of the parameters (PED-ANOVA)"] = lambda: plot_param_importances(study, evaluator=evaluator)
        drawn["Settings together"] = lambda: plot_parallel_coordinate(study, target_name=name)
    drawn["Each parameter"] = lambda: plot_slice(study, target_name=name)
    return drawn


def _differ(study: optuna.Study) -> bool:
    """Whether the complete trainings have more than one value, without which nothing is important."""
    return len({trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}) > 1
