"""Finding micrographs: a folder, a glob, one file or a RELION micrographs .star."""

import glob
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.io.micrographs import SUFFIXES, is_micrograph, stem_of
from drpnet.io.star import read_star

_JOB = re.compile(r"^[A-Za-z0-9_]+/job\d+/")
CTF_COLUMNS = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnCtfBfactor", "rlnCtfScalefactor",
               "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")  # fmt: skip


@dataclass(frozen=True)
class MicrographEntry:
    """A micrograph to pick."""

    path: Path
    name: str
    """What rlnMicrographName says: the name in the .star, or the path as the user gave it."""
    tree: Path
    """Folder of the output below --out: the input's tree, without a RELION job prefix."""
    stem: str
    pixel_size: float | None = None
    """From the .star's optics group; None: ask the header."""
    optics_group: int = 1


@dataclass(frozen=True)
class MicrographList:
    """The micrographs with what their .star knows: optics groups (rows) and CTF values by micrograph name."""

    entries: tuple[MicrographEntry, ...]
    optics: list[dict[str, Any]] | None = None
    ctf: dict[str, dict[str, float]] = field(default_factory=dict)


def find_micrographs(source: str) -> MicrographList:
    """The micrographs of a folder (with its subfolders), a glob, a single file or a micrographs .star, sorted by name.

    Raises InputError when there are none, or when two would be written to the same place.
    """
    text = str(source)
    path = Path(text)
    if path.suffix == ".star" and path.is_file():
        found = _from_star(path)
    elif path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.is_file() and is_micrograph(p))
        if not paths:
            raise InputError(f"{path} holds no micrographs; put files of {', '.join(SUFFIXES)} there or give another folder")
        found = MicrographList(tuple(_entry(p, p.parent.relative_to(path)) for p in paths))
    elif path.is_file():
        found = MicrographList((_entry(path, Path()),))
    elif glob.has_magic(text):
        paths = sorted(Path(p) for p in glob.glob(text, recursive=True) if Path(p).is_file() and is_micrograph(Path(p)))
        if not paths:
            raise InputError(f"no micrograph matches {text!r}; quote the pattern and check the folder")
        parents = [p.parent for p in paths]
        common = Path(*_shared_parts(parents))
        found = MicrographList(tuple(_entry(p, p.parent.relative_to(common)) for p in paths))
    else:
        raise InputError(f"{text} does not exist; give a folder of micrographs, a quoted glob or a micrographs .star")
    _check_unique(found.entries)
    return found


def _entry(path: Path, tree: Path) -> MicrographEntry:
    return MicrographEntry(path, str(path), tree, stem_of(path))


def _shared_parts(folders: list[Path]) -> list[str]:
    shared = []
    for parts in zip(*(folder.parts for folder in folders), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return shared


def _check_unique(entries: tuple[MicrographEntry, ...]) -> None:
    seen: dict[tuple[Path, str], MicrographEntry] = {}
    for entry in entries:
        other = seen.setdefault((entry.tree, entry.stem), entry)
        if other is not entry:
            raise InputError(
                f"{other.path} and {entry.path} would both be written as {entry.tree / entry.stem}_autopick.star; "
                "rename one, or pick them into different folders"
            )


def _from_star(star: Path) -> MicrographList:
    """Entries of a micrographs .star of RELION 3.0 (one table) or 3.1+ (optics and micrographs)."""
    blocks = read_star(star)
    tables = [table for table in blocks.values() if "rlnMicrographName" in table.columns]
    if not tables:
        raise InputError(f"{star} has no column rlnMicrographName; give a micrographs .star, such as CtfFind's micrographs_ctf.star")
    table = tables[0]
    if table.empty:
        raise InputError(f"{star} lists no micrographs")
    optics = blocks.get("optics")
    pixel_sizes = {}
    if optics is not None and "rlnMicrographPixelSize" in optics.columns and "rlnOpticsGroup" in optics.columns:
        pixel_sizes = {
            int(g): float(p) for g, p in zip(optics["rlnOpticsGroup"], optics["rlnMicrographPixelSize"], strict=True)
        }
    entries, ctf = [], {}
    known = [column for column in CTF_COLUMNS if column in table.columns]
    for name, row in zip(table["rlnMicrographName"].astype(str), table.to_dict("records"), strict=True):
        group = int(row.get("rlnOpticsGroup", 1))
        tree = Path(_JOB.sub("", name)).parent
        # a name that climbs out of the folder must not make us write outside --out
        tree = Path(*(part for part in tree.parts if part not in ("..", "/", tree.anchor)))
        entries.append(MicrographEntry(_locate(name, star), name, tree, stem_of(name), pixel_sizes.get(group), group))
        ctf[name] = {column: float(row[column]) for column in known}
    groups = None if optics is None else [{str(k): v for k, v in row.items()} for row in optics.to_dict("records")]
    return MicrographList(tuple(entries), groups, ctf if known else {})


def _locate(name: str, star: Path) -> Path:
    """Where a name of a .star lies: below the current folder as RELION has it, else below the .star's folder or a parent."""
    candidates = [Path(name), *(folder / name for folder in star.resolve().parents)]
    return next((path for path in candidates if path.is_file()), Path(name))
