"""Ask an archive over HTTP: what may pass is a Fault, what will not is an InputError."""

import re
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from drpnet import __version__
from drpnet.errors import InputError

T = TypeVar("T")
TIMEOUT = (15, 60)
"""Seconds to connect, and between two pieces of an answer."""
ATTEMPTS = 6
"""Tries in a row that bring nothing before a file is given up."""
_QUESTIONS = 4
"""Tries of a page or a size before it is given up."""
_LONGEST_PAUSE = 60.0
_ERROR_PAGES = (b"<?xml", b"<error", b"<!doctype", b"<html")


class Fault(Exception):
    """Something that may pass: a lost connection, a busy server; `after` is the pause that the server asks for."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Stopped(Exception):
    """The download was stopped from outside."""


class Client:
    """A connection to the archive; proxies come from the environment (HTTPS_PROXY, NO_PROXY).

    `pause` is the first wait after a fault in seconds, doubled each time; `stop` ends every wait.
    """

    def __init__(self, stop: threading.Event | None = None, pause: float = 1.0) -> None:
        self.stop = stop or threading.Event()
        self.pause = pause
        self._local = threading.local()

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        """An answer with status 200, 206 or 416 whose body is still to be read; use it as a context."""
        return self._ask("GET", url, headers or {})

    def size(self, url: str) -> int | None:
        """The size in bytes that the server says a file has; None when it does not."""
        with self._ask("HEAD", url, {}) as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdigit() else None

    def page(self, url: str) -> str:
        """A whole HTML page; InputError when it cannot be had."""

        def read() -> str:
            with self.get(url) as response:
                try:
                    body = response.content
                except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                    raise Fault(f"the connection broke ({brief(error)})") from None
                has_end = {"content-length", "transfer-encoding"} & {name.lower() for name in response.headers}
            if (told := error_page(body)) and b"<a " not in body.lower():
                raise Fault(f"the archive answered with an error page ({told})")
            if not has_end and b"</html>" not in body.lower():
                raise Fault("the page of the archive is cut short")
            return body.decode("utf-8", "replace")

        return self.persist(read, url)

    def persist(self, action: Callable[[], T], url: str) -> T:
        """The result of `action`, tried again after faults; InputError when it keeps failing."""
        for attempt in range(_QUESTIONS):
            try:
                return action()
            except Fault as fault:
                last = fault
                if attempt + 1 < _QUESTIONS:
                    self.wait(attempt, fault)
        raise InputError(f"{url}: {last}; check the connection (a proxy: HTTPS_PROXY) and run the same command again")

    def wait(self, attempt: int, fault: Fault) -> None:
        """Pause after the `attempt`-th fault in a row; Stopped when the download is stopped."""
        seconds = self.pause * 2**attempt if fault.after is None else fault.after
        if self.stop.wait(min(seconds, _LONGEST_PAUSE)):
            raise Stopped

    def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> requests.Response:
        if not hasattr(self._local, "session"):
            self._local.session = session = requests.Session()
            # identity: sizes and ranges are those of the file
            session.headers.update({"User-Agent": f"drpnet/{__version__}", "Accept-Encoding": "identity"})
        try:
            response = self._local.session.request(
                method, url, headers=dict(headers), stream=True, timeout=TIMEOUT, allow_redirects=True
            )
        except requests.RequestException as error:
            raise Fault(f"cannot reach {urlsplit(url).netloc} ({brief(error)})") from None
        status = response.status_code
        if status in (200, 206, 416):
            return response
        response.close()
        if status in (401, 403, 404, 410):
            what = "is not there" if status in (404, 410) else "is refused"
            raise InputError(
                f"{url} {what} (HTTP {status}); look at the entry's page in a browser, "
                "and correct dataset.archive in conf/dataset, or here as KEY=VALUE, where it has moved"
            )
        after = response.headers.get("Retry-After", "")
        raise Fault(f"the archive answered HTTP {status}", float(after) if after.isdigit() else None)


def error_page(body: bytes) -> str:
    """What an error page (XML or HTML) says, where `body` is the beginning of one; no data file begins so."""
    start = body[:1024].lstrip()
    if not start.lower().startswith(_ERROR_PAGES):
        return ""
    told = re.search(rb"<(?:Code|title)>\s*([^<]{1,80})", start, re.IGNORECASE)
    return (told[1] if told else start[:60]).decode("utf-8", "replace").strip()


def brief(error: BaseException) -> str:
    """The innermost reason of an exception of requests or urllib3, on one line."""
    reason: object = error
    while True:
        inner = getattr(reason, "reason", None) or next(iter(getattr(reason, "args", ())), None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    text = str(reason).rpartition(">: ")[2].rpartition("): ")[2]
    return " ".join(text.split())[:120] or type(error).__name__
