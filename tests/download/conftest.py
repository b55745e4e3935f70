"""An archive on this machine that serves index pages and files as ftp.ebi.ac.uk does, and misbehaves on request."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import pytest

ERROR_BODY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>ConnectionClosed</Code>'
    b"<Message>The connection was closed</Message></Error>"
)


def apache_size(size: int) -> str:
    """A size as Apache's index rounds it (apr_strfsize): 512, 1.2K, 64M."""
    if size < 973:
        return str(size)
    for unit in "KMGTP":
        rest, size = size & 1023, size >> 10
        if size >= 973:
            continue
        if size < 9 or (size == 9 and rest < 973):
            tenth = (rest * 5 + 256) // 512
            return f"{size + tenth // 10}.{tenth % 10}{unit}"
        return f"{size + (rest >= 512)}{unit}"
    raise AssertionError


def apache_page(path: str, folders: list[str], files: dict[str, int | None]) -> str:
    """Apache's fancy index as a table, names cut as it cuts them."""
    head = "".join(
        f'<th><a href="?C={key};O=A">{name}</a></th>'
        for key, name in zip("NMSD", ("Name", "Last modified", "Size", "Description"), strict=True)
    )
    parent = path.rstrip("/").rpartition("/")[0] + "/"
    rows = [f'<td><a href="{parent}">Parent Directory</a>  </td><td>&nbsp;</td><td align="right">  - </td>']
    for name in [f"{folder}/" for folder in folders] + list(files):
        shown = name if len(name) < 24 else f"{name[:20]}..&gt;"
        size = files.get(name)
        told = "  - " if size is None else f"{apache_size(size):>4}"
        rows.append(
            f'<td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td><td><a href="{quote(name)}">{shown}</a></td>'
            f'<td align="right">2015-03-03 12:34  </td><td align="right">{told}</td><td>&nbsp;</td>'
        )
    table = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n'
        f"<html>\n <head>\n  <title>Index of {path}</title>\n </head>\n <body>\n<h1>Index of {path}</h1>\n"
        f"  <table>\n<tr><th></th>{head}</tr>\n{table}</table>\n</body></html>\n"
    )


class Archive:
    """Files by path, and what goes wrong: `faults[path]` is a list of what the next requests of it meet.

    A fault is a number (the connection closes after so many bytes), a status such as "503", or one of "error"
    (a page of XML with status 200), "error 206" (the same as a partial answer), "longer" and "shorter" (than
    Content-Length says), "no length" (the body ends with the connection), "silent" (a head and then nothing).
    `meanwhile` is called with the path of every request, before the answer.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[int | str]] = defaultdict(list)
        self.versions: Counter[str] = Counter()
        self.ranges = True
        self.marks = ("ETag", "Last-Modified")
        self.sizes_listed = True
        self.piece, self.delay = 1 << 20, 0.0
        self.meanwhile: Callable[[str], object] = lambda path: None
        self.requests: list[tuple[str, str, str | None]] = []
        self.hosts: set[str] = set()
        self.connections: set[int] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.url = ""

    def asked(self, suffix: str, method: str = "GET") -> list[str | None]:
        """The Range of every request for the files with this suffix."""
        return [wanted for verb, path, wanted in self.requests if verb == method and path.endswith(suffix)]

    def page(self, path: str) -> str | None:
        """The index page of a folder."""
        below = [name[len(path) :] for name in self.files if name.startswith(path)]
        if not below:
            return None
        folders = sorted({name.partition("/")[0] for name in below if "/" in name})
        files = {n: len(self.files[path + n]) if self.sizes_listed else None for n in sorted(below) if "/" not in n}
        return apache_page(path, folders, files)

    def told(self, path: str) -> dict[str, str]:
        """What marks the present version of a file."""
        version = self.versions[path]
        marks = {"ETag": f'"{version}-{len(self.files[path])}"', "Last-Modified": f"Tue, 03 Mar 2015 12:34:{version:02d} GMT"}
        return {name: marks[name] for name in self.marks}


def handler_of(archive: Archive) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            path = self.noted()
            self.answer(200, {"Content-Length": str(len(archive.files[path])), **archive.told(path)}, b"")

        def do_GET(self) -> None:
            path = self.noted()
            fault = archive.faults[path].pop(0) if archive.faults[path] else None
            if isinstance(fault, str) and fault.isdigit():
                return self.answer(int(fault), {"Content-Length": "0", "Retry-After": "0"}, b"")
            if fault in ("error", "error 206"):
                headers = {"Content-Type": "application/xml", "Content-Length": str(len(ERROR_BODY))}
                if fault == "error 206":
                    start = int((self.headers["Range"] or "bytes=0-")[6:-1])
                    total = len(archive.files[path])
                    headers |= {"Content-Range": f"bytes {start}-{total - 1}/{total}", **archive.told(path)}
                return self.answer(206 if fault == "error 206" else 200, headers, ERROR_BODY)
            if path.endswith("/"):
                page = archive.page(path)
                body = (page or "<html>404 Not Found</html>").encode()
                headers = {"Content-Type": "text/html;charset=UTF-8", "Content-Length": str(len(body))}
                return self.answer(200 if page else 404, headers, body, fault)
            if path not in archive.files:
                return self.answer(404, {"Content-Length": "0"}, b"")
            self.file(path, fault)

        def noted(self) -> str:
            archive.requests.append((self.command, unquote(urlsplit(self.path).path), self.headers["Range"]))
            archive.hosts.add(urlsplit(self.path).netloc)
            archive.connections.add(self.client_address[1])
            archive.meanwhile(unquote(urlsplit(self.path).path))
            return unquote(urlsplit(self.path).path)

        def file(self, path: str, fault: int | str | None) -> None:
            body = archive.files[path]
            headers = {"Accept-Ranges": "bytes", **archive.told(path)}
            status, wanted = 200, self.headers["Range"] if archive.ranges else None
            if wanted:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    return self.answer(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"}, b"")
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                status, body = 206, body[start:]
            length = max(0, len(body) + {"longer": 100, "shorter": -100}.get(str(fault), 0))
            if fault == "no length":
                headers["Connection"] = "close"
            else:
                headers["Content-Length"] = str(length)
            self.answer(status, headers, body[: min(length, len(body))], fault)

        def answer(self, status: int, headers: dict[str, str], body: bytes, fault: int | str | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with archive.lock:
                archive.at_once += 1
                archive.most_at_once = max(archive.most_at_once, archive.at_once)
            try:
                if fault == "silent":
                    body = b""
                    time.sleep(2.5)
                body = body[:fault] if isinstance(fault, int) else body
                for start in range(0, len(body), archive.piece):
                    self.wfile.write(body[start : start + archive.piece])
                    time.sleep(archive.delay)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with archive.lock:
                    archive.at_once -= 1
            if isinstance(fault, int) or fault in ("longer", "no length", "silent"):
                self.close_connection = True

    return Handler


@pytest.fixture
def archive() -> Iterator[Archive]:
    """A fresh archive, listening."""
    archive = Archive()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(archive))
    server.daemon_threads = True
    archive.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield archive
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def rounded() -> Callable[[int], str]:
    """Sizes as Apache's index rounds them."""
    return apache_size


@pytest.fixture
def error_body() -> bytes:
    """The page that the archive answers with, status 200, when it has lost a connection of its own."""
    return ERROR_BODY


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
