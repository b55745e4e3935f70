"""What the printed numbers of Table 4 imply: F, true positives, labels, and whether one matching can give them."""

import json
import math
from pathlib import Path
from typing import Any

from drpnet.measures.matching import f_measure

EXPECTED = Path(__file__).resolve().parent / "expected.json"
HALF_DIGIT = 0.00005
"""A percentage with two decimals is good to so much."""


def expected() -> dict[str, Any]:
    """The paper's numbers; recall, precision and F as fractions."""
    numbers: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return numbers


def arithmetic(paper: dict[str, Any]) -> dict[str, Any]:
    """`implied` for each row of the table, and F from the text's precision where that is another."""
    labels = paper["labels"]
    rows = {}
    for name, row in paper["rows"].items():
        said = paper["text"][name]
        rows[name] = {
            **implied(row["picks"], row["recall"], row["precision"], labels),
            "f_measure_printed": row["f_measure"],
            "precision_of_text": said["precision"],
            "f_measure_of_text": f_measure(said["precision"], said["recall"]),
        }
    return {"labels": labels, "rows": rows}


def implied(picks: int, recall: float, precision: float, labels: int) -> dict[str, Any]:
    """What follows from recall and precision, each printed with two decimals of a percentage.

    In one pooled one-to-one matching a true pick is a found label, so R x labels and P x picks are the same whole number.
    `found_labels` and `true_picks` are the two, `..._range` the whole numbers that round to what is printed, and
    `one_matching` says whether the ranges share one. `implied_labels` is how many labels would bring R and P together;
    `found_per_true_pick` is 1 for one matching; `precision_ceiling` is the precision if every label had its own pick.
    """
    found, true = _whole(recall, labels), _whole(precision, picks)
    return {
        "picks": picks,
        "recall": recall,
        "precision": precision,
        "f_measure": f_measure(precision, recall),
        "found_labels": recall * labels,
        "true_picks": precision * picks,
        "found_labels_range": list(found),
        "true_picks_range": list(true),
        "one_matching": max(found[0], true[0]) <= min(found[1], true[1]),
        "found_per_true_pick": found_per_true_pick(recall, labels, precision, picks),
        "recall_of_true_picks": precision * picks / labels,
        "implied_labels": precision * picks / recall,
        "implied_labels_range": [true[0] / (recall + HALF_DIGIT), true[1] / (recall - HALF_DIGIT)],
        "precision_ceiling": min(1.0, labels / picks),
    }


def found_per_true_pick(recall: float, labels: int, precision: float, picks: int) -> float | None:
    """Labels found over true picks, (R labels) / (P picks): exactly 1 for a pooled one-to-one matching; None without any."""
    true = precision * picks
    return recall * labels / true if true else None


def _whole(share: float, of: int) -> tuple[int, int]:
    """The least and the greatest count whose share `of` rounds to the printed one."""
    return math.ceil((share - HALF_DIGIT) * of), math.floor((share + HALF_DIGIT) * of)
