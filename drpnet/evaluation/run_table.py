"""The scores of several runs side by side, with mean and standard deviation."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file

COLUMNS = {
    "precision": "P",
    "recall": "R",
    "f_measure": "F",
    "average_precision": "AP",
    "best_f_measure": "best F",
    "picks": "picks",
    "truth": "labels",
}
"""The numbers of a run, and their headings."""
_COUNTS = ("picks", "truth")
_PLACES = ((), ("test",), ("validation",))
"""Where in a JSON file the scores lie: in a result of drpnet evaluate at the top."""
Runs = dict[str, dict[str, Any]]
"""Numbers by run."""


def read_runs(sources: Sequence[Path]) -> Runs:
    """The scores of run folders (their metrics.json) and of JSON files, by the shortest names that tell them apart.

    Raises InputError for what is no such file and for one without an F, and when one is given twice.
    """
    files = [source / "metrics.json" if source.is_dir() else source for source in map(Path, sources)]
    real = [file.resolve() for file in files]
    if len(set(real)) < len(real):
        twice = next(file for place, file in enumerate(files) if real[place] in real[:place])
        raise InputError(f"{twice} is given twice; give every run once")
    return {name: _scores(file) for name, file in zip(_names(sources), files, strict=True)}


def _names(sources: Sequence[Path]) -> list[str]:
    """As many of the last parts of every path as tell all apart."""
    paths = [Path(source).resolve() for source in sources]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _scores(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file} does not exist; give run folders of training or files of drpnet evaluate --json") from None
    except (OSError, ValueError) as reason:
        raise InputError(f"{file} cannot be read as JSON ({reason}); give a file of drpnet evaluate --json") from None
    for place in _PLACES:
        own: Any = content
        for key in place:
            own = own.get(key) if isinstance(own, Mapping) else None
        if isinstance(own, Mapping) and _is_number(own.get("f_measure")):
            found = {key: own[key] if _is_number(own.get(key)) else None for key in COLUMNS}
            part = place[0] if place else "all"
            return found | {"part": part, "rule": own.get("rule"), "radius_px": own.get("radius_px")}
    raise InputError(f"{file} holds no scores (f_measure); give a metrics.json of training or a file of drpnet evaluate --json")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def mean_and_deviation(runs: Runs) -> dict[str, tuple[float | None, float | None]]:
    """Mean and standard deviation (n - 1) of each number.

    None where a run lacks it, and for all but counts where the runs were scored by different rules or radii; no deviation
    of one run.
    """
    rows: dict[str, tuple[float | None, float | None]] = {}
    alike = len(_rules(runs)) == 1
    for key in COLUMNS:
        values = [row[key] for row in runs.values() if row[key] is not None]
        if len(values) < len(runs) or not (alike or key in _COUNTS):
            values = []
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        rows[key] = (float(np.mean(values)) if values else None, deviation)
    return rows


def print_runs(runs: Runs, console: Console | None = None) -> None:
    """A table of the runs, their mean and deviation; says where they were not scored by the same rule."""
    console = console or Console()
    parts = {row["part"] for row in runs.values()} - {"all"}
    title = f"{' and '.join(sorted(parts))} micrographs" if parts else None
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("run", overflow="fold")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for place, (name, row) in enumerate(runs.items()):
        cells = [_cell(key, row[key]) for key in COLUMNS]
        table.add_row(escape(name), *cells, end_section=place == len(runs) - 1)
    both = mean_and_deviation(runs)
    for index, words in enumerate(("mean", "deviation")):
        table.add_row(words, *(_cell(key, both[key][index]) for key in COLUMNS), style="bold")
    console.print(table)
    rules = _rules(runs)
    if len({row["truth"] for row in runs.values()}) > 1:
        console.print("[bold yellow]NOTE:[/] the runs were scored on different labels: their numbers differ in them, too")
    if len(rules) > 1:
        kinds = {f"{rule or 'unknown'}, {'radius unknown' if radius is None else f'{radius:g} px'}" for rule, radius in rules}
        said = "; ".join(sorted(kinds))
        console.print(f"[bold yellow]NOTE:[/] the runs were scored by different rules or radii, so no mean: {escape(said)}")


def _rules(runs: Runs) -> set[tuple[str | None, float | None]]:
    return {(row["rule"], row["radius_px"]) for row in runs.values()}


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if key in _COUNTS else f"{value:.3f}"


def write_runs(runs: Runs, path: Path) -> None:
    """Write the runs, their mean and deviation as .csv, whole or not at all; empty: unknown."""
    both = mean_and_deviation(runs)
    rows = [{"run": name, **row} for name, row in runs.items()]
    rows += [{"run": words, **{key: both[key][index] for key in COLUMNS}} for index, words in enumerate(("mean", "deviation"))]
    with whole_file(Path(path)) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["run", "part", *COLUMNS, "rule", "radius_px"])
        writer.writeheader()
        writer.writerows(rows)
