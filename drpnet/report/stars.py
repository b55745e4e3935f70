"""The parts of a particles .star that the page puts together when picks are saved."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drpnet.cut import optics_groups
from drpnet.io.picks import ParticleTable, write_particles_star


def star_parts(records: Sequence[Mapping[str, Any]], scored: bool) -> dict[str, Any]:
    """What stands before and behind the rows, and of each micrograph the words before and behind x, y and the score.

    Taken from a file that `write_particles_star` writes, so that the page knows of that format only the order of x, y and
    the figure of merit.
    """
    optics, groups = optics_groups([dict(record["optics"]) for record in records])
    one = np.zeros((1, 2))
    tables = [
        ParticleTable(record["name"], one, one[:, 0] if scored else None, group, record["ctf"])
        for record, group in zip(records, groups, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "particles.star"
        write_particles_star(path, tables, optics)
        text = path.read_text(encoding="utf-8")
    end = len(text.rstrip("\n"))
    body, foot = text[:end], text[end:].removeprefix("\n")
    lines = body.split("\n")
    head, rows = lines[: -len(records)], lines[-len(records) :]
    columns = sum(line.startswith("_") for line in _last_loop(head))
    # from the right: a name may hold blanks
    words = [row.rsplit("\t", columns - 1) for row in rows]
    behind = ["".join(f"\t{word}" for word in row[3 + scored :]) for row in words]
    return {"head": "\n".join(head) + "\n", "foot": foot, "before": [row[0] for row in words], "behind": behind}


def _last_loop(lines: Sequence[str]) -> Sequence[str]:
    """The lines from the last loop_ on."""
    return lines[len(lines) - 1 - list(reversed(lines)).index("loop_") :]
