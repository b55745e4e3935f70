"""Score any picker's picks against labels, by any published rule, with what the number means beside it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.errors import InputError
from drpnet.evaluation.assessment import breakdown, ceiling, notes, numbers
from drpnet.evaluation.pairing import pair_names, read_pairing
from drpnet.io.atomic import whole_file
from drpnet.io.conditions import read_conditions
from drpnet.io.paths import MANIFEST
from drpnet.measures.chance import chance
from drpnet.measures.comparison import compare, pooled_localisation
from drpnet.measures.judging import Rule
from drpnet.measures.matching import check_radius
from drpnet.measures.rules import parse_rule
from drpnet.measures.scorecard import Field, Scored, judge_all, summary
from drpnet.measures.scores import check_beta

__all__ = ["Extras", "evaluate", "pair_names", "picker_note", "reach_of", "score_micrographs", "write_json"]


@dataclass(frozen=True)
class Extras:
    """What `evaluate` adds to precision and recall. Raises InputError for values that mean nothing.

    `box_px`: the box of rules that compare boxes, else the diameter. `pixel_size`: Angstrom/px. `chance_draws`: random
    sets for the chance level, 0 for none. `also`: further pickers by name. `ceiling`: other labels of the same
    micrographs. `ctf`: a star with defocus.
    """

    beta: float = 1.0
    box_px: float | None = None
    pixel_size: float | None = None
    resamples: int = 1000
    chance_draws: int = 3
    seed: int = 0
    also: Mapping[str, Path] = field(default_factory=dict)
    ceiling: Path | None = None
    ctf: Path | None = None

    def __post_init__(self) -> None:
        check_beta(self.beta)
        for name, value in (("pixel size", self.pixel_size), ("box", self.box_px)):
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"the {name} is {value:g}; give a number above 0")
        for name, count in (("bootstrap resamples", self.resamples), ("draws for the chance level", self.chance_draws)):
            if count < 0:
                raise InputError(f"{count} {name}; give 0 (none) or more")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; give 0 or more")


def evaluate(
    picks: Path,
    truth: Path,
    *,
    radius_px: float | None = None,
    diameter_px: float | None = None,
    border_px: float = 0,
    rule: str = "common",
    micrographs: Path | None = None,
    extras: Extras | None = None,
) -> dict[str, Any]:
    """Score two sets of coordinates, each a folder of per-micrograph files or one particles .star.

    The rule (`rules.parse_rule`) takes its tolerance from `diameter_px`; `radius_px` replaces that of rules that compare
    centres. Micrographs that only one side knows are left out and listed under `not_picked` and `not_labelled`; a
    file without picks counts as a picked micrograph. With `border_px` above 0 picks and labels closer to an
    edge do not count; micrograph sizes come from the folder `micrographs`, else run.json among the picks, else a
    neighbouring folder named micrographs. Labels outside a micrograph of known size are an InputError, picks outside are
    counted under `picks_outside`; `sizes_known` says for how many micrographs. `note` says, for picks of `drpnet pick`,
    which classifier made them; `notes` what a reader of the numbers must know. Raises InputError, also when no
    micrograph is on both sides.
    """
    how, extras = parse_rule(rule), extras or Extras()
    reach = reach_of(how, radius_px, diameter_px, extras.box_px)
    if not (math.isfinite(border_px) and border_px >= 0):
        raise InputError(f"the border is {border_px} px; give 0 (whole micrograph) or more")
    picks, truth = Path(picks), Path(truth)
    paired = read_pairing(picks, truth, reach, rule=how, border_px=border_px, micrographs=micrographs)
    conditions = read_conditions(truth, picks, extras.ctf)
    scored = judge_all(paired.fields, how)
    result = _result(scored, rule, how.average)
    for row, one in zip(result["per_micrograph"], scored.values(), strict=True):
        row |= _details(one)
    result |= {
        "diameter_px": diameter_px,
        "border_px": float(border_px),
        "not_picked": paired.not_picked,
        "not_labelled": paired.not_labelled,
        "picks_outside": paired.picks_outside,
        "sizes_known": len(paired.shapes),
        "note": picker_note(picks),
        **numbers(
            list(scored.values()), how, extras.beta, resamples=extras.resamples, seed=extras.seed,
            diameter_px=diameter_px, pixel_size=extras.pixel_size or conditions.pixel_size,
        ),
        "chance": None,
        "ceiling": None,
        "comparison": None,
        "breakdown": breakdown(scored, paired, conditions, diameter_px),
    }  # fmt: skip
    if extras.chance_draws and len(paired.shapes) == len(scored):
        result["chance"] = chance(paired.fields, paired.shapes, how, extras.chance_draws, extras.seed, border_px)

    def others(source: Path) -> dict[str, Scored]:
        pairing = read_pairing(
            source, truth, reach, rule=how, border_px=border_px, micrographs=micrographs, known=paired.shapes
        )
        return judge_all(pairing.fields, how)

    if extras.ceiling is not None:
        result["ceiling"] = ceiling(others(extras.ceiling), scored, how.average)
    if extras.also:
        pickers = {picks.resolve().stem: scored}
        for name, source in extras.also.items():
            if name in pickers:
                raise InputError(f"two pickers are called {name}; give the further ones other names, NAME=FOLDER")
            pickers[name] = others(source)
        result["comparison"] = compare(pickers, how, extras.beta, extras.resamples, extras.seed)
    result["notes"] = notes(list(scored.values()), paired)
    return result


def reach_of(rule: Rule, radius_px: float | None, diameter_px: float | None, box_px: float | None = None) -> float:
    """The size in px that a rule matches with; InputError for none, for one that is not above 0, or that it has not."""
    if radius_px is None and diameter_px is None:
        raise InputError("give --diameter-px D, the particle's diameter, or --radius-px R, both in pixels")
    if diameter_px is not None and not (diameter_px > 0 and math.isfinite(diameter_px)):
        raise InputError(f"the particle diameter is {diameter_px:g} px; give pixels above 0")
    boxes = rule.metric in ("iou", "pixel_box")
    if box_px is not None and not boxes:
        raise InputError(f"--box-px is for rules that compare boxes; this one compares {rule.metric}: leave it out")
    if radius_px is not None:
        if rule.metric != "centre":
            kind = "boxes" if boxes else "discs"
            raise InputError(f"--radius-px is for rules that compare centres; this one compares {kind}: give --diameter-px")
        return check_radius(radius_px)
    assert diameter_px is not None
    return check_radius(rule.reach(diameter_px, box_px))


def score_micrographs(
    fields: Mapping[str, tuple[np.ndarray, np.ndarray | None, np.ndarray, float]], rule: str = "common"
) -> dict[str, Any]:
    """The scores of micrographs in memory: picks (n, 2), scores (n,) or None, labels (k, 2) and reach in px, by name.

    The numbers of all are pooled whatever the rule's own average. Average precision and the best threshold need scores
    and a rule that can follow them, else they are None; `radius_px` is None where micrographs differ in it.
    """
    return _result(judge_all({name: Field(*values) for name, values in fields.items()}, parse_rule(rule)), rule, "micro")


def _result(scored: Mapping[str, Scored], rule: str, average: str) -> dict[str, Any]:
    rows = [
        {"micrograph": name, **summary([one]), "radius_px": float(one.field.radius_px)} for name, one in scored.items()
    ]
    radii = {row["radius_px"] for row in rows}
    return {
        **summary(list(scored.values()), average),
        "rule": rule,
        "radius_px": radii.pop() if len(radii) == 1 else None,
        "border_px": 0.0,
        "per_micrograph": rows,
        "not_picked": [],
        "not_labelled": [],
    }


def _details(one: Scored) -> dict[str, Any]:
    """What a micrograph's row has beside its scores."""
    place = pooled_localisation([one])
    return {
        "true_picks": None if one.judgement.is_true is None else int(one.judgement.is_true.sum()),
        "found": None if one.judgement.found is None else int(one.judgement.found.sum()),
        "duplicates": one.duplicates,
        "median_error_px": None if place is None else place["px"]["median"],
    }


def picker_note(picks: Path) -> str | None:
    """What run.json among the picks says of how they were made; None for picks of another program."""
    run = (picks if picks.is_dir() else picks.parent) / MANIFEST
    try:
        note = json.loads(run.read_text(encoding="utf-8"))["note"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if isinstance(note, str) else None


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
