"""The result as Markdown, beside DRPnet's rows of experiments/real10017."""

from typing import Any

from experiments.real10017.shipped import EMPTY_DIAMETERS
from experiments.topaz.programs import DETECTORS
from experiments.topaz.scores import FINER_PIXEL_SIZE, SEVEN

HEAD = (
    "P", "R", "F", "best F", "at", "F at 0.2 D", "best F at 0.2 D", "F thinned", "best F thinned", "R at equal count",
)  # fmt: skip


def tables(result: dict[str, Any], drpnet: dict[str, Any]) -> str:
    """The result as Markdown, with the rows of real10017's result beside it."""
    lines = heading("entry, picker", *HEAD)
    for name, row in result["entries"].items():
        for detector in DETECTORS:
            lines.append(as_line(f"{name}, {detector}", row[detector]))
        ours = drpnet["shipped"]["entries"].get(f"{name} x1")
        if ours:
            lines.append(as_line(f"{name}, DRPnet shipped", ours))
        elif name == SEVEN:
            lines += seven_lines(drpnet["crossvalidation"])
    lines += ["", *heading(f"about {FINER_PIXEL_SIZE:g} A a pixel", *HEAD)]
    for name, row in result["finer"].items():
        lines += [as_line(f"{name}, {detector}", row[detector]) for detector in DETECTORS]
    lines += ["", *heading("particle-free picture, picks", *(f"{d} A" for d in EMPTY_DIAMETERS))]
    own = {row["micrograph"]: row["picks"] for row in drpnet["shipped"]["empty"]}
    for row in [*result["empty"], total(result["empty"], own)]:
        ours = row.get("drpnet") or own[row["micrograph"]]
        cells = [f"{row['resnet16'][str(d)]} / {row['resnet8'][str(d)]} / {ours[str(d)]}" for d in EMPTY_DIAMETERS]
        lines.append(f"| {row['micrograph']} | {' | '.join(cells)} |")
    return "\n".join(lines)


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


def seven_lines(crossvalidation: dict[str, Any]) -> list[str]:
    """The published picks of Topaz and DRPnet's cross-validation on the seven micrographs, as they are."""
    rows = {"Topaz's published picks": crossvalidation["peers"]["topaz"]}
    rows |= {"DRPnet, cross-validated": crossvalidation["pooled"]["classifier"]}
    return [
        as_line(f"{SEVEN}, {name}", {**row["scores"], "tight_f_measure": row["tight"]["f_measure"]})
        for name, row in rows.items()
    ]


def total(rows: list[dict[str, Any]], own: dict[str, dict[str, int]]) -> dict[str, Any]:
    """All pictures together; `own` are DRPnet's counts by picture."""

    def summed(counts: list[dict[str, int]]) -> dict[str, int]:
        return {str(d): sum(one[str(d)] for one in counts) for d in EMPTY_DIAMETERS}

    by_detector = {detector: summed([row[detector] for row in rows]) for detector in DETECTORS}
    return {"micrograph": "all eight", **by_detector, "drpnet": summed([own[row["micrograph"]] for row in rows])}
