"""The result of an evaluation as tables on the console and as a .csv."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drpnet.io.atomic import whole_file
from drpnet.measures.judging import AVERAGES
from drpnet.measures.rules import parse_rule

SHOWN = 40
"""Micrographs that the console lists; the result holds all."""
_POOLED = {"micro": "pooled", "macro": "mean", "max": "best"}
_BREAKDOWN = {
    "edge": ("distance to the edge, diameters", 1.0),
    "crowding": ("nearest other label, diameters", 1.0),
    "defocus": ("defocus, micrometres", 1e-4),
    "tilt": ("view from the z axis, degrees", 1.0),
    "snr": ("signal-to-noise ratio", 1.0),
}
"""What each breakdown is by, and the factor to the unit that is shown."""


def print_evaluation(
    result: Mapping[str, Any], title: str | None = None, console: Console | None = None
) -> None:
    """Print the numbers of all micrographs and of each, what stands beside them, and what was left out."""
    console = console or Console()
    console.print(_micrographs(result, title))
    facts = list(_facts(result))
    if facts:
        console.print()
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in facts:
            table.add_row(label, escape(text))
        console.print(table)
    if result.get("comparison"):
        console.print()
        console.print(_comparison(result))
        console.print()
        console.print(_differences(result["comparison"]["differences"]))
    if result.get("breakdown"):
        console.print()
        console.print(_breakdown(result["breakdown"]))
    for key, text in (("not_picked", "labelled but not picked"), ("not_labelled", "picked but not labelled")):
        if names := result[key]:
            listed = ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
            console.print(f"[bold yellow]LEFT OUT, {text}: {len(names)} micrographs:[/] {escape(listed)}")
    if outside := result.get("picks_outside"):
        console.print(
            f"[bold yellow]OUTSIDE: {sum(outside.values())} picks lie outside their micrographs[/] "
            f"({len(outside)} micrographs, first {escape(next(iter(outside)))}); "
            "are they of a binned or flipped frame?"
        )
    for note in result.get("notes") or ():
        console.print(f"[bold yellow]NOTE:[/] {escape(note)}")


def _micrographs(result: Mapping[str, Any], title: str | None) -> Table:
    """The numbers of all micrographs and of each, under the matching rule in words."""
    rule = parse_rule(result["rule"])
    radius = "a radius of its own" if result["radius_px"] is None else f"{result['radius_px']:g} px"
    words = f"Rule {result['rule']}: " + rule.words.format(radius=radius)
    if "average" in result and result["average"] != "micro":
        words += f"; {AVERAGES[result['average']]}"
    if result["border_px"]:
        words += f"; {result['border_px']:g} px at the edges do not count"
    if result.get("note"):
        words += f"\nHow the picks were made: {result['note']}"
    table = Table(
        title=escape(f"{title}\n{words}" if title else words), box=box.SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False
    )
    table.add_column("micrograph", overflow="fold")
    for heading in ("picks", "labels", "P", "R", "F", "AP", "best F", "at"):
        table.add_column(heading, justify="right")
    rows = result["per_micrograph"]
    which = _POOLED[result.get("average", "micro")]
    table.add_row(f"all {len(rows)} {which}", *_cells(result), style="bold", end_section=True)
    for row in rows[:SHOWN]:
        table.add_row(escape(row["micrograph"]), *_cells(row))
    if len(rows) > SHOWN:
        table.caption = f"and {len(rows) - SHOWN} more micrographs, all of them in the first row"
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    shares = [row[key] for key in ("precision", "recall", "f_measure", "average_precision", "best_f_measure")]
    threshold = "-" if row["best_threshold"] is None else f"{row['best_threshold']:.3g}"
    return [str(row["picks"]), str(row["truth"]), *map(_share, shares), threshold]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _between(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _facts(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text of what stands beside precision and recall, as far as it is known."""
    bounds = result.get("intervals") or {}
    if bounds.get("f_measure"):
        names = {"precision": "P", "recall": "R", "f_measure": "F", "average_precision": "AP"}
        parts = [f"{name} {_between(bounds[key])}" for key, name in names.items() if bounds.get(key)]
        yield "95 % interval", f"{'; '.join(parts)} (bootstrap over micrographs)"
    if result.get("beta", 1) != 1:
        best = result["best_f_beta"]
        reached = "" if best is None else f"; best {best['f_beta']:.3f} at {best['threshold']:.3g}"
        yield f"F{result['beta']:g}", f"{result['f_beta']:.3f}{reached}"
    if place := result.get("localisation"):
        px = place["px"]
        others = [f"{place[key]['median']:.3g} {unit}" for key, unit in (("angstrom", "A"), ("diameters", "D")) if place[key]]
        also = f" ({', '.join(others)})" if others else ""
        shift = f"mean shift x {px['mean_x']:+.2f}, y {px['mean_y']:+.2f} px"
        yield "localisation", f"median {px['median']:.2f} px{also}, 95 % within {px['p95']:.1f} px; {shift}"
    if per := result.get("picks_per_micrograph"):
        text = f"{per['mean']:.0f} a micrograph (deviation {per['sd']:.0f}; {per['min']} to {per['max']})"
        if double := result.get("duplicates"):
            text += f"; {double['picks']} duplicates ({100 * double['rate']:.1f} %)"
        yield "picks", text
    if chance := result.get("chance"):
        text = f"as many random picks F {chance['random_f_measure']:.3f}, y-flipped {chance['flipped_f_measure']:.3f}"
        yield "chance", f"{text}; F corrected for chance {_share(chance['corrected_f_measure'])}"
    if fit := result.get("calibration"):
        yield "calibration", f"the score as a probability is off by {fit['expected_calibration_error']:.3f} on average"
    if ceiling := result.get("ceiling"):
        text = f"the other labels score P {ceiling['precision']:.3f}, R {ceiling['recall']:.3f}, F {ceiling['f_measure']:.3f}"
        mine = ceiling["f_measure_of_picks"]
        several = "" if len(ceiling["micrographs"]) == 1 else "s"
        text += f" on {len(ceiling['micrographs'])} micrograph{several}"
        yield "ceiling", text + ("" if mine is None else f"; the picks there {mine:.3f}")


