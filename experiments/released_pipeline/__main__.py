"""python -m experiments.released_pipeline --real data/real: the authors' network against the picks that they shipped."""

import argparse
import sys
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.released_pipeline.compare import WEIGHTS, Sources, compare
from experiments.released_pipeline.steps import dark_blobs, steps

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the comparison, write result.json and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("data/real"), help="the laid-out micrographs")
    parser.add_argument("--authors", type=Path, help="the authors' .star files; else REAL/empiar10017/drpnet2019")
    parser.add_argument("--network", type=Path, help="the authors' network; else REAL/drpnet2019_weights/cnet_1.mat")
    parser.add_argument("--out", type=Path, default=Path("outputs/released_pipeline"), help="weights and picks")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    parser.add_argument("--steps", action="store_true", help="also change one step of the pipeline at a time")
    arguments = parser.parse_args()
    real = arguments.real
    sources = Sources(
        real,
        arguments.authors or real / "empiar10017" / "drpnet2019",
        arguments.network or real / "drpnet2019_weights" / "cnet_1.mat",
    )
    try:
        result = compare(sources, arguments.out)
    except InputError as error:
        sys.exit(f"error: {error}")
    if arguments.steps:
        result["steps"] = []
        for row in steps(sources, arguments.out / WEIGHTS):
            print(row, flush=True)
            result["steps"].append(row)
        result["dark_blobs"] = list(dark_blobs(arguments.out / WEIGHTS))
    write_json(result, arguments.result)
    print(tables(result))


def tables(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = ["| micrograph | picks | the authors shipped | contained | upside down | by chance | ours lie (y, x) px beside |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row['micrograph']} | {row['picks']} | {row['authors']} | **{row['upright']}** | {row['upside_down']} | "
        f"{row['by_chance']:.0f} | {row['displacement'][0]}, {row['displacement'][1]} |"
        for row in result["micrographs"]
    ]
    lines += ["", "| against the labels, 54 px | picks | P | R | F | F with the border band |", "|---|---|---|---|---|---|"]
    names = {"here": "first network, here", "authors": "both networks, the authors' shipped picks"}
    for key, row in result["labels"].items():
        lines.append(
            f"| {names[key]} | {row['picks']} | {row['precision']:.3f} | {row['recall']:.3f} | **{row['f_measure']:.3f}** | "
            f"{row['f_measure_with_border']:.3f} |"
        )
    if "steps" in result:
        lines += ["", "| one step changed | picks | contained within 8 px | within 3 px |", "|---|---|---|---|"]
        for row in result["steps"]:
            cells = (" + ".join(map(str, row[key])) for key in ("picks", "within_8", "within_3"))
            lines.append(f"| {row['step']} | {' | '.join(cells)} |")
        lines += ["", "| grey level of a blob's middle | its pick lies (y, x) px beside it |", "|---|---|"]
        lines += [f"| {row['grey_level']} | {row['pick'][0]}, {row['pick'][1]} |" for row in result["dark_blobs"]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
