"""The paper's statements beside the configuration and the disk, with the reason of a difference where one is known."""

import json
from pathlib import Path
from typing import Any

from experiments.table2.facts import ENTRIES, configured, on_disk, settings

EXPECTED = Path(__file__).resolve().parent / "expected.json"
UNIT = {
    "type": "type",
    "voltage_kv": "voltage, kV",
    "camera": "camera",
    "defocus_range": "defocus, µm",
    "micrographs": "micrographs",
    "test_micrographs": "test micrographs",
    "micrograph_shape": "height and width, px",
    "pixel_size": "pixel size, Å",
    "pixel_size_binned_twice": "pixel size after 2x binning, Å",
    "labelled_particles": "labelled particles",
    "training_micrographs": "training micrographs",
    "training_particles": "training particles",
    "picked_particles": "picked particles",
}
"""Every fact in the order of the table, in words and with its unit."""
_SUBSET = (
    "the paper names no micrographs, so its subset of 661 cannot be recovered (the same number for both entries); "
    "here all that training leaves are for testing"
)
_PICKED = "a result of the picker, not a fact of the entry; Table 2 rounds the number of Table 3"
REASONS = {
    ("empiar10005", "test_micrographs"): _SUBSET,
    ("empiar10061", "test_micrographs"): _SUBSET,
    ("empiar10017", "camera"): "one camera in two spellings; the configuration has that of section 4.1",
    ("empiar10061", "camera"): "the energy filter (GIF) is set off by a comma, the second K2 left out",
    ("empiar10061", "pixel_size"): "the paper contradicts itself; .3185 is half of the .637 that it has after 2x binning",
    ("empiar10005", "labelled_particles"): (
        "the paper does not say how many; the counts are those in the names of the entry's two folders, of all "
        "good particles and of the final map's"
    ),
    ("empiar10061", "labelled_particles"): "no coordinates of this entry are documented, and the paper needs none",
    ("empiar10005", "training_particles"): (
        "counted in the labels of the training micrographs, once they are on disk; the paper's are 195 a micrograph, while "
        "88,915 on 871 micrographs are 102 on average and 35,645 are 41"
    ),
    ("empiar10005", "picked_particles"): _PICKED,
    ("empiar10017", "picked_particles"): _PICKED,
    ("empiar10061", "picked_particles"): _PICKED,
}
"""Why an entry's fact is not, or cannot be, as the paper has it."""


def expected() -> dict[str, Any]:
    """The paper's numbers: entry -> fact -> place in the paper -> value."""
    entries: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))["entries"]
    return entries


def compare(data: Path | None = None) -> dict[str, Any]:
    """All facts of the three entries below the data root (None: DRPNET_DATA or data): result.json."""
    paper, entries = expected(), {}
    for name in ENTRIES:
        dataset, negative_stain = settings(name, data)
        facts, found = configured(dataset, negative_stain), on_disk(dataset)
        rows = []
        for fact in UNIT:
            said = paper[name].get(fact, {})
            if not said and (name, fact) not in REASONS:
                continue
            here, there = facts.get(fact), (found or {}).get(fact)
            known = there if here is None else here
            rows.append(
                {
                    "fact": fact,
                    "paper": said,
                    "configured": here,
                    "on_disk": there,
                    "agrees": agreement(said, known),
                    "reason": reason(name, fact, said, known),
                }
            )
        entries[name] = {
            "configured": facts,
            "on_disk": found,
            "download": dataset.download,
            "complete": complete(facts, found),
            "rows": rows,
        }
    return {"entries": entries}


def agreement(said: dict[str, Any], here: Any) -> bool | None:
    """Whether every statement of the paper is what is known here; None where one of the two is silent."""
    if not said or here is None:
        return None
    # labelled particles are configured by folder of coordinates
    known = list(here.values()) if isinstance(here, dict) else [here]
    return all(value in known for value in said.values())


def reason(name: str, fact: str, said: dict[str, Any], here: Any) -> str | None:
    """Why they differ; "not known" for a difference that nothing explains, None for none."""
    if agreement(said, here):
        return None
    return REASONS.get((name, fact), "not known")


def complete(facts: dict[str, Any], found: dict[str, Any] | None) -> bool | None:
    """Whether as many micrographs and labels are on disk as there should be; None without any on disk."""
    if found is None:
        return None
    keys = ("micrographs", "labelled_particles")
    return all(facts[key] == found[key] for key in keys)
