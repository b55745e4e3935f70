"""The lock of a study's folder, which no killed program keeps for long."""

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import IO

from optuna.storages.journal import JournalFileOpenLock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

GRACE = 15
"""Seconds that a lock is left alone whose owner, on another machine, gives no sign of life; it is held for milliseconds."""


class FolderLock(JournalFileOpenLock):
    """Alone among all programs, of all machines that see the folder: a file that only one of them can make.

    Who is killed leaves that file behind. So programs of one machine first wait for each other by `flock`, which dies with its
    owner: who has that and finds the file of its own machine knows its owner for dead. Of other machines' it is broken after
    `GRACE` seconds. (Optuna's default, symbolic links, waits for ever where the path is relative.)
    """

    def __init__(self, path: Path):
        """The lock of whatever is at `path`, whose name the two files beside it begin with."""
        super().__init__(str(path), GRACE)
        self.path, self.local = Path(f"{path}.lock"), Path(f"{path}.flock")
        self.file: IO[str] | None = None

    def acquire(self) -> bool:
        """Wait until it is ours."""
        if fcntl is not None:
            self.file = self.local.open("w")
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX)
            except OSError:  # a file system without it
                pass
            else:
                with suppress(OSError):
                    if self.path.read_text() == platform.node():
                        self.path.unlink()
        super().acquire()
        self.path.write_text(platform.node())
        return True

    def touch(self) -> None:
        """Say that the owner lives."""
        with suppress(OSError):
            os.utime(self.path)

    def release(self) -> None:
        """Give it back."""
        try:
            super().release()  # fails where another machine broke a lock that gave no sign of life
        finally:
            if self.file is not None:
                self.file.close()
                self.file = None
