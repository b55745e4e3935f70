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
from experiments.label_efficiency.trainings import WAYS, tuned, untrained

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
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(given.result.read_text())["rows"] if given.result.is_file() else []
    real, out = given.real.resolve(), given.out.resolve()

    def add(key: dict[str, Any], make: Callable[[], dict[str, Any]]) -> None:
        if not any(key.items() <= row.items() for row in rows):
            rows.append(make())
            write_json({"rows": rows}, given.result)
            print(json.dumps(rows[-1]), flush=True)

    try:
        for plan in plans(given.entries, given.seeds):
            own = vars(plan)
            add({"entry": plan.entry, "seed": plan.seed, "way": "shipped"}, partial(untrained, plan, real))
            for way in WAYS if plan.labels else WAYS[1:]:
                add(own | {"way": way}, partial(tuned, plan, way, real, out))
            if given.topaz:
                add(own | {"way": "topaz"}, partial(topaz_trained, plan, given.topaz, real, out))
    except InputError as error:
        sys.exit(f"error: {error}")
    print(table(rows))
    curve(rows, given.result.with_name("curve.png"))


if __name__ == "__main__":
    main()
