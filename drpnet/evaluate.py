"""Score any picker's picks against labels: precision, recall, F, average precision; pooled and single."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.io.coordinates import Coordinates, is_inside, read_coordinate_set, require_inside
from drpnet.io.labels import read_labels
from drpnet.io.paths import MANIFEST
from drpnet.matching import (
    average_precision,
    best_threshold,
    check_radius,
    outside_border,
    true_in_score_order,
)
from drpnet.rules import RULES, Counts
from drpnet.shapes import micrograph_shapes

SHOWN = 40
"""Micrographs that the console lists; the result holds all."""


class Field(NamedTuple):
    """One micrograph: picks (n, 2), scores (n,) or None, labelled particles (k, 2), matching radius in px."""

    picks: np.ndarray
    scores: np.ndarray | None
    truth: np.ndarray
    radius_px: float


def evaluate(
    picks: Path,
    truth: Path,
    *,
    radius_px: float,
    border_px: float = 0,
    rule: str = "common",
    micrographs: Path | None = None,
) -> dict[str, Any]:
    """Score two sets of coordinates, each a folder of per-micrograph files or one particles .star.

    Micrographs that only one side knows are left out and listed under `not_picked` and `not_labelled`; a
    file without picks counts as a picked micrograph. With `border_px` above 0 picks and labels closer to an
    edge are dropped before matching; micrograph sizes come from the folder `micrographs`, else run.json
    among the picks, else a neighbouring folder named micrographs. Labels outside a micrograph of known size are an
    InputError, picks outside are counted under `picks_outside`; `sizes_known` says for how many micrographs.
    `note` says, for picks of `drpnet pick`, which classifier made them. Raises InputError, also when no micrograph
    is on both sides.
    """
    check_radius(radius_px)
    if not (math.isfinite(border_px) and border_px >= 0):
        raise InputError(f"the border is {border_px} px; give 0 (whole micrograph) or more")
    _check_rule(rule)
    picks, truth = Path(picks), Path(truth)
    picked, labelled = read_coordinate_set(picks), read_labels(truth)
    pairs = pair_names(list(picked), list(labelled))
    if not pairs:
        raise InputError(
            f"no micrograph is in both sets: {picks} has {_first(picked)}, {truth} has {_first(labelled)}; "
            "the file names or rlnMicrographName must agree"
        )
    fields = {
        name: Field(picked[key].centres, picked[key].scores, labelled[name].centres, radius_px)
        for key, name in pairs.items()
    }
    shapes = micrograph_shapes(list(fields), picks, truth, micrographs, required=border_px > 0)
    for name, shape in shapes.items():
        _check_labels(labelled[name], shape, name, truth)
    outside = {name: int((~is_inside(fields[name].picks, shape)).sum()) for name, shape in shapes.items()}
    if border_px > 0:
        for name, shape in shapes.items():
            if 2 * border_px >= min(shape):
                raise InputError(
                    f"the border of {border_px:g} px leaves nothing of {name} ({shape[0]} x {shape[1]} px); give less"
                )
        fields = {name: _inside(field, shapes[name], border_px) for name, field in fields.items()}
    result = score_micrographs(fields, rule)
    result["border_px"] = float(border_px)
    result["not_picked"] = sorted(set(labelled) - set(pairs.values()))
    result["not_labelled"] = sorted(set(picked) - set(pairs))
    result["picks_outside"] = {name: count for name, count in outside.items() if count}
    result["sizes_known"] = len(shapes)
    result["note"] = picker_note(picks)
    return result


def score_micrographs(
    fields: Mapping[str, tuple[np.ndarray, np.ndarray | None, np.ndarray, float]], rule: str = "common"
) -> dict[str, Any]:
    """The result of `evaluate` for the fields of `Field`, by micrograph.

    Pooled numbers count over all micrographs. Average precision and the best threshold need scores and a
    rule that can follow them (`common`), else they are None; `radius_px` is None where micrographs differ
    in it.
    """
    _check_rule(rule)
    rows, counts, flags = [], [], []
    for name, values in fields.items():
        field = Field(*values)
        try:
            counts.append(RULES[rule].count(field.picks, field.truth, field.radius_px))
            flags.append(_ranked(field, rule))
            summary = _summary(counts[-1], flags[-1], len(field.picks), len(field.truth))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        rows.append({"micrograph": name, **summary, "radius_px": float(field.radius_px)})
    known = [ranked for ranked, row in zip(flags, rows, strict=True) if row["picks"]]
    complete = [ranked for ranked in known if ranked is not None]
    pooled = None
    if complete and len(complete) == len(known):
        pooled = (np.concatenate([s for s, _ in complete]), np.concatenate([t for _, t in complete]))
    n_picks, n_truth = (sum(row[key] for row in rows) for key in ("picks", "truth"))
    radii = {row["radius_px"] for row in rows}
    return {
        **_summary(sum(counts, Counts(0, 0, 0, 0)), pooled, n_picks, n_truth),
        "rule": rule,
        "radius_px": radii.pop() if len(radii) == 1 else None,
        "border_px": 0.0,
        "per_micrograph": rows,
        "not_picked": [],
        "not_labelled": [],
    }


def _ranked(field: Field, rule: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Scores (n,) and whether each pick is true (n,), where there are scores and the rule follows them."""
    if field.scores is None or not RULES[rule].by_score:
        return None
    scores = np.asarray(field.scores, float)
    return scores, true_in_score_order(field.picks, field.truth, field.radius_px, scores)


