"""python -m experiments.topaz --real data/real --topaz ENVIRONMENT/bin/python: Topaz beside DRPnet; result.json and tables."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.topaz.scores import empty, entries, finer
from experiments.topaz.tables import tables

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Pick what is not picked yet, score all, write result.json, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topaz", default="topaz", help="python of the environment that has topaz, or a command")
    parser.add_argument("--real", type=Path, default=Path("data/real"), help="the laid-out micrographs")
    parser.add_argument("--out", type=Path, default=Path("outputs/topaz"), help="Topaz's picks are kept there")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    try:
        result = {
            "entries": entries(arguments.topaz, arguments.real, arguments.out),
            "empty": empty(arguments.topaz, arguments.real / "particle_free", arguments.out),
            "finer": finer(arguments.topaz, arguments.real, arguments.out),
            "made_with": made_with(arguments.out),
        }
    except InputError as error:
        sys.exit(f"error: {error}")
    write_json(result, arguments.result)
    print(tables(result, json.loads((HERE.parent / "real10017" / "result.json").read_text())))


def made_with(out: Path) -> dict[str, Any]:
    """The command and the versions that made the downsampled micrographs, by entry and factor."""
    records = {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in sorted(out.glob("*/s*.json"))}
    return {name: {key: record[key] for key in ("command", "versions")} for name, record in records.items()}


if __name__ == "__main__":
    main()
