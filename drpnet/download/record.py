"""What a data set's folder knows of its download: files that were checked, subsets that are complete."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes

NAME = "download.json"
_LOCK = ".download.lock"


class Record:
    """`download.json` in the folder `root`: checked files with their sizes, and complete subsets."""

    def __init__(self, root: Path, entry: int) -> None:
        self.root = root
        self.files: dict[str, dict[str, Any]] = {}
        self.subsets: dict[str, list[str]] = {}
        try:
            content = json.loads((root / NAME).read_text())
            if content["entry"] == entry:
                self.files, self.subsets = dict(content["files"]), dict(content["subsets"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # then every file is checked again
        self.entry = entry

    def has(self, place: str) -> bool:
        """Whether the file at `place` below the root is there, as long as it was when it was checked."""
        known = self.files.get(place)
        try:
            return known is not None and (self.root / place).stat().st_size == known["size"]
        except OSError:
            return False

    def is_complete(self, subset: str) -> bool:
        """Whether every file of a subset that was once completed is still there."""
        return subset in self.subsets and all(self.has(place) for place in self.subsets[subset])

    def save(self) -> None:
        """Write the record, whole or not at all."""
        content = {"entry": self.entry, "subsets": self.subsets, "files": self.files}
        write_bytes(self.root / NAME, (json.dumps(content, indent=1) + "\n").encode())


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold a data set's folder for one download; InputError while another one is at it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / _LOCK).open("w")
    except OSError as error:
        raise InputError(f"{root} cannot be written ({error.strerror}); choose another folder with --root") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another download into {root} is running; wait for it or stop it") from None
        except OSError:
            pass  # a file system without locks
        try:
            yield
        finally:
            if os.listdir(root) == [_LOCK]:  # nothing came: a folder that is there counts as a data set
                (root / _LOCK).unlink()
                root.rmdir()


def require_space(root: Path, needed: int, name: str, subset: str) -> None:
    """Raise InputError where the disk of `root` has less than `needed` bytes free."""
    free = shutil.disk_usage(root).free
    if needed > free:
        raise InputError(
            f"{name} --subset {subset} needs {size_text(needed)} more, {root} has {size_text(free)} free; "
            "use --subset micrographs:N, or --root on another disk"
        )


def size_text(size: float) -> str:
    """A number of bytes in decimal units, as disks are sold."""
    units: Sequence[str] = ("B", "kB", "MB", "GB", "TB")
    for unit in units:
        if size < 1000 or unit == units[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
