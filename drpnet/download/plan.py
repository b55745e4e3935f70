"""Which files of an entry a download is for, where they go, and what is known of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from drpnet.archive import ArchiveEntry
from drpnet.config import DatasetConfig
from drpnet.download.listing import Listed, list_entry, matching
from drpnet.errors import InputError

SUBSETS = "coords, micrographs:N or all"


@dataclass(frozen=True)
class Wanted:
    """A file to have: its address, its place below the data set's root, bounds of its size, its MD5 sum or ""."""

    url: str
    place: str
    least: int = 0
    most: int | None = None
    md5: str = ""

    @property
    def guess(self) -> int:
        """About how many bytes."""
        return self.least if self.most is None else (self.least + self.most) // 2


def parse_subset(subset: str) -> tuple[bool, int | None]:
    """Whether all coordinates are wanted, and how many micrographs (None: all); InputError for other words."""
    if subset == "all":
        return True, None
    if subset == "coords":
        return True, 0
    word, _, count = subset.partition(":")
    if word == "micrographs" and count.isdigit() and int(count) > 0:
        return False, int(count)
    raise InputError(f"--subset is {subset!r}; use {SUBSETS}, such as micrographs:150")


def plan(
    dataset: DatasetConfig, entry: ArchiveEntry, subset: str, sums: Mapping[str, str], read_page: Callable[[str], str]
) -> list[Wanted]:
    """The files of a subset, coordinates first, micrographs in sorted order.

    `micrographs:N` takes the first N micrographs that have coordinates in `dataset.coordinates` (the first N
    where the entry has none), with their coordinates. `sums` are MD5 sums by file name. Raises InputError where
    the archive has not what it should.
    """
    everything, count = parse_subset(subset)
    if count == 0 and not entry.coordinates:
        raise InputError(f"EMPIAR-{entry.entry} has no coordinates; use --subset micrographs:N or all")
    files = list_entry(entry.page, [entry.micrographs, *entry.coordinates.values()], read_page)
    coordinates = {folder: _found(entry, glob, files) for folder, glob in entry.coordinates.items()}
    micrographs = [] if count == 0 else _found(entry, entry.micrographs, files)
    kept = {_stem(file.path) for file, _ in micrographs}
    if count:
        labelled = {stem for _, stem in coordinates.get(dataset.coordinates, [])}
        chosen = [(file, rest) for file, rest in micrographs if not labelled or _stem(file.path) in labelled]
        if len(chosen) < count:
            raise InputError(
                f"EMPIAR-{entry.entry} has {len(chosen)} micrographs{' with coordinates' if labelled else ''}, "
                f"not {count}; use --subset all or micrographs:{len(chosen)}"
            )
        micrographs = chosen[:count]
        kept = {_stem(file.path) for file, _ in micrographs}
    folders = {folder: [file for file, stem in hits if everything or stem in kept] for folder, hits in coordinates.items()}
    folders.setdefault(PurePosixPath(dataset.micrographs).parent.as_posix(), []).extend(file for file, _ in micrographs)
    wanted = [
        Wanted(entry.page + quote(file.path), f"{folder}/{name}", file.least, file.most, sums.get(name, ""))
        for folder, hits in folders.items()
        for file in hits
        for name in [PurePosixPath(file.path).name]
    ]
    _require_distinct(wanted)
    return wanted


def _found(entry: ArchiveEntry, glob: str, files: Sequence[Listed]) -> list[tuple[Listed, str]]:
    hits = matching(glob, files)
    if not hits:
        folders = sorted({str(PurePosixPath(file.path).parent) for file in files})
        raise InputError(
            f"{entry.page} has no files {glob!r}; it has files in {', '.join(folders[:12]) or 'no folder'}: "
            "correct that glob of dataset.archive in conf/dataset, or give it here as KEY=VALUE"
        )
    return hits


def _stem(path: str) -> str:
    return PurePosixPath(path).name.rpartition(".")[0]


def _require_distinct(wanted: Sequence[Wanted]) -> None:
    seen: dict[str, str] = {}
    for item in wanted:
        if item.place in seen:
            raise InputError(
                f"{seen[item.place]} and {item.url} would both become {item.place}; "
                "make the globs of dataset.archive in conf/dataset narrower"
            )
        seen[item.place] = item.url
