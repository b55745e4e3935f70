"""The result of Table 4 as Markdown."""

from typing import Any

from drpnet.measures.rules import RULES
from experiments.table4.measure import primary

AVERAGE = {"pooled": "pooled", "mean": "mean over micrographs"}
MEASURED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("one to one", {}),
    ("without the band", {"border": True}),
    ("within 0.2 D", {"radius_diameters": 0.2}),
    ("many to one", {"rule": "many_to_one"}),
    ("mean", {"average": "mean"}),
)
"""Columns of the measured table: what is changed in the primary score, which is pooled, one to one, within half a diameter."""
SHOWN = 8
"""Rules that the last table shows; result.json has all."""


def tables(result: dict[str, Any]) -> str:
    """Arithmetic, and where something was measured the rows and the nearest rules."""
    lines = arithmetic_table(result["arithmetic"])
    if "rows" in result:
        lines += ["", *measured_table(result), "", *nearest_table(result)]
    return "\n".join(lines)


def arithmetic_table(result: dict[str, Any]) -> list[str]:
    """Lines: what the published numbers imply."""
    rows, labels = result["rows"], result["labels"]
    lines = [f"| published, {labels:,} labels | {' | '.join(rows)} |", "|---|" + "---|" * len(rows)]
    cells = {
        "picks": lambda row: f"{row['picks']:,}",
        "R, P, F as printed": lambda row: f"{row['recall']:.4f}, {row['precision']:.4f}, {row['f_measure_printed']:.4f}",
        "F from R and P": lambda row: f"**{row['f_measure']:.4f}**",
        "F from R and the text's P": lambda row: f"{row['f_measure_of_text']:.4f} (P {row['precision_of_text']:.4f})",
        "found labels, R x labels": lambda row: _count(row, "found_labels"),
        "true picks, P x picks": lambda row: _count(row, "true_picks"),
        "labels found per true pick": lambda row: f"**{row['found_per_true_pick']:.4f}**",
        "one pooled one-to-one matching": lambda row: "possible" if row["one_matching"] else "**impossible**",
        "R that P implies": lambda row: f"{row['recall_of_true_picks']:.4f}",
        "labels that would reconcile R and P": lambda row: _count(row, "implied_labels"),
        "greatest one-to-one P": lambda row: f"{row['precision_ceiling']:.4f}",
    }
    lines += [f"| {name} | {' | '.join(cell(row) for row in rows.values())} |" for name, cell in cells.items()]
    return lines


def _count(row: dict[str, Any], key: str) -> str:
    low, high = row[f"{key}_range"]
    return f"{row[key]:,.0f} ({low:,.0f} to {high:,.0f})"


def measured_table(result: dict[str, Any]) -> list[str]:
    """Lines: the published rows, then every picker by the primary rule and what is changed in it."""
    data = result["data"]
    lines = [f"Measured on {data['words']} ({data['micrographs']} micrographs, {data['labels']:,} labels). P / R / **F**:"]
    heads = " | ".join(name for name, _ in MEASURED)
    lines += ["", f"| | micrographs | picks / labels | {heads} |", "|---|---|---|" + "---|" * len(MEASURED)]
    total = result["arithmetic"]["labels"]
    for name, row in result["arithmetic"]["rows"].items():
        unknown = " |" * (len(MEASURED) - 1)
        lines.append(f"| published, {name} | 84 | {row['picks']:,} / {total:,} | {_prf(row)}, rule not stated |{unknown}")
    for row in result["rows"]:
        scores = " | ".join(_prf(primary(row, **change)) for _, change in MEASURED)
        lines.append(f"| {row['picker']} | {len(row['micrographs'])} | {row['picks']:,} / {row['labels']:,} | {scores} |")
    return [*lines, "", *differences(result)]


def differences(result: dict[str, Any]) -> list[str]:
    """Lines: DRPnet's rows minus the published one, and why they cannot be equal."""
    published = result["arithmetic"]["rows"]["DRPnet"]
    lines = ["| minus the published DRPnet row, one to one within 0.5 D | P | R | F |", "|---|---|---|---|"]
    for row in result["rows"]:
        if row["picker"].startswith("DRPnet"):
            score = primary(row)
            cells = (f"{score[key] - published[key]:+.3f}" for key in ("precision", "recall", "f_measure"))
            lines.append(f"| {row['picker']} | {' | '.join(cells)} |")
    count = result["data"]["micrographs"]
    reasons = {
        "archive": "other networks, another threshold, and the published rule is not known",
        "pictures": f"other pictures, {count} of 84, other labels, other networks, and the published rule is not known",
        "simulated": "a simulation, other networks, and the published rule is not known",
    }
    return [*lines, "", f"Why: {reasons[result['data']['source']]}."]


def _prf(score: dict[str, Any]) -> str:
    return f"{score['precision']:.3f} / {score['recall']:.3f} / **{score['f_measure']:.3f}**"


def nearest_table(result: dict[str, Any]) -> list[str]:
    """Lines: the rules whose labels found per true pick are nearest to the published DRPnet row's."""
    published = result["arithmetic"]["rows"]["DRPnet"]["found_per_true_pick"]
    table = result["nearest"]
    if not table:
        return ["No rule can be compared: nothing was found."]
    pickers = list(table[0]["found_per_true_pick"])
    lines = [f"Labels found per true pick, published: {published:.4f} (DRPnet). The nearest rules of {len(table)}:"]
    lines += ["", f"| rule | average | {' | '.join(pickers)} | off by |", "|---|---|" + "---|" * (len(pickers) + 1)]
    for row in table[:SHOWN]:
        words = RULES[row["rule"]].words.format(radius=f"{row['radius_diameters']:g} D")
        cells = " | ".join(f"{row['found_per_true_pick'][name]:.4f}" for name in pickers)
        lines.append(f"| {words} | {AVERAGE[row['average']]} | {cells} | {row['off']:.4f} |")
    return lines
