"""Files and folders that appear whole or not at all."""

import functools
import os
import platform
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drpnet.errors import InputError

_TOKEN = secrets.token_hex(4)
_LEFTOVER = re.compile(r"\.drpnet-(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<token>[0-9a-f]{8})-.*", re.DOTALL)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a hidden temporary path beside `path`, same suffix; it replaces `path` on success.

    Makes parent folders. Whatever the body raises removes the temporary file and leaves an older `path` as it
    was. What killed processes left in the folder goes, too.
    """
    temporary = _beside(Path(path))
    try:
        with _named(path, temporary):
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # a disk that can no longer be written says so above
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder, which is made empty; it replaces `path` when that is missing or empty.

    Raises InputError for the current folder, which cannot be replaced under whoever stands in it.
    """
    path = Path(path).resolve()
    if path == Path.cwd():
        raise InputError(f"{path} is the current folder; name a new folder in it")
    temporary = _beside(path)
    try:
        with _named(path, temporary):
            temporary.mkdir()
            yield temporary
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_first(path: Path, content: bytes) -> bool:
    """Write a file unless there is one; whether it was written. Of several programs that start at once one does."""
    path = Path(path)
    if path.exists():
        return False
    temporary = _beside(path)
    try:
        with _named(path, temporary):
            temporary.write_bytes(content)
        try:
            os.link(temporary, path)  # fails where it exists, unlike a rename
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links: two that start in the same instant may both write
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


@contextmanager
def _named(path: Path, temporary: Path) -> Iterator[None]:
    """Whoever reads that a file cannot be written knows it by its own name, not by that of the moment."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename).startswith(str(temporary))):
            error.filename, error.filename2 = str(path), None
        raise


def _beside(path: Path) -> Path:
    """A new hidden name beside `path` that says whose it is, after making and tidying the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(os.path.abspath(path.parent))
    mark = secrets.token_hex(4)
    return path.with_name(f".drpnet-{_machine()}-{os.getpid()}-{_TOKEN}-{mark}.{path.name[-24:]}")


@functools.cache  # once a process and folder: a folder may hold tens of thousands of files
def _remove_leftovers(folder: str) -> None:
    """Remove the temporary files of processes that ended on this machine; others' cannot be judged from here."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _LEFTOVER.fullmatch(entry.name)
            if found and found["machine"] == _machine() and not _is_alive(int(found["pid"]), found["token"]):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)


@functools.cache
def _machine() -> str:
    """Eight digits for this computer and, in a container, its process numbers."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return f"{zlib.crc32(f'{platform.node()} {namespace}'.encode()):08x}"


def _is_alive(pid: int, token: str) -> bool:
    """Whether the process that took that number and token may still run."""
    if pid == os.getpid():
        return token == _TOKEN
    if os.name != "posix":
        return True  # signal 0 is no question there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # somebody else's
    return True
