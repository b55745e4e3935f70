"""Read an archive's index pages: which files an entry has, and about how large they are."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)")
_UNITS = {unit: 1024**power for power, unit in enumerate(["", *"KMGTP"])}
_DEEPEST = 8


@dataclass(frozen=True)
class Listed:
    """A file of an entry by its path below the entry's folder, and bounds of its size in bytes.

    An index page rounds ("64M"), so the size lies between `least` and `most`; `most` is None where the page
    says nothing.
    """

    path: str
    least: int = 0
    most: int | None = None


def parse_index(html: str, address: str) -> tuple[list[str], list[Listed]]:
    """Names of the folders, and the files, that the index page at `address` (with a slash at its end) links to.

    Reads the pages of Apache and nginx, as tables or as plain text. Links to other places (the parent, the sort
    orders, other sites) do not count.
    """
    parser = _Links()
    parser.feed(html)
    folders, found = [], []
    for href, text in parser.links:
        target = urljoin(address, href).partition("#")[0].partition("?")[0]
        name = unquote(target[len(address) :]) if target.startswith(address) else ""
        plain = name.removesuffix("/")
        if plain in ("", ".", "..") or re.search(r"[/\\\0]", plain):
            continue
        if name.endswith("/"):
            folders.append(plain)
        else:
            found.append(Listed(name, *_bounds(text)))
    return list(dict.fromkeys(folders)), list({item.path: item for item in found}.values())


def list_entry(page: str, globs: Sequence[str], read_page: Callable[[str], str]) -> list[Listed]:
    """Files of the entry whose folder is at `page`, sorted; only folders that a glob can reach are read."""
    found: list[Listed] = []
    fixed = {glob[: glob.index("*")].rpartition("/")[0] + "/" for glob in globs}
    starts = {"" if folder == "/" else folder for folder in fixed}
    ahead = sorted(a for a in starts if not any(a != b and a.startswith(b) for b in starts))
    for _ in range(_DEEPEST):
        below = []
        for folder in ahead:
            names, files = parse_index(read_page(page + folder), page + folder)
            found += [Listed(folder + file.path, file.least, file.most) for file in files]
            below += [f"{folder}{name}/" for name in names]
        ahead = [folder for folder in below if any(_may_hold(glob, folder) for glob in globs)]
    return sorted(found, key=lambda file: file.path)


def matching(glob: str, files: Iterable[Listed]) -> list[tuple[Listed, str]]:
    """The files of a glob, each with what its last `*` stands for; `*` stays within a folder, `**/` does not."""
    before, _, after = glob.rpartition("*")
    pattern = re.compile(f"{_regex(before)}([^/]*){_regex(after)}")
    hits = ((file, pattern.fullmatch(file.path)) for file in files)
    return [(file, hit[1]) for file, hit in hits if hit]


def _regex(glob: str) -> str:
    parts = re.split(r"(\*\*/|\*)", glob)
    return "".join({"**/": "(?:[^/]+/)*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)


def _may_hold(glob: str, folder: str) -> bool:
    """Whether files of `glob` can lie in `folder` or below it."""
    wanted, here = glob.split("/")[:-1], folder.strip("/").split("/")
    for pattern, name in zip(wanted, here, strict=False):
        if pattern == "**":
            return True
        if not re.fullmatch(_regex(pattern), name):
            return False
    return len(here) <= len(wanted)


def _bounds(text: str) -> tuple[int, int | None]:
    """Least and most bytes for what stands behind a link: a date, a size such as 64M or 1.2K, a description."""
    for word in text.split()[::-1]:
        if size := _SIZE.fullmatch(word):
            value, unit = float(size[1]), _UNITS[size[2]]
            if unit == 1:
                return int(value), int(value)
            step = 0.1 if "." in size[1] else 1.0
            return max(0, int((value - step) * unit)), int((value + step) * unit) + 1
    return 0, None


class _Links(HTMLParser):
    """The links of a page, each with the text between it and the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a link."""
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.links.append((href, ""))
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        """End a link, and mark the end of a table's cell."""
        if tag == "a":
            self._inside = False
        elif tag in ("td", "tr"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        """Collect what stands behind a link."""
        if self.links and not self._inside:
            href, text = self.links[-1]
            self.links[-1] = (href, text + data)
