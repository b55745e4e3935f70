"""Read RELION micrographs .star files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drpnet.errors import InputError
from drpnet.io.micrographs import require_suffix
from drpnet.io.paths import locate, tree_and_stem
from drpnet.io.star import numbers, read_star

if TYPE_CHECKING:
    import pandas as pd

_OPTICS_30 = [
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
    "rlnMagnification",
    "rlnDetectorPixelSize",
]
_CTF = [
    "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnCtfBfactor", "rlnCtfScalefactor",
    "rlnCtfAstigmatism", "rlnCtfFigureOfMerit", "rlnCtfMaxResolution",
]  # fmt: skip


@dataclass(frozen=True)
class MicrographEntry:
    """One micrograph to pick: a readable `path`, its `name` in outputs, `tree` and `stem` that place them."""

    path: Path
    name: str
    """rlnMicrographName: as in the input star, else the path as the user gave it."""
    tree: Path
    """Folder below the output folder that keeps the input's tree; a job prefix such as MotionCorr/job002 is
    left out.
    """
    stem: str
    pixel_size: float | None = None
    """Angstrom per pixel as the star says; None: ask the header."""
    optics_group: int = 1


@dataclass(frozen=True)
class MicrographList:
    """Micrographs in order, optics columns by label (None: unknown), CTF columns by micrograph name."""

    entries: tuple[MicrographEntry, ...]
    optics: dict[str, list[Any]] | None = None
    ctf: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_micrographs_star(star: Path) -> MicrographList:
    """Micrographs, optics groups and CTF of a micrographs .star (RELION >= 3.0); every file must exist."""
    blocks = read_star(star)
    table = blocks.get("micrographs", next((t for t in blocks.values() if "rlnMicrographName" in t), None))
    if table is None or "rlnMicrographName" not in table:
        has = "movies; motion-correct them first" if "movies" in blocks else "no micrographs"
        raise InputError(f"{star} lists {has} (no column rlnMicrographName); give a micrographs .star")
    if "rlnCoordinateX" in table:
        raise InputError(f"{star} lists particles; give the micrographs .star that they were picked from")
    if table.empty:
        raise InputError(f"{star} lists no micrographs; give one with rows")
    names = [str(name) for name in table["rlnMicrographName"]]
    paths = [locate(name, star) for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if path is None]
    if missing:
        raise InputError(
            f"{star}: {len(missing)} of {len(names)} micrographs do not exist, first {missing[0]}; "
            "run from the folder that its paths start from (RELION's project folder)"
        )
    for path in paths:
        assert path is not None
        require_suffix(path)
    optics, groups = _optics(star, blocks.get("optics"), table)
    sizes = _pixel_sizes(star, optics)
    entries = []
    for name, path, group in zip(names, paths, groups, strict=True):
        assert path is not None
        if optics is not None and group not in sizes:
            raise InputError(
                f"{star}: {name} is in optics group {group}, which its data_optics lacks; mend the star"
            )
        entries.append(MicrographEntry(path, name, *tree_and_stem(name), sizes.get(group), group))
    columns = [label for label in _CTF if label in table]
    rows = table[columns].to_dict("records") if columns else []
    return MicrographList(
        tuple(entries),
        None if optics is None else {str(label): values for label, values in optics.to_dict("list").items()},
        {
            name: {str(label): value for label, value in row.items()}
            for name, row in zip(names, rows, strict=False)
        },
    )


def _optics(
    star: Path, optics: pd.DataFrame | None, table: pd.DataFrame
) -> tuple[pd.DataFrame | None, list[int]]:
    """The optics table (made from the columns of a 3.0 star) and the group of every micrograph."""
    if optics is not None:
        if "rlnOpticsGroup" not in optics:
            raise InputError(f"{star}: its data_optics has no column rlnOpticsGroup; mend the star")
        return optics, [
            int(g) for g in numbers(star, table, "rlnOpticsGroup")
        ] if "rlnOpticsGroup" in table else [int(numbers(star, optics, "rlnOpticsGroup")[0])] * len(table)
    columns = [label for label in _OPTICS_30 if label in table]
    if not set(_OPTICS_30[:3]) <= set(columns):
        return None, [1] * len(table)
    groups = table.groupby(columns, sort=False).ngroup() + 1
    made = table[columns].drop_duplicates().reset_index(drop=True)
    made.insert(0, "rlnOpticsGroup", range(1, len(made) + 1))
    made.insert(0, "rlnOpticsGroupName", [f"opticsGroup{i}" for i in made["rlnOpticsGroup"]])
    if len(columns) == len(_OPTICS_30):
        detector, magnification = (
            numbers(star, made, label) for label in ("rlnDetectorPixelSize", "rlnMagnification")
        )
        made["rlnMicrographPixelSize"] = detector * 1e4 / magnification
    return made.drop(columns=_OPTICS_30[3:], errors="ignore"), groups.tolist()


def _pixel_sizes(star: Path, optics: pd.DataFrame | None) -> dict[int, float | None]:
    if optics is None:
        return {}
    groups = [int(group) for group in numbers(star, optics, "rlnOpticsGroup")]
    if "rlnMicrographPixelSize" not in optics:
        return dict.fromkeys(groups)
    sizes = numbers(star, optics, "rlnMicrographPixelSize")
    if not (sizes > 0).all():
        raise InputError(
            f"{star}: rlnMicrographPixelSize is {sizes.min():g}; give Angstrom per pixel above 0"
        )
    return dict(zip(groups, sizes.tolist(), strict=True))
