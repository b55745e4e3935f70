"""python -m experiments.accuracy: result.json, the tables and the picture, from what the other experiments counted."""

import argparse
import json
from pathlib import Path
from typing import Any

from drpnet.evaluation.evaluate import write_json
from experiments.accuracy.compare import compared
from experiments.accuracy.draw import draw
from experiments.accuracy.sources import sets

HERE = Path(__file__).resolve().parent
WAYS = ("default", "best", "tight_default", "tight_best")


def main() -> None:
    """Compare, write the result, draw, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of result.json and accuracy.png")
    arguments = parser.parse_args()
    result = accuracy(*(json.loads((HERE.parent / name / "result.json").read_text()) for name in ("real10017", "topaz")))
    write_json(result, arguments.out / "result.json")
    draw(result, arguments.out / "accuracy.png")
    print(tables(result))


def accuracy(real10017: dict[str, Any], topaz: dict[str, Any]) -> dict[str, Any]:
    """By set of micrographs and way of scoring, a row for every picker."""
    found = {}
    for name, pickers in sets(real10017, topaz).items():
        found[name] = {way: compared(pickers, way) for way in WAYS if any(way in ways for ways in pickers.values())}
    return {"sets": found}


def tables(result: dict[str, Any]) -> str:
    """A table for every set; differences are from its first picker, and in bold where their interval leaves out 0."""
    lines = []
    for name, ways in result["sets"].items():
        number = ways["default"][0]["micrographs"]
        lines += [f"| {name}, {number} micrographs | F | 95 % | minus the first | 95 % | best F | minus the first | 95 % |"]
        lines += ["|---" * 8 + "|"]
        pickers = dict.fromkeys(row["picker"] for way in ("default", "best") for row in ways.get(way, []))
        for picker in pickers:
            cells = [*_cells(ways, "default", picker, True), *_cells(ways, "best", picker, False)]
            lines.append(f"| {picker} | {' | '.join(cells)} |")
        lines += ["", f"| {name}, within 0.2 diameters | F | minus the first | 95 % | best F | minus the first | 95 % |"]
        lines += ["|---" * 7 + "|"]
        for picker in pickers:
            cells = [*_cells(ways, "tight_default", picker, False), *_cells(ways, "tight_best", picker, False)]
            lines.append(f"| {picker} | {' | '.join(cells)} |")
        lines += [""]
    return "\n".join(lines).rstrip()


def _cells(ways: dict[str, Any], way: str, picker: str, with_interval: bool) -> list[str]:
    rows = ways.get(way, [])
    row = next((row for row in rows if row["picker"] == picker), None)
    if row is None:
        return [""] * (4 if with_interval else 3)
    own = [f"{row['f_measure']:.3f}"] + ([_span(row["interval"])] if with_interval else [])
    if row is rows[0]:
        return [*own, "", ""]
    low, high = row["difference_interval"]
    bold = "**" if low > 0 or high < 0 else ""
    return [*own, f"{bold}{row['difference']:+.3f}{bold}", _span(row["difference_interval"], "+")]


def _span(pair: list[float], sign: str = "") -> str:
    return f"{pair[0]:{sign}.3f} to {pair[1]:{sign}.3f}"


if __name__ == "__main__":
    main()
