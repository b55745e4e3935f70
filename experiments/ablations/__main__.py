"""python -m experiments.ablations [--on simulated|real] [--rows NAME ...] [--seeds 5]: result_<on>.json and the table.

Rows that the committed result holds are not run again; `--again` runs them.
"""

import argparse
import json
import os
from collections.abc import Iterable
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import loky

from drpnet.evaluation.evaluate import write_json
from drpnet.pick_many import end_with
from drpnet.progress import bar
from experiments.ablations.draw import draw_differences
from experiments.ablations.rows import BENCHES, BY_NAME, Bench, Row, Task
from experiments.ablations.run import labelled, run, sized
from experiments.ablations.statistics import summary

HERE = Path(__file__).resolve().parent
Scores = dict[str, dict[int, dict[str, Any]]]
"""By row and seed."""


def main() -> None:
    """Run what is asked for and not done yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", choices=tuple(BENCHES), default="simulated")
    parser.add_argument("--rows", nargs="+", choices=tuple(BY_NAME), help="only these, with their baselines")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", default="small")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--out", type=Path, default=Path("outputs/ablations"), help="run folders")
    parser.add_argument("--result", type=Path, default=HERE, help="folder of the result and the picture")
    parser.add_argument("--again", action="store_true", help="also run what the result in that folder holds")
    given = parser.parse_args()
    bench, path = BENCHES[given.on], given.result / f"result_{given.on}.json"
    known = {} if given.again else held(path, given.budget)
    asked = with_baselines(given.rows) if given.rows else set(BY_NAME)
    rows = [row for row in bench.rows() if row.name in asked | set(known)]
    tasks = [
        Task(row, seed, bench, given.budget, given.out)
        for row in rows
        if row.name in asked
        for seed in range(given.seeds)
        if seed not in known.get(row.name, {})
    ]
    prepare(bench, tasks)
    scores = run_all(tasks, given.workers, known)
    result = {
        "bench": bench.name, "dataset": bench.dataset, "budget": given.budget, "seeds": given.seeds,
        "border_px": bench.border_px, "rows": [described(row, scores) for row in rows],
    }  # fmt: skip
    write_json(result, path)
    draw_differences(result, given.result / f"differences_{bench.name}.png")
    print(table(result))


def prepare(bench: Bench, tasks: list[Task]) -> None:
    """Simulate what is missing once, before the workers share it."""
    if tasks:
        labelled(bench)
    for name in {task.row.name for task in tasks if task.row.group == "particle size"}:
        sized(int(name.removeprefix("size_")))


def held(path: Path, budget: str) -> Scores:
    """The scores by row and seed that a result of the same budget holds."""
    result: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if result.get("budget") != budget:
        return {}
    return {row["name"]: {int(seed): one for seed, one in row["scores"].items()} for row in result["rows"]}


def with_baselines(names: Iterable[str]) -> set[str]:
    """The names with those of the rows that they are compared with."""
    found = set(names)
    while more := {BY_NAME[name].against for name in found} - found:
        found |= more
    return found


def run_all(tasks: list[Task], workers: int, known: Scores) -> Scores:
    """The known scores and those of every task; the baselines first, since others stand on their first network."""
    scores: Scores = {name: dict(of) for name, of in known.items()}
    phases = [[task for task in tasks if task.row.name == "fcrn"], [task for task in tasks if task.row.name != "fcrn"]]
    pool = loky.ProcessPoolExecutor(workers, initializer=end_with, initargs=(os.getpid(),))
    with bar() as progress, pool:
        shown = progress.add_task("Ablations", total=len(tasks))
        for phase in phases:
            futures = {pool.submit(run, task): task for task in phase}
            for future in as_completed(futures):
                task = futures[future]
                scores.setdefault(task.row.name, {})[task.seed] = future.result()
                progress.advance(shown)
    return scores


def described(row: Row, scores: Scores) -> dict[str, Any]:
    """A row of the result."""
    baseline = None if row.against == row.name or row.group == "baseline" else scores[row.against]
    return {
        "name": row.name, "group": row.group, "says": row.says, "against": row.against,
        **summary(scores[row.name], baseline), "scores": scores[row.name],
    }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "| | change | F, default threshold | best F | AP | difference | interval, seeds | interval, micrographs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        f, difference = row["f_measure"], row["difference"]
        cells = [row["group"], f"{row['says']}", f"{f['mean']:.3f} ± {row['spread_seeds']:.3f}"]
        cells += [f"{row[key]['mean']:.3f}" for key in ("best_f_measure", "average_precision")]
        if difference is None:
            cells += ["", "", ""]
        else:
            cells.append(f"**{difference['mean']:+.3f}**")
            cells += [f"{one['low']:+.3f} to {one['high']:+.3f}" for one in (difference, difference["over_micrographs"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)



if __name__ == "__main__":
    main()
