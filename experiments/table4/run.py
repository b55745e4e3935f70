"""Table 4 as a whole: the arithmetic, the measured rows, the rule that comes nearest."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.model import find_weights
from experiments.table4.arithmetic import arithmetic, expected
from experiments.table4.measure import ALIKE, drpnet_picks, measure, nearest
from experiments.table4.sources import WORDS, Found, Source, data_set, open_source, read_found

AUTHORS = "the authors' shipped picks"
AUTHORS_MANUAL = "the same against the archive's labels"
MANUAL = "the archive's labels as picks"
"""Rows of EMPIAR-10017's other annotation: how far two people agree."""


@dataclass(frozen=True)
class Options:
    """What to measure on and with; folders that are None are looked for below the data root's real/empiar10017."""

    data: Path | None = None
    source: str = "auto"
    micrographs: Sequence[str] = ()
    weights: str = "cascade"
    authors: Path | None = None
    manual: Path | None = None
    peers: Path | None = None
    overrides: Sequence[str] = ()
    """Overrides of the data set, as on train.py's command line."""


def table4(options: Options) -> dict[str, Any]:
    """result.json: `arithmetic` of the published rows, `data`, the measured `rows`, the `nearest` rules."""
    paper = expected()
    published = arithmetic(paper)
    if options.source == "none":
        return {"arithmetic": published}
    source = open_source(options.source, options.data, options.micrographs, options.overrides)
    asked = paper["rows"]["DRPnet"]["picks"] / paper["labels"]
    rows = []
    for found, threshold in drpnet_picks(source, asked, options.weights):
        rows.append({**measure(found, source.labels, source), "threshold": threshold})
    rows += others(source, options)
    alike = [row for row in rows if row["picker"] in (ALIKE, AUTHORS)]
    return {
        "arithmetic": published,
        "data": {
            "source": source.kind,
            "words": WORDS[source.kind],
            "micrographs": len(source.micrographs),
            "labels": sum(map(len, source.labels.values())),
            "pixel_size": source.pixel_size,
            "particle_diameter": source.particle_diameter,
        },
        "weights": {"name": options.weights, "sha256": sha256(find_weights(options.weights))},
        "picks_per_label": asked,
        "rows": rows,
        "nearest": nearest(alike, published["rows"]["DRPnet"]["found_per_true_pick"]),
    }


def others(source: Source, options: Options) -> list[dict[str, Any]]:
    """Rows of the authors' shipped picks, the archive's own annotation and the peers, where they are on disk.

    A simulation has none. A folder that was named and has no picks for these micrographs is an InputError.
    """
    if source.kind == "simulated":
        return []
    below = Path(data_set("pictures", options.data).root)
    rows = []
    authors = _read(AUTHORS, options.authors, below / "drpnet2019", source, binned=True)
    if authors is not None:
        rows.append(measure(authors, source.labels, source))
    manual = None if source.kind == "archive" else _read(MANUAL, options.manual, below / "empiar_manual", source)
    if manual is not None:
        both = {} if authors is None else {stem: authors.centres[stem] for stem in manual.centres if stem in authors.centres}
        if both:
            rows.append(measure(Found(AUTHORS_MANUAL, both), manual.centres, source))
        rows.append(measure(manual, source.labels, source))
    folder = options.peers or below / "peers"
    for peer in sorted(folder.iterdir()) if folder.is_dir() else []:
        found = read_found(peer.name, peer, source)
        rows += [] if found is None else [measure(found, source.labels, source)]
    return rows


def _read(name: str, named: Path | None, usual: Path, source: Source, binned: bool = False) -> Found | None:
    found = read_found(name, named or usual, source, binned)
    if found is None and named is not None:
        raise InputError(f"{named} has no picks for the micrographs of {source.kind}; give a folder that has")
    return found


def sha256(path: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
