"""The result as Markdown, beside DRPnet's rows of experiments/real10017."""

from typing import Any

from experiments.real10017.shipped import EMPTY_DIAMETERS
from experiments.topaz.programs import DETECTORS
from experiments.topaz.scores import FINER_PIXEL_SIZE, SEVEN

STAGES = {"classifier": "cascade", "unet": "U-Net"}
HEAD = (
    "P", "R", "F", "best F", "at", "F at 0.2 D", "best F at 0.2 D", "F thinned", "best F thinned", "R at equal count",
)  # fmt: skip


def tables(result: dict[str, Any], drpnet: dict[str, Any]) -> str:
    """The parts that the result has as Markdown, with the rows of real10017's result beside them."""
    shipped = drpnet["shipped"]
    lines = heading("entry, picker", *HEAD)
    for name, row in result.get("entries", {}).items():
        lines += [as_line(f"{name}, {detector}", row[detector]) for detector in DETECTORS]
        if name == SEVEN:
            lines += seven_lines(drpnet["crossvalidation"], result.get("folds"))
        else:
            rows = {weights: part["entries"][f"{name} x1"] for weights, part in shipped.items()}
            lines += [as_line(f"{name}, DRPnet {weights}", ours) for weights, ours in rows.items()]
    if "finer" in result:
        lines += ["", *heading(f"about {FINER_PIXEL_SIZE:g} A a pixel", *HEAD)]
        for name, row in result["finer"].items():
            lines += [as_line(f"{name}, {detector}", row[detector]) for detector in DETECTORS]
    if "empty" in result:
        pickers = {detector: {row["micrograph"]: row[detector] for row in result["empty"]} for detector in DETECTORS}
        for weights, part in shipped.items():
            pickers[f"DRPnet {weights}"] = {row["micrograph"]: row["picks"] for row in part["empty"]}
        lines += ["", *empty_lines(pickers)]
    return "\n".join(lines)


def empty_lines(pickers: dict[str, dict[str, dict[str, int]]]) -> list[str]:
    """Picks on the particle-free pictures: counts by diameter, by picture, by picker; a row a picture, and one for all."""
    lines = heading("particle-free picture", *(f"{name}, {d} A" for d in EMPTY_DIAMETERS for name in pickers))
    for picture in next(iter(pickers.values())):
        counts = [found[picture][str(d)] for d in EMPTY_DIAMETERS for found in pickers.values()]
        lines.append(f"| {picture} | {' | '.join(map(str, counts))} |")
    sums = [sum(row[str(d)] for row in found.values()) for d in EMPTY_DIAMETERS for found in pickers.values()]
    return [*lines, f"| all | {' | '.join(map(str, sums))} |"]


def heading(*cells: str) -> list[str]:
    """The first two lines of a table."""
    return [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]


def as_line(name: str, row: dict[str, Any]) -> str:
    """A row of scores; what was not measured stays empty."""
    keys = (
        "precision", "recall", "f_measure", "best_f_measure", "best_threshold", "tight_f_measure", "tight_best_f_measure",
        "thinned_f_measure", "thinned_best_f_measure", "recall_at_equal_count",
    )  # fmt: skip
    cells = ["" if row.get(key) is None else f"{row[key]:.3f}" for key in keys]
    return f"| {name} | {' | '.join(cells)} |"


def seven_lines(crossvalidation: dict[str, Any], folds: dict[str, Any] | None) -> list[str]:
    """The published picks of Topaz, and cross-validations of Topaz and of DRPnet, on the seven micrographs."""
    rows = {"Topaz's published picks": crossvalidation["peers"]["topaz"]}
    rows |= {"Topaz resnet8, cross-validated": folds["pooled"]} if folds else {}
    rows |= {f"DRPnet {said}, cross-validated": crossvalidation["pooled"][stage] for stage, said in STAGES.items()}
    return [
        as_line(f"{SEVEN}, {name}", {**row["scores"], "tight_f_measure": row["tight"]["f_measure"]})
        for name, row in rows.items()
    ]
