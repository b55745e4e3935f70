"""python -m experiments.table2: the facts of Table 2 from conf/dataset, beside the paper's and those on disk."""

import argparse
import sys
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.table2.compare import UNIT, compare

HERE = Path(__file__).resolve().parent
COLUMNS = {
    "type": "type",
    "voltage_kv": "kV",
    "camera": "camera",
    "defocus_range": "defocus, µm",
    "micrographs": "micrographs",
    "test_micrographs": "for testing",
    "micrograph_shape": "h x w, px",
    "pixel_size": "pixel size, Å",
    "labelled_particles": "labelled particles",
}
"""The facts that make the table, with the heads of its columns."""


def main() -> None:
    """Compare, write result.json and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the data root; else DRPNET_DATA, else data")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    try:
        result = compare(arguments.data)
    except InputError as error:
        sys.exit(f"error: {error}")
    write_json(result, arguments.result)
    print(tables(result))


def tables(result: dict[str, Any]) -> str:
    """The result as Markdown: Table 2 as configured, what is on disk, and every fact that the paper has otherwise."""
    entries = result["entries"]
    lines = [f"| entry | {' | '.join(COLUMNS.values())} |", "|---|" + "---|" * len(COLUMNS)]
    lines += [
        f"| {name} | {' | '.join(text(key, entry['configured'].get(key)) for key in COLUMNS)} |"
        for name, entry in entries.items()
    ]
    lines += ["", "| entry | on disk: micrographs | h x w, px | labelled particles | training particles |"]
    lines += ["|---|---|---|---|---|"]
    for name, entry in entries.items():
        found = entry["on_disk"]
        if found is None:
            lines.append(f"| {name} | not on disk: `{entry['download']}` | | | |")
            continue
        cells = [text(key, found.get(key)) for key in ("micrographs", "micrograph_shape", "labelled_particles")]
        cells[0] += "" if entry["complete"] else f", incomplete: `{entry['download']}`"
        lines.append(f"| {name} | {' | '.join(cells)} | {text('training_particles', found.get('training_particles'))} |")
    return "\n".join([*lines, "", *differences(entries)])


def differences(entries: dict[str, Any]) -> list[str]:
    """Lines of the table of what the paper has otherwise, contradicts itself in, or does not say."""
    rows = [(name, row) for name, entry in entries.items() for row in entry["rows"]]
    said_of = sum(bool(row["paper"]) for _, row in rows)
    agreeing = sum(row["agrees"] is True for _, row in rows)
    lines = [f"{agreeing} of {said_of} facts of the paper are here as it prints them. The others, and what it does not say:"]
    lines += ["", "| entry | fact | paper | here | why |", "|---|---|---|---|---|"]
    for name, row in rows:
        if row["agrees"] is not True:
            fact = row["fact"]
            said = "; ".join(f"{text(fact, value)} ({place})" for place, value in row["paper"].items())
            here = text(fact, row["configured"] if row["configured"] is not None else row["on_disk"])
            lines.append(f"| {name} | {UNIT[fact]} | {said or '–'} | {here} | {row['reason']} |")
    return lines


def text(fact: str, value: Any) -> str:
    """A value as the table has it; a dash for what nobody knows."""
    if value is None or value == {}:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{count:,}" + f" ({Path(folder).name})" * (len(value) > 1) for folder, count in value.items())
    if isinstance(value, list):
        return (" x " if fact == "micrograph_shape" else " - ").join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
