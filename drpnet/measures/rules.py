"""The rules by which published pickers were scored, by name; each differs in the parts that `judging.Rule` lists.

`parse_rule("deeppicker,average=macro")` changes a part. The rule moves F more than the picker does: a number without its
rule cannot be compared.
"""

from dataclasses import fields, replace

from drpnet.errors import InputError
from drpnet.measures.judging import Rule

RULES = {
    "common": Rule(source="the primary rule of this project; duplicates are false"),
    "common2026": Rule(
        assignment="distance", average="macro",
        source="independent re-score of four pickers on CryoPPP (2026): nearest pair first, mean of the micrographs",
    ),
    "drpnet2019": Rule(
        assignment="many_to_one",
        source="the DRPnet paper states no rule; its Table 4 fits no one-to-one matching, so this is a reading of it",
    ),
    "deeppicker": Rule(
        tolerance=0.2, strict=True, assignment="truth",
        source="DeepPicker's released code: 0.2 particle sizes; its size is the box, here it is the diameter",
    ),
    "topaz": Rule(
        strict=True, assignment="least_squares",
        source="Topaz's released code; the radius is the user's there, here half the diameter",
    ),
    "cryolo": Rule(
        metric="iou", tolerance=0.6,
        source="crYOLO counts boxes by intersection over union; 0.6 is quoted for it and could not be checked: its "
        "code is closed, and how it resolves conflicts is not known",
    ),
    "cryosegnet": Rule(
        metric="pixel_disc", average="max",
        source="CryoSegNet's released code: discs of CryoPPP's diameter, the greatest value of the micrographs; "
        "that it skips the first 20 masks and cuts discs at the edges (.001 of F) is not copied",
    ),
    "repic": Rule(
        metric="pixel_box", average="macro",
        source="REPIC's released code: square boxes, each micrograph by itself; its box is given by the user. There boxes are "
        "cut at the edges or vanish, here not: pickers that pick at the edges score up to .03 higher there",
    ),
    "coco": Rule(
        metric="iou", tolerance=0.5, assignment="score", edge="ignore",
        source="COCO's evaluation at one threshold (AP50), as EPicker and UPicker use it; the average precision here "
        "is not interpolated and no number of detections is too large",
    ),
    "many_to_one": Rule(assignment="many_to_one", source="duplicates are free; the same as drpnet2019"),
}  # fmt: skip
"""Rules by name; `common` is the primary one. `source` says where each was read and what it leaves open."""


def parse_rule(text: str) -> Rule:
    """A preset by name, and after commas parts to change: `coco,tolerance=0.75,average=macro`. InputError for others."""
    name, *changes = (part.strip() for part in text.split(","))
    if name not in RULES:
        raise InputError(f"there is no matching rule {name!r}; use one of {', '.join(RULES)}")
    parts = [field.name for field in fields(Rule) if field.name != "source"]
    changed: dict[str, str | float | bool] = {}
    for change in changes:
        part, equals, value = (piece.strip() for piece in change.partition("="))
        if part not in parts or not equals:
            raise InputError(f"rule {text!r}: {change!r} is no PART=VALUE; the parts are {', '.join(parts)}")
        changed[part] = _value(part, value)
    return replace(RULES[name], **changed)  # type: ignore[arg-type]


def _value(part: str, text: str) -> str | float | bool:
    if part == "strict":
        if text not in ("true", "false"):
            raise InputError(f"a rule's strict is {text!r}; use true or false")
        return text == "true"
    if part != "tolerance":
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"a rule's tolerance is {text!r}; give a number") from None

