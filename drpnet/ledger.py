"""What a pick folder holds: a record a micrograph, in a file of its own, so that many programs can pick into one folder."""

import json
import logging
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file, write_first
from drpnet.io.paths import MANIFEST
from drpnet.io.regular import require_no_pipe

log = logging.getLogger(__name__)
Record = dict[str, Any]
"""What is known of a picked micrograph: where it lies, its shape, pixel size, optics, CTF (`picking.describe`)."""
Records = dict[Path, Record]
"""Records by the place (tree / stem) of the micrograph in the pick folder."""
CANDIDATES = "candidates"
"""In a pick folder: all candidates, and a record of each micrograph."""
_RECORD, _FAILURE = "_record.json", "_failure.json"
_KEYS = {"name", "path", "tree", "stem", "shape", "pixel_size", "optics", "ctf"}


def candidates_path(out: Path, tree: str, stem: str) -> Path:
    """Where all candidates of a micrograph lie."""
    return out / CANDIDATES / tree / f"{stem}_candidates.star"


def stamp(path: Path) -> list[int] | None:
    """Bytes and time of change (ns) of a file: a micrograph that was made again is another one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def write_record(out: Path, record: Record) -> None:
    """Note that a micrograph is picked, after its candidates are written; an earlier failure is forgotten."""
    tree, stem = record["tree"], record["stem"]
    _write(_beside(out, tree, stem, _RECORD), record)
    _beside(out, tree, stem, _FAILURE).unlink(missing_ok=True)


def write_failure(out: Path, place: Path, path: Path, problem: str) -> None:
    """Note that a micrograph, as its file is now, could not be picked."""
    failure = {"path": os.path.abspath(path), "file": stamp(path), "problem": problem}
    _write(_beside(out, str(place.parent), place.name, _FAILURE), failure)


def failure_of(out: Path, place: Path, path: Path) -> str | None:
    """Why the file at `path`, as it is now, could not be picked; None where it was not tried."""
    failure = _read(_beside(out, str(place.parent), place.name, _FAILURE))
    return None if failure is None or failure.get("file") != stamp(path) else str(failure.get("problem"))


def read_records(out: Path) -> Records:
    """Every record of a pick folder: those of run.json, and what was picked since or by other programs."""
    records: Records = {}
    if (out / MANIFEST).exists():
        records = {_place(record): record for record in read_manifest(out)["micrographs"]}
    for path in _record_files(out / CANDIDATES):
        found = _read(path)
        if not _is_record(found):
            continue  # not ours, or being removed: the micrograph is picked again
        before = records.get(_place(found))
        # what run.json says was made from the same file is newer: its CTF, its picture
        if before is None or [before.get(key) for key in ("file", "pixel_size")] != [found["file"], found["pixel_size"]]:
            records[_place(found)] = found
    return records


def count_records(out: Path) -> int:
    """How many micrographs of a pick folder have a record, without reading them."""
    return sum(1 for _ in _record_files(out / CANDIDATES))


def read_manifest(out: Path) -> dict[str, Any]:
    """run.json of a pick folder; InputError when there is none or it is no manifest of ours."""
    path = out / MANIFEST
    require_no_pipe(path)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        for key, kind in (("parameters", dict), ("micrographs", list)):
            if not isinstance(manifest[key], kind):
                raise TypeError(f"{key!r} is no {kind.__name__}")
        for record in manifest["micrographs"]:
            check_record(record)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{out} holds no {MANIFEST}; give the --out folder of a `drpnet pick`") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} is not a manifest of drpnet ({reason}); pick into a new folder") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check it, or pick into a new folder") from None
    return manifest


def check_record(record: Any) -> None:
    """Raise KeyError, TypeError, ValueError or OverflowError for what is no record of a micrograph."""
    if not isinstance(record, dict):
        raise TypeError("a record is no dict")
    if lacking := _KEYS - set(record):
        raise KeyError(min(lacking))
    for key in ("name", "path", "tree", "stem"):
        if not isinstance(record[key], str) or "\0" in record[key]:
            raise TypeError(f"{key!r} is no text")
    height, width = (int(size) for size in record["shape"])
    if not (min(height, width) > 0 and 0 < float(record["pixel_size"]) < math.inf):
        raise ValueError("the micrograph has no size")
    if not isinstance(record["optics"], dict) or not isinstance(record["ctf"], dict | None):
        raise TypeError("'optics' or 'ctf' is no dict")


def _is_record(found: Record | None) -> TypeGuard[Record]:
    try:
        check_record(found)
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return found is not None and "file" in found


def write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    with whole_file(out / MANIFEST) as temporary:
        temporary.write_text(manifest_text(manifest), encoding="utf-8")


def manifest_text(manifest: dict[str, Any]) -> str:
    """What run.json holds."""
    return json.dumps(manifest, indent=1) + "\n"


def create_manifest(out: Path, text: str) -> bool:
    """Write run.json unless there is one; whether it was written. Of several programs that start at once one does."""
    return write_first(out / MANIFEST, text.encode())


def _place(record: Record) -> Path:
    return Path(record["tree"]) / record["stem"]


def _beside(out: Path, tree: str, stem: str, suffix: str) -> Path:
    candidates = candidates_path(out, tree, stem)
    return candidates.with_name(stem + suffix)


def _record_files(folder: Path) -> Iterable[Path]:
    for root, _, files in os.walk(folder):
        yield from (Path(root, name) for name in sorted(files) if name.endswith(_RECORD) and not name.startswith("."))


def _write(path: Path, content: Record) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _read(path: Path) -> Record | None:
    with suppress(OSError, ValueError, RecursionError, InputError):
        require_no_pipe(path)
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return None


def parse_shard(text: str | None) -> tuple[int, int]:
    """(k, n) of a share `k/n`, 1/1 for None; InputError for another text."""
    if text is None:
        return 1, 1
    words = text.split("/")
    if len(words) == 2 and all(word.isdecimal() for word in words) and 1 <= int(words[0]) <= int(words[1]):
        return int(words[0]), int(words[1])
    raise InputError(f"shard is {text!r}; give K/N, the K-th of N shares, such as 1/4")
