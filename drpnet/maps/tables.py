"""Pickers compared by their maps, as Markdown tables."""

from typing import Any

from drpnet.maps.compare import MAIN, TRUTH, VARIANTS
from drpnet.maps.false_picks import SERIES


def markdown(result: dict[str, Any]) -> str:
    """What was picked, the resolution of every variant, what false picks do, and what the numbers depend on."""
    parts = [_picked(result), _resolutions(result), _numbers(result)]
    if result["false_picks"] is not None:
        parts.append(_dose(result["false_picks"]))
    return "\n\n".join([*parts, "\n".join(f"- {line}" for line in notes(result))]) + "\n"


def notes(result: dict[str, Any]) -> list[str]:
    """What the numbers depend on, in lines."""
    settings, simulation, sets = result["settings"], result["simulation"], result["settings"]["sets"]
    views = result["pickers"][0]["views"]
    efficiency = views["efficiency"]
    return [
        f"Simulated: {simulation['particles']:,} particles on {simulation['micrographs']} micrographs in known orientations; "
        f"{simulation['pixel_size']:g} Å a pixel, box {settings['box']}, {settings['symmetry']}.",
        f"Maps of {result['picks_each_set']:,} picks a picker and set, the best-scored ones, in {sets} sets of micrographs; "
        "mean and 95 % interval over the sets. Picks, precision and recall are of all picks, those near the edges included.",
        "Halves: masked, corrected FSC of the half maps at 0.143; truth: FSC of the whole map with the structure at 0.5.",
        *(f"{name}: {words}." for name, words in VARIANTS.items()),
        "False picks that are aligned look like the structure to both halves alike: no FSC tells that from signal.",
        f"E_od: box {efficiency['box']}, B {efficiency['b_factor']:g}; missing views: of the {views['unit_total']:,} of the "
        f"asymmetric unit, with {views['equal_particles']:,} true picks of each picker.",
        "p: how often recall by view would be as uneven if views did not matter, exchanged within micrographs.",
    ]


def _picked(result: dict[str, Any]) -> str:
    heads = (
        "picker", "picks", "precision", "recall", "offset (Å)", "E_od", "missing at equal N", "recall, side less axial views",
        "p",
    )  # fmt: skip
    rows = []
    for row in result["pickers"]:
        recall, views = row["recall_by_view"], row["views"]
        bounds = recall["side_minus_axis_interval"]
        uneven = "-" if recall["side_minus_axis"] is None else f"{recall['side_minus_axis']:+.3f}"
        if bounds is not None:
            uneven += f" [{bounds[0]:+.3f}, {bounds[1]:+.3f}]"
        is_truth = row["name"] == TRUTH
        rows.append(
            [
                row["name"],
                f"{row['picks']:,}",
                f"{row['precision']:.3f}",
                f"{row['recall']:.3f}",
                "-" if row["offset_rms"] is None else f"{row['offset_rms']:.1f}",
                f"{views['efficiency']['e_od']:.3f}",
                f"{views['missing_at_equal_particles']:,.0f}",
                "-" if is_truth else uneven,
                "-" if is_truth else p_value(recall["p_uniform"]),
            ]
        )
    return table(heads, rows)


def _resolutions(result: dict[str, Any]) -> str:
    heads = ("picker", "map of", "halves (Å)", "truth (Å)", "truth, worse than the ceiling by (Å)")
    rows = []
    for row in result["pickers"]:
        for name, measured in row["variants"].items():
            if row["name"] == TRUTH and name != MAIN:
                continue  # all four are the same particles
            words = "all" if row["name"] == TRUTH else name
            worse = "-" if row["name"] == TRUTH else number(row["worse_than_truth"][name]["truth"], sign=True)
            rows.append([row["name"], words, number(measured["halves"]), number(measured["truth"]), worse])
    return table(heads, rows)


def _numbers(result: dict[str, Any]) -> str:
    points = result["pickers"][0]["by_number"]
    heads = ("picker, halves (Å) with", *(f"{point['picks']:,} picks" for point in points), "B (Å²)")
    rows = [
        [row["name"], *(number(point["halves"]) for point in row["by_number"]), _b_factor(row["rosenthal_henderson"])]
        for row in result["pickers"]
    ]
    return table(heads, rows)


def _b_factor(found: dict[str, Any]) -> str:
    fit = found["fit"]
    if fit is None:
        return "-"
    low, high = fit["b_factor_interval"]
    return f"{fit['b_factor']:,.0f} [{low:,.0f}, {high:,.0f}]"


def _dose(found: dict[str, Any]) -> str:
    columns = [f"{name}, {key} (Å)" for name in SERIES for key in ("halves", "truth")]
    heads = (f"false among {found['picks_each_set']:,} picks", *columns)
    rows = []
    for place, share in enumerate(found["shares"]):
        cells = [number(found["series"][name][place][key]) for name in SERIES for key in ("halves", "truth")]
        rows.append([f"{share:.0%}", *cells])
    only = found["only_false"]
    rows.append(["false alone, aligned", "-", "-", "-", "-", number(only["halves"]), number(only["truth"])])
    return table(heads, rows)


def p_value(value: float, equals: str = "") -> str:
    """A p value, with the sign of equality where it has one."""
    return f"{equals}{value:.3f}" if value >= 0.001 else f"{equals.replace('= ', '')}< 0.001"


def number(found: dict[str, Any], sign: bool = False) -> str:
    """A mean with its interval; a dash where a curve started below its threshold in some set."""
    if found["mean"] is None:
        return "-"
    form = "+.1f" if sign else ".1f"
    bounds = found["interval"]
    return format(found["mean"], form) + ("" if bounds is None else f" [{bounds[0]:{form}}, {bounds[1]:{form}}]")


def table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *(f"| {' | '.join(row)} |" for row in rows)])
