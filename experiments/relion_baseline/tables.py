"""The result as Markdown, with the paper's row and those of DRPnet and its peers, which are read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drpnet.errors import InputError

ROWS = {
    "templates_default": "RELION, templates, default threshold",
    "templates_chosen": "RELION, templates, chosen threshold",
    "log_default": "RELION, LoG, default threshold",
    "log_chosen": "RELION, LoG, chosen threshold",
    "drpnet_shipped": "DRPnet, shipped weights, chosen threshold",
}
DRPNET = {"fcrn": "DRPnet, FCRN alone, cross-validated", "classifier": "DRPnet, cascade, cross-validated"}


def tables(result: Mapping[str, Any], here: Path) -> str:
    """Scores, then what was chosen on the training micrographs; `here` is the folder of this experiment."""
    lines = ["| seven micrographs, 54 px | picks | P | R | F | F with the border band | F at 0.2 D |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [as_line(name, result["rows"][key]) for key, name in ROWS.items()]
    lines += [as_line(name, row) for name, row in others(here.parent / "real10017" / "result.json").items()]
    for row in json.loads((here / "expected.json").read_text())["rows"]:
        shares = f"{row['precision']:.3f} | {row['recall']:.3f} | **{row['f_measure']:.3f}**"
        lines.append(f"| {row['name']} | {row['picks']} | {shares} | | |")
    lines += ["", "| chosen on the training micrographs | setting | F there |", "|---|---|---|"]
    for kind, tried in result["search"].items():
        best = max(tried, key=lambda row: row["f_measure"])
        setting = ", ".join(f"{name} {value:g}" for name, value in best.items() if name != "f_measure")
        lines.append(f"| {kind} | {setting} | {best['f_measure']:.3f} |")
    return "\n".join(lines)


def as_line(name: str, row: Mapping[str, Any]) -> str:
    """A row of the first table."""
    s = row["scores"]
    return (
        f"| {name} | {s['picks']} | {s['precision']:.3f} | {s['recall']:.3f} | **{s['f_measure']:.3f}** | "
        f"{row['unrestricted']['f_measure']:.3f} | {row['tight']['f_measure']:.3f} |"
    )


def others(result: Path) -> dict[str, Any]:
    """DRPnet's and the peers' rows of real10017; InputError when they were not measured."""
    try:
        part = json.loads(result.read_text())["crossvalidation"]
        return {**{name: part["pooled"][key] for key, name in DRPNET.items()}, **part["peers"]}
    except (OSError, ValueError, KeyError):
        raise InputError(f"{result} has no cross-validation; run python -m experiments.real10017 first") from None
