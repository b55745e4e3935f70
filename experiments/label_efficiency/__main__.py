"""python -m experiments.label_efficiency --real data/real [--topaz ENVIRONMENT/bin/python]: F against the number of labels."""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.label_efficiency.peer import topaz_trained
from experiments.label_efficiency.plans import plans
from experiments.label_efficiency.shown import curve, table
from experiments.label_efficiency.trainings import WAYS, tuned, untrained, ways_of

HERE = Path(__file__).resolve().parent
ENTRIES = ("empiar10059", "empiar10146", "empiar10028")
"""Those of which the shipped weights saw no micrograph in training."""


def main() -> None:
    """Train what is not trained yet, a row of result.json each, then print the table and draw the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("data/real"), help="the laid-out micrographs")
    parser.add_argument("--out", type=Path, default=Path("outputs/label_efficiency"))
    parser.add_argument("--entries", nargs="+", choices=ENTRIES, default=ENTRIES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--topaz", help="python of the environment that has topaz: trains it on the same labels")
    parser.add_argument("--ways", nargs="+", choices=("shipped", *WAYS, "topaz"), help="some of the trainings only")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    given = parser.parse_args()
    ways = given.ways or ("shipped", *WAYS, *(["topaz"] if given.topaz else []))
    if "topaz" in ways and not given.topaz:
        parser.error("--ways topaz needs --topaz")
    real, out = given.real.resolve(), given.out.resolve()

    def add(key: dict[str, Any], make: Callable[[], dict[str, Any]]) -> None:
        if key["way"] not in ways or any(key.items() <= row.items() for row in rows_of(given.result)):
            return
        row = make()
        write_json({"rows": [*rows_of(given.result), row]}, given.result)  # read again: another program may have added some
        print(json.dumps(row), flush=True)

    try:
        for plan in plans(given.entries, given.seeds):
            own = vars(plan)
            add({"entry": plan.entry, "seed": plan.seed, "way": "shipped"}, partial(untrained, plan, real))
            for way in ways_of(plan):
                add(own | {"way": way}, partial(tuned, plan, way, real, out))
            add(own | {"way": "topaz"}, partial(topaz_trained, plan, given.topaz, real, out))
    except InputError as error:
        sys.exit(f"error: {error}")
    print(table(rows_of(given.result)))
    curve(rows_of(given.result), given.result.with_name("curve.png"))


def rows_of(result: Path) -> list[dict[str, Any]]:
    """The rows so far."""
    rows: list[dict[str, Any]] = json.loads(result.read_text())["rows"] if result.is_file() else []
    return rows


if __name__ == "__main__":
    main()
