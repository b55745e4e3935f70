"""Fetch one file: what has come stays beside it as .part, and only a whole, checked file gets its name."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import urllib3

from drpnet.download.client import ATTEMPTS, Client, Fault, Stopped, brief, error_page
from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes
from drpnet.io.micrographs import require_whole_mrc, split_suffix

_PIECE = 1 << 18
_SPOILT = 2
"""How often a file may come whole and wrong before it is given up."""


class Damaged(Exception):
    """A file that came to its end and is not what it should be."""


def check_file(path: Path, name: str, least: int, most: int | None, md5: str = "") -> None:
    """Raise Damaged where the file at `path`, called `name` in the archive, is no whole copy of it.

    Its size must lie within the index page's `least` and `most`, its MD5 sum must be `md5` where one is known,
    a .mrc must be as long as its header says, and it must neither begin nor end as an error page does.
    """
    size = path.stat().st_size
    if size < least or (most is not None and size > most):
        raise Damaged(f"it has {size} bytes, the archive's index says {least} to {most}")
    with path.open("rb") as file:
        head = file.read(1024)
        file.seek(max(0, size - 64))
        tail = file.read()
    if (error := error_page(head)) or tail.rstrip().lower().endswith((b"</error>", b"</html>")):
        raise Damaged(f"there is an error page in it ({error or 'at its end'})")
    if md5 and (found := _md5(path)) != md5:
        raise Damaged(f"its MD5 sum is {found}, the archive publishes {md5}")
    if split_suffix(name)[1] == ".mrc":
        try:
            require_whole_mrc(path)
        except InputError as error:
            raise Damaged(str(error).partition("; ")[0].replace(str(path), "it")) from None


def fetch(
    client: Client, url: str, target: Path, check: Callable[[Path], None], count: Callable[[int], None]
) -> dict[str, Any]:
    """Download `url` to `target`, going on where an earlier try stopped; what the server says of the file.

    `check` raises Damaged for a file that is not to be kept; `count` gets the number of bytes as they come,
    negative where some are given up. Raises InputError when the file cannot be had, Stopped when stopped.
    """
    barren = spoilt = 0
    furthest = begun_bytes(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            told = _receive(client, url, target, count)
            check(_part(target))
            os.replace(_part(target), target)
            _note(target).unlink(missing_ok=True)
            return told
        except Damaged as damage:
            spoilt += 1
            _give_up(target, count)
            fault = Fault(f"what came is not the file: {damage}")
        except Fault as caught:
            fault = caught
        barren = 0 if begun_bytes(target) > furthest else barren + 1
        furthest = max(furthest, begun_bytes(target))
        if barren >= ATTEMPTS or spoilt >= _SPOILT:
            raise InputError(f"{url}: {fault}; run the same command again, later if need be")
        client.wait(max(0, barren - 1), fault)


def begun_bytes(target: Path) -> int:
    """How many bytes of an earlier try can be gone on from."""
    try:
        return _part(target).stat().st_size if _note(target).is_file() else 0
    except FileNotFoundError:
        return 0


def clear(target: Path) -> None:
    """Remove what an earlier try, or one that was killed at its very end, left beside a whole file."""
    _part(target).unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)


def _receive(client: Client, url: str, target: Path, count: Callable[[int], None]) -> dict[str, Any]:
    """Bring the .part of `target` to its end, as far as the connection allows."""
    have, known = begun_bytes(target), _read_note(target)
    with client.get(url, {"Range": f"bytes={have}-"} if have else {}) as response:
        told = _told(response)
        if response.status_code == 416 or (response.status_code == 206 and not _goes_on(response, have, known, told)):
            if response.status_code == 416 and have and have == known.get("size") == told["size"]:
                return known
            _give_up(target, count)
            raise Fault("the file at the archive is not the one that was begun; starting anew", after=0)
        piece = _read(response)
        if error := error_page(piece):
            raise Fault(f"the archive answered with an error page ({error})")
        if response.status_code == 200:  # from the first byte on, whatever was asked for
            _give_up(target, count)
            write_bytes(_note(target), json.dumps(told).encode())
        with _part(target).open("ab", buffering=0) as file:
            while piece:
                rest = memoryview(piece)
                while rest:  # a disk that is nearly full takes less than all, and refuses at the next try
                    rest = rest[file.write(rest) :]
                count(len(piece))
                if client.stop.is_set():
                    raise Stopped
                piece = _read(response)
    size = _part(target).stat().st_size
    if told["size"] not in (None, size):
        raise Fault(f"the connection ended after {size} of {told['size']} bytes")
    return {**told, "size": size}


def _read(response: requests.Response) -> bytes:
    """The next bytes as they come, so that none are lost with the connection."""
    try:
        return response.raw.read1(_PIECE)
    except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
        raise Fault(f"the connection broke ({brief(error)})") from None


def _told(response: requests.Response) -> dict[str, Any]:
    """Size of the whole file and what marks its version, as far as the server says."""
    total = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    length = response.headers.get("Content-Length", "") if response.status_code == 200 else ""
    return {
        "size": int(total[1]) if total else int(length) if length.isdigit() else None,
        "etag": response.headers.get("ETag"),
        "modified": response.headers.get("Last-Modified"),
    }


def _goes_on(response: requests.Response, have: int, known: dict[str, Any], told: dict[str, Any]) -> bool:
    """Whether a partial answer begins behind the `have` bytes of the very file that was begun.

    Its mirrors may mark one file by different tags, so an equal date will do.
    """
    start = re.match(rf"bytes {have}-", response.headers.get("Content-Range", ""))
    same = any(known.get(mark) and known[mark] == told[mark] for mark in ("etag", "modified"))
    return bool(start) and same and known.get("size") in (None, told["size"])


def _give_up(target: Path, count: Callable[[int], None]) -> None:
    count(-begun_bytes(target))
    clear(target)


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _read_note(target: Path) -> dict[str, Any]:
    try:
        note = json.loads(_note(target).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