def _summary(
    counts: Counts, ranked: tuple[np.ndarray, np.ndarray] | None, n_picks: int, n_truth: int
) -> dict[str, Any]:
    precision, recall, f = counts.precision_recall_f()
    average, threshold, best = None, None, None
    if ranked is not None:
        average = average_precision(*ranked, n_truth)
        threshold, best = best_threshold(*ranked, n_truth)
    return {
        "precision": precision,
        "recall": recall,
        "f_measure": f,
        "average_precision": average,
        "picks": n_picks,
        "truth": n_truth,
        "best_threshold": threshold,
        "best_f_measure": best,
    }


def pair_names(picked: Sequence[str], labelled: Sequence[str]) -> dict[str, str]:
    """Which name of the picks is which of the labels.

    Equal names, then stems found once on each side, then, of several with one stem, those whose folders agree as far
    as both tell them, with only one on the other side.
    """
    known = set(labelled)
    pairs = {name: name for name in picked if name in known}
    left, right = (_by_stem([name for name in names if name not in pairs]) for names in (picked, labelled))
    for stem, names in left.items():
        others = right.get(stem, [])
        alone = len(names) == len(others) == 1
        for name in names:
            agreeing = [other for other in others if alone or _agree(name, other)]
            if len(agreeing) == 1 and (alone or sum(_agree(one, agreeing[0]) for one in names) == 1):
                pairs[name] = agreeing[0]
    return pairs


def _by_stem(names: Sequence[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name in names:
        grouped.setdefault(Path(name).name, []).append(name)
    return grouped


def _agree(name: str, other: str) -> bool:
    """Whether one "<folder>/<stem>" is the end of the other."""
    parts, others = Path(name).parts, Path(other).parts
    shared = min(len(parts), len(others))
    return parts[-shared:] == others[-shared:]


def picker_note(picks: Path) -> str | None:
    """What run.json among the picks says of how they were made; None for picks of another program."""
    run = (picks if picks.is_dir() else picks.parent) / MANIFEST
    try:
        note = json.loads(run.read_text(encoding="utf-8"))["note"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if isinstance(note, str) else None


def _inside(field: Field, shape: tuple[int, int], border: float) -> Field:
    kept = outside_border(field.picks, shape, border)
    scores = None if field.scores is None else np.asarray(field.scores)[kept]
    truth = field.truth[outside_border(field.truth, shape, border)]
    return Field(field.picks[kept], scores, truth, field.radius_px)


def _check_labels(labels: Coordinates, shape: tuple[int, int], name: str, truth: Path) -> None:
    """Raise InputError when labels lie outside their micrograph: they would all count as missed."""
    try:
        require_inside(labels.centres, shape, f"{labels.source or truth}, micrograph {name}")
    except InputError as error:
        remedy = "bring the labels into its pixels, or name the right micrographs with --micrographs"
        raise InputError(f"{error} {remedy}") from None


def _check_rule(rule: str) -> None:
    if rule not in RULES:
        raise InputError(f"there is no matching rule {rule!r}; use one of {', '.join(RULES)}")


def _first(names: Mapping[str, Coordinates]) -> str:
    return f"{next(iter(names))!r} ({len(names)} in all)" if names else "none"


def print_evaluation(
    result: Mapping[str, Any], title: str | None = None, console: Console | None = None
) -> None:
    """A table of the pooled numbers and those of each micrograph, under the matching rule in words."""
    console = console or Console()
    radius = "a radius of its own" if result["radius_px"] is None else f"{result['radius_px']:g} px"
    words = f"Rule {result['rule']}: " + RULES[result["rule"]].words.format(radius=radius)
    if result["border_px"]:
        words += f"; {result['border_px']:g} px at the edges do not count"
    if result.get("note"):
        words += f"\nHow the picks were made: {result['note']}"
    heading = escape(f"{title}\n{words}" if title else words)
    table = Table(title=heading, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("micrograph", overflow="fold")
    for heading in ("picks", "labels", "P", "R", "F", "AP", "best F", "at"):
        table.add_column(heading, justify="right")
    rows = result["per_micrograph"]
    table.add_row(f"all {len(rows)} pooled", *_cells(result), style="bold", end_section=True)
    for row in rows[:SHOWN]:
        table.add_row(escape(row["micrograph"]), *_cells(row))
    if len(rows) > SHOWN:
        table.caption = f"and {len(rows) - SHOWN} more micrographs, all of them in the pooled row"
    console.print(table)
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


def _cells(row: Mapping[str, Any]) -> list[str]:
    shares = [row[key] for key in ("precision", "recall", "f_measure", "average_precision", "best_f_measure")]
    threshold = "-" if row["best_threshold"] is None else f"{row['best_threshold']:.3g}"
    return [
        str(row["picks"]),
        str(row["truth"]),
        *("-" if s is None else f"{s:.3f}" for s in shares),
        threshold,
    ]


def write_json(result: Mapping[str, Any], path: Path) -> None:
    """Write a result as JSON, whole or not at all; NaN and infinite numbers become null."""
    with whole_file(Path(path)) as temporary:
        temporary.write_text(json.dumps(_plain(result), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
