"""python -m experiments.real10017 --real data/real [--only crossvalidation|shipped]: result.json and tables."""

import argparse
import json
from pathlib import Path
from typing import Any

from drpnet.evaluation.evaluate import write_json
from experiments.real10017.crossvalidate import STAGES, crossvalidate
from experiments.real10017.shipped import EMPTY_DIAMETERS, shipped

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the parts that are asked for and merge them into result.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("data/real"), help="the laid-out micrographs")
    parser.add_argument("--out", type=Path, default=Path("outputs/real10017"), help="run folders of the folds")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    parser.add_argument("--weights", default="default", help="shipped name, or a .safetensors file; named by its stem")
    parser.add_argument("--only", choices=("crossvalidation", "shipped"))
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    result: dict[str, Any] = json.loads(arguments.result.read_text()) if arguments.result.is_file() else {}
    if arguments.only != "shipped":
        found = crossvalidate(arguments.real.resolve(), arguments.out.resolve(), arguments.stages)
        result["crossvalidation"] = joined(result.get("crossvalidation"), found)
    if arguments.only != "crossvalidation":
        name = Path(arguments.weights).stem
        result.setdefault("shipped", {})[name] = shipped(arguments.real.resolve(), arguments.weights)
    write_json(result, arguments.result)
    print(tables(result))


def joined(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """A cross-validation with what it had of other stages before."""
    if before is None:
        return now
    folds = [{**old, **new} for old, new in zip(before["folds"], now["folds"], strict=True)]
    return {"folds": folds, "pooled": {**before["pooled"], **now["pooled"]}, "peers": now["peers"]}


def tables(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = []
    if "crossvalidation" in result:
        part = result["crossvalidation"]
        lines += ["| seven micrographs, 54 px | P | R | F | F with the border band | F at 0.2 D |"]
        lines += ["|---|---|---|---|---|---|"]
        names = {"fcrn": "DRPnet, FCRN alone", "classifier": "DRPnet, cascade", "unet": "DRPnet, U-Net from simulations"}
        rows = [(names[key], value) for key, value in part["pooled"].items()] + list(part["peers"].items())
        for name, row in rows:
            s = row["scores"]
            lines.append(
                f"| {name} | {s['precision']:.3f} | {s['recall']:.3f} | **{s['f_measure']:.3f}** | "
                f"{row['unrestricted']['f_measure']:.3f} | {row['tight']['f_measure']:.3f} |"
            )
    for weights, part in result.get("shipped", {}).items():
        lines += ["", f"| {weights}: entry, diameter | P | R | F, default | best F | at | recall at equal count |"]
        lines += ["|---|---|---|---|---|---|---|"]
        for name, row in part["entries"].items():
            best = f"{row['best_f_measure']:.3f}"
            if "precision" in row:
                lines.append(
                    f"| {name} ({row['diameter']:.0f} A) | {row['precision']:.3f} | {row['recall']:.3f} | "
                    f"**{row['f_measure']:.3f}** | {best} | {row['best_threshold']:.2f} | {row['recall_at_equal_count']:.3f} |"
                )
            else:
                lines.append(f"| {name} | | | | {best} | | |")
        lines += ["", f"| {weights}: particle-free picture | " + " | ".join(f"{d} A" for d in EMPTY_DIAMETERS) + " |"]
        lines += ["|---|---|---|---|"]
        for row in part["empty"]:
            lines.append(f"| {row['micrograph']} | " + " | ".join(str(count) for count in row["picks"].values()) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
