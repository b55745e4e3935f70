"""python -m experiments.topaz --real data/real --topaz ENVIRONMENT/bin/python: Topaz beside DRPnet; result.json and tables."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.real10017.data import ENTRIES
from experiments.topaz.folds import NAME, folds
from experiments.topaz.scores import FINER, empty, entry, finer
from experiments.topaz.tables import tables

HERE = Path(__file__).resolve().parent
PARTS = (*ENTRIES, "particle_free", "finer", "folds")


def main() -> None:
    """Pick what is not picked yet, score it, put each part into result.json as it is done, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topaz", default="topaz", help="python of the environment that has topaz, or a command")
    parser.add_argument("--real", type=Path, default=Path("data/real"), help="the laid-out micrographs")
    parser.add_argument("--out", type=Path, default=Path("outputs/topaz"), help="Topaz's picks are kept there")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the other parts of the result stay")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    result: dict[str, Any] = json.loads(arguments.result.read_text()) if arguments.result.is_file() else {}
    try:
        for part in arguments.only:
            add(result, part, arguments.topaz, arguments.real, arguments.out)
            write_json(result, arguments.result)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(tables(result, json.loads((HERE.parent / "real10017" / "result.json").read_text())))


def add(result: dict[str, Any], part: str, topaz: str, real: Path, out: Path) -> None:
    """Pick and score one part and put it into the result, with what made the picks."""
    if part in ENTRIES:
        result.setdefault("entries", {}).update(entry(topaz, real, out, part))
    elif part == "finer":
        result["finer"] = finer(topaz, real, out)
    elif part == "folds":
        result["folds"] = folds(topaz, real, out)
    else:
        result["empty"] = empty(topaz, real / part, out)
    result.setdefault("made_with", {}).update(made_with(out, {"finer": FINER, "folds": [NAME]}.get(part, [part])))


def made_with(out: Path, folders: Iterable[str]) -> dict[str, Any]:
    """The command and the versions that made the downsampled micrographs below `out`, by folder and factor."""
    paths = [path for folder in folders for path in sorted((out / folder).glob("s*.json"))]
    records = {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in paths}
    return {name: {key: record[key] for key in ("command", "versions")} for name, record in records.items()}


if __name__ == "__main__":
    main()
