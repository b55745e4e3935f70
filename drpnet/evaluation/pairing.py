"""Which picks belong to which labels: two sets of coordinates brought together by the names of their micrographs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.coordinates import Coordinates, is_inside, read_coordinate_set, require_inside
from drpnet.io.labels import read_labels
from drpnet.measures.judging import Rule
from drpnet.measures.matching import outside_border
from drpnet.measures.scorecard import Field
from drpnet.shapes import micrograph_shapes


@dataclass(frozen=True)
class Pairing:
    """Fields by the labels' names of the micrographs that both sides know, and what was left out.

    `shapes` are the (h, w) that are known, `picks_outside` counts picks beyond their micrograph, `ambiguous` are stems in
    several folders that cannot be told apart.
    """

    fields: dict[str, Field]
    shapes: dict[str, tuple[int, int]]
    not_picked: list[str]
    not_labelled: list[str]
    picks_outside: dict[str, int] = field(default_factory=dict)
    ambiguous: list[str] = field(default_factory=list)


def read_pairing(
    picks: Path,
    truth: Path,
    reach: float,
    *,
    rule: Rule,
    border_px: float = 0,
    micrographs: Path | None = None,
    known: Mapping[str, tuple[int, int]] | None = None,
) -> Pairing:
    """Read and pair two sets of coordinates; with `border_px` above 0 the rule's edge rule is applied.

    Sizes (h, w) that are `known` already, by the labels' names, are not looked for again.
    Raises InputError when no micrograph is on both sides, for labels outside a micrograph of known size, and for a border
    that leaves nothing or whose micrographs have no known size.
    """
    picked, labelled = read_coordinate_set(picks), read_labels(truth)
    pairs, ambiguous = pair_sets(picked, labelled, picks, truth)
    fields = {
        name: Field(picked[key].centres, picked[key].scores, labelled[name].centres, reach)
        for key, name in pairs.items()
    }
    shapes = {name: known[name] for name in fields if known and name in known}
    unknown = [name for name in fields if name not in shapes]
    if unknown:
        shapes |= micrograph_shapes(unknown, picks, truth, micrographs, required=border_px > 0)
    for name, shape in shapes.items():
        check_labels(labelled[name], shape, name, truth)
    outside = {name: int((~is_inside(fields[name].picks, shape)).sum()) for name, shape in shapes.items()}
    if border_px > 0:
        for name, shape in shapes.items():
            if 2 * border_px >= min(shape):
                raise InputError(
                    f"the border of {border_px:g} px leaves nothing of {name} ({shape[0]} x {shape[1]} px); give less"
                )
        fields = {name: without_border(one, shapes[name], border_px, rule) for name, one in fields.items()}
    return Pairing(
        fields,
        shapes,
        sorted(set(labelled) - set(pairs.values())),
        sorted(set(picked) - set(pairs)),
        {name: count for name, count in outside.items() if count},
        ambiguous,
    )


def pair_sets(
    picked: Mapping[str, object], labelled: Mapping[str, object], picks: Path, truth: Path
) -> tuple[dict[str, str], list[str]]:
    """`pair_names` of two sets read from `picks` and `truth`, and the stems that cannot be told apart.

    Raises InputError when no micrograph is in both.
    """
    pairs = pair_names(list(picked), list(labelled))
    ambiguous = _ambiguous(set(picked) - set(pairs), set(labelled) - set(pairs.values()))
    if not pairs:
        if ambiguous:
            raise InputError(
                f"micrograph {ambiguous[0]} is in several folders of {picks} or {truth}, which do not tell which is "
                "which; name the folders alike on both sides, or score one folder at a time"
            )
        raise InputError(
            f"no micrograph is in both sets: {picks} has {_first(picked)}, {truth} has {_first(labelled)}; "
            "the file names or rlnMicrographName must agree"
        )
    return pairs, ambiguous


def without_border(field: Field, shape: tuple[int, int], border: float, rule: Rule) -> Field:
    """A field of an (h, w) image without what lies closer than `border` px to an edge, as the rule's `edge` says."""
    inner_picks = outside_border(field.picks, shape, border)
    inner_truth = outside_border(field.truth, shape, border)
    if rule.edge == "ignore":
        matching = rule.judge(field.picks, field.truth, field.radius_px, field.scores).matching
        if matching is not None:
            # a matched pick counts as its label does, an unmatched one by its own place
            inner_picks[matching.pick_index] = inner_truth[matching.truth_index]
    scores = None if field.scores is None else np.asarray(field.scores)[inner_picks]
    return Field(
        field.picks[inner_picks], scores, field.truth[inner_truth], field.radius_px, np.flatnonzero(inner_truth)
    )


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


def _ambiguous(picked: set[str], labelled: set[str]) -> list[str]:
    """Stems left over on both sides."""
    return sorted({Path(name).name for name in picked} & {Path(name).name for name in labelled})


def check_labels(labels: Coordinates, shape: tuple[int, int], name: str, truth: Path) -> None:
    """Raise InputError when labels lie outside their micrograph: they would all count as missed."""
    try:
        require_inside(labels.centres, shape, f"{labels.source or truth}, micrograph {name}")
    except InputError as error:
        remedy = "bring the labels into its pixels, or name the right micrographs with --micrographs"
        raise InputError(f"{error} {remedy}") from None


def _first(names: Mapping[str, object]) -> str:
    return f"{next(iter(names))!r} ({len(names)} in all)" if names else "none"
