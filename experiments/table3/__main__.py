"""python -m experiments.table3: the arithmetic of Table 3; with refinements at hand, drpnet quality recomputes it."""

import argparse
from pathlib import Path
from typing import Any

from drpnet.evaluation.evaluate import write_json
from experiments.table3.arithmetic import arithmetic

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Compute, write result.json and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    result = arithmetic()
    write_json(result, arguments.result)
    print(tables(result))


def tables(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    heads = (
        "entry", "program", "group", "missing", "at best", "beyond it", "random views", "unit seen", "C1 missing",
        "random views, C1",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in result["rows"]:
        cells = [
            row["entry"],
            row["program"],
            row["symmetry"],
            f"{row['missing_views']:,}",
            f"{row['attainable_minimum']:,}",
            f"{row['missing_beyond_minimum']:,}",
            f"{row['random_missing_beyond_minimum']:.0f}",
            f"{row['occupied_share_of_unit']:.1%}",
            f"{row['missing_views_c1']:,}",
            f"{row['random_missing_c1']:,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    even = ", ".join(f"{value:.3f} with B = {b}" for b, value in result["even_views"].items())
    return "\n".join([*lines, "", f"E_od of 50,000 random views, box 64: {even}."])


if __name__ == "__main__":
    main()
