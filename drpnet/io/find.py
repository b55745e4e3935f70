"""Find micrographs: a folder, a glob, one file or a RELION micrographs .star."""

import glob
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from drpnet.errors import InputError
from drpnet.io.micrographs import require_suffix, split_suffix
from drpnet.io.micrographs_star import MicrographEntry, MicrographList, read_micrographs_star
from drpnet.io.paths import own_pictures, walk

__all__ = ["MicrographEntry", "MicrographList", "NoMicrographs", "find_micrographs"]

log = logging.getLogger(__name__)
_PREVIEWS = (".png", ".jpg", ".jpeg")


class NoMicrographs(InputError):
    """A folder without any, which may still fill."""


def find_micrographs(source: str) -> MicrographList:
    """Micrographs of a folder (with subfolders), a glob, a file or a micrographs .star (RELION >= 3.0).

    In a folder, .png and .jpg count only when there is nothing else (previews), and `<stem>_PS.mrc` beside
    `<stem>.mrc` (a power spectrum) never. Pictures that drpnet made are no micrographs. A star's
    paths are taken from the current folder, else from the star's folder or one above. Raises InputError when
    there is nothing to pick, a file is missing, or two micrographs would share an output.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        found = MicrographList(_from_folder(path))
    elif path.suffix.lower() == ".star":
        found = read_micrographs_star(path)
    elif path.exists():
        require_suffix(path)
        found = MicrographList((MicrographEntry(path, str(path), Path(), split_suffix(path.name)[0]),))
    elif glob.has_magic(str(path)):
        found = MicrographList(_from_glob(path))
    else:
        raise InputError(
            f"{source} does not exist; give a folder, a glob, a micrograph or a micrographs .star"
        )
    _require_distinct(source, found.entries)
    _require_plain(found.entries)
    return found


def _require_distinct(source: str, entries: Sequence[MicrographEntry]) -> None:
    count = Counter((entry.tree, entry.stem) for entry in entries)
    for (tree, stem), times in count.items():
        if times > 1:
            names = [entry.name for entry in entries if (entry.tree, entry.stem) == (tree, stem)]
            raise InputError(
                f"{source}: {names[0]} and {names[1]} would both be picked into {tree / stem}_autopick.star; "
                "give a glob or a star that names each micrograph once"
            )


def _require_plain(entries: Sequence[MicrographEntry]) -> None:
    for entry in entries:
        if any(mark in entry.name for mark in "\"'\n\r"):
            raise InputError(
                f"{entry.name!r} has a quote or a line break, which STAR files cannot hold; rename it"
            )
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{entry.name!r} is no UTF-8 text, which STAR files hold; rename it") from None


def _below(base: Path, paths: Sequence[Path]) -> tuple[MicrographEntry, ...]:
    return tuple(
        MicrographEntry(path, str(path), path.parent.relative_to(base), split_suffix(path.name)[0])
        for path in paths
    )


def _foreign(base: Path, paths: Sequence[Path]) -> list[Path]:
    """The paths that are in no folder of drpnet's own pictures below `base`."""
    own = {base: False}

    def is_own(folder: Path) -> bool:
        if folder not in own:
            own[folder] = own_pictures(folder) or is_own(folder.parent)
        return own[folder]

    return [path for path in paths if not is_own(path.parent)]


def _from_folder(folder: Path) -> tuple[MicrographEntry, ...]:
    paths = _foreign(folder, [path for path in walk(folder) if split_suffix(path.name)[1]])
    real = [path for path in paths if split_suffix(path.name)[1] not in _PREVIEWS]
    if real and len(real) < len(paths):
        log.info("%s: %d .png or .jpg beside the micrographs are taken for previews", folder, len(paths) - len(real))
    paths = real or paths
    there = set(paths)
    spectra = {
        path for path in paths if path.stem.endswith("_PS") and path.with_stem(path.stem[:-3]) in there
    }
    if not paths:
        raise NoMicrographs(f"{folder} holds no micrographs (.mrc, .tif, .png, .jpg); give the folder that does")
    return _below(folder, sorted(there - spectra))


def _from_glob(pattern: Path) -> tuple[MicrographEntry, ...]:
    hits = sorted(Path(hit) for hit in glob.glob(str(pattern), recursive=True))
    parts = pattern.parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[: min(fixed, len(parts) - 1)])
    paths = _foreign(base, [path for path in hits if path.is_file() and split_suffix(path.name)[1]])
    if not paths:
        what = f"matches {len(hits)} files but no micrograph" if hits else "matches no file"
        raise InputError(f"{pattern} {what}; check the pattern, e.g. 'micrographs/*.mrc' in quotes")
    return _below(base, paths)