def _comparison(result: Mapping[str, Any]) -> Table:
    compared = result["comparison"]
    count = len(compared["micrographs"])
    which = "one micrograph" if count == 1 else f"{count} micrographs"
    title = f"Pickers on the {which} that all have, {AVERAGES[result['average']]}"
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
    table.add_column("picker", overflow="fold")
    for heading in ("picks", "P", "R", "F", "95 %", "AP", "best F", "px"):
        table.add_column(heading, justify="right")
    for row in compared["rows"]:
        place = row["localisation"]
        table.add_row(
            escape(row["picker"]), str(row["picks"]), _share(row["precision"]), _share(row["recall"]),
            _share(row["f_measure"]), _between(row["intervals"]["f_measure"]), _share(row["average_precision"]),
            _share(row["best_f_measure"]), "-" if place is None else f"{place['px']['median']:.1f}",
        )  # fmt: skip
    return table


def _differences(rows: list[dict[str, Any]]) -> Table:
    title = f"minus {rows[0]['minus']}, on the same micrographs; below it the 95 % interval of the difference"
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("picker", overflow="fold")
    keys = {"precision": "P", "recall": "R", "f_measure": "F"}
    for heading in keys.values():
        table.add_column(heading, justify="right")
    for row in rows:
        cells = []
        for key in keys:
            bounds = row[f"{key}_interval"]
            cells.append(f"{row[key]:+.3f}" + ("" if bounds is None else f"\n{bounds[0]:+.3f} to {bounds[1]:+.3f}"))
        table.add_row(escape(row["picker"]), *cells)
    return table


def _breakdown(breakdown: Mapping[str, list[dict[str, Any]]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0, pad_edge=False)
    table.add_column("by", overflow="fold")
    for heading in ("from", "to", "picks", "labels", "P", "R", "F"):
        table.add_column(heading, justify="right", min_width=6)
    for key, rows in breakdown.items():
        words, factor = _BREAKDOWN[key]
        for place, row in enumerate(rows):
            last = "" if row["to"] is None else f"{row['to'] * factor:.3g}"
            table.add_row(
                words if place == 0 else "", f"{row['from'] * factor:.3g}", last, str(row.get("picks", "")),
                str(row["truth"]), *(_share(row[k]) if k in row else "" for k in ("precision", "recall", "f_measure")),
                end_section=place == len(rows) - 1,
            )  # fmt: skip
    return table


def write_csv(result: Mapping[str, Any], path: Path) -> None:
    """Write one row a micrograph with every number that the result has of it, whole or not at all; empty: unknown."""
    rows = result["per_micrograph"]
    with whole_file(Path(path)) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
