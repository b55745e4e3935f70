"""The runs in one table, laid out as the paper's Table 3, and what stands behind it."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

HEADS = ("run", "symmetry", "picked", "selected", "missing views", "E_od", "resolution (A)")
VIEW_HEADS = ("run", "unit missing", "at equal N", "uniform", "PSF radius", "Pmax")
CURVE_HEADS = ("run", "0.143", "0.5", "unmasked 0.143", "RELION 0.143", "B (A^2)")


def table_rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row of text a run under HEADS; in parentheses what the same particles give without symmetry."""
    return [
        [
            result["name"],
            result["symmetry"],
            "-" if result["picked"] is None else f"{result['picked']:,}",
            f"{result['particles']:,}",
            _both(result, lambda run: f"{run['missing_views']['raw']:,}"),
            _both(result, lambda run: f"{run['efficiency']['e_od']:.2f}"),
            _both(result, lambda run: angstrom(best(run, "0.143")["shell"])),
        ]
        for result in results
    ]


def view_rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row of text a run under VIEW_HEADS."""
    rows = []
    for result in results:
        missing, efficiency, probability = result["missing_views"], result["efficiency"], result["maximum_probability"]
        rows.append(
            [
                result["name"],
                f"{missing['in_unit']:,} of {missing['unit_total']:,}",
                f"{missing['in_unit_at_equal_particles']:,.0f}",
                f"{missing['uniform']:,.0f}",
                f"{efficiency['mean_radius']:.2f} ± {efficiency['deviation']:.2f}",
                "-" if probability is None else f"{probability['mean']:.3f} ± {probability['deviation']:.3f}",
            ]
        )
    return rows


def curve_rows(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row of text a run under CURVE_HEADS."""
    rows = []
    for result in results:
        fsc, plot = result["fsc"], result["rosenthal_henderson"]
        rows.append(
            [
                result["name"],
                angstrom(best(result, "0.143")["interpolated"]),
                angstrom(best(result, "0.5")["interpolated"]),
                angstrom(fsc["resolution"]["unmasked"]["0.143"]["interpolated"]),
                angstrom(fsc["relion_resolution"]),
                "-" if plot is None else _b_factor(plot["fit"]),
            ]
        )
    return rows


def notes(results: Sequence[dict[str, Any]]) -> list[str]:
    """What the numbers of the tables depend on, in lines."""
    efficiency, least = results[0]["efficiency"], results[0]["missing_views"]["equal_particles"]
    minimum = {result["symmetry"]: result["missing_views"]["attainable_minimum"] for result in results}
    lines = [
        f"E_od: box {efficiency['box']} voxels, B {efficiency['b_factor']:g}; compare it only where both are the same.",
        f"missing views: of {results[0]['missing_views']['total']:,} (HEALPix nside 32), angles as they stand; at best "
        + ", ".join(f"{count:,} in {symmetry}" for symmetry, count in minimum.items())
        + ", where refinement puts all views into the asymmetric unit.",
        f"unit missing: views of the asymmetric unit; at equal N: with {least:,} of the particles; uniform: what as "
        "many random views leave.",
        "resolution: of the corrected FSC, in the first table that of the last shell, as RELION.",
    ]
    lines += [f"{result['name']}: FSC from {result['fsc']['source']}{_unmasked(result)}." for result in results]
    if any(result["without_symmetry"] for result in results):
        lines.append("in parentheses: refined without symmetry (C1).")
    return lines


def print_quality(results: Sequence[dict[str, Any]]) -> None:
    """Print the tables and the notes."""
    console = Console()
    for heads, rows in _tables(results):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for number, head in enumerate(heads):
            table.add_column(head, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table, markup=False)
    for line in notes(results):
        console.print(line, markup=False, highlight=False)


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """The tables and the notes as Markdown."""
    parts = []
    for heads, rows in _tables(results):
        lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, "\n".join(f"- {line}" for line in notes(results))]) + "\n"


def best(result: dict[str, Any], threshold: str) -> dict[str, float | None]:
    """Where the corrected FSC, which is the unmasked one without a mask, crosses a threshold."""
    crossing: dict[str, float | None] = result["fsc"]["resolution"]["corrected"][threshold]
    return crossing


def angstrom(value: float | None) -> str:
    """A resolution as text; a dash where the curve starts below the threshold."""
    return "-" if value is None else f"{value:.2f}"


def _tables(results: Sequence[dict[str, Any]]) -> list[tuple[tuple[str, ...], list[list[str]]]]:
    return [
        (HEADS, table_rows(results)),
        (VIEW_HEADS, view_rows(results)),
        (CURVE_HEADS, curve_rows(results)),
    ]


def _b_factor(fit: dict[str, Any]) -> str:
    bounds = fit["b_factor_interval"]
    return f"{fit['b_factor']:.0f}" + ("" if bounds is None else f" [{bounds[0]:.0f}, {bounds[1]:.0f}]")


def _both(result: dict[str, Any], text) -> str:
    bare = result["without_symmetry"]
    return text(result) if bare is None else f"{text(result)} ({text(bare)})"


def _unmasked(result: dict[str, Any]) -> str:
    return " without a mask" if result["fsc"]["masked"] is None else ""
