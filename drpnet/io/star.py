"""STAR files (RELION 3.0 to 5): tables in, tables out; nothing half-read passes for a table.

pandas and starfile take a moment to import; only `read_star` needs them, so that picking goes without.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drpnet.errors import InputError
from drpnet.io.atomic import whole_file
from drpnet.io.regular import require_no_pipe

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 65_536
"""Rows of a loop that are turned into text at a time."""
# Columns of names, not numbers: "001" must not become 1.0.
_NAMES = re.compile(r"(Name|NameNoDW|File|Metadata|MicrographCoordinates|ReferenceImage|CtfImage)$")


@dataclass
class _Layout:
    """What a STAR file should give: columns and rows by block; and what starfile must be told of it."""

    columns: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    first_rows: dict[str, int] = field(default_factory=dict)
    """Where the rows of a loop begin, counted from 0."""
    name_columns: set[str] = field(default_factory=set)
    has_stray_lines: bool = False


def read_star(path: Path) -> dict[str, pd.DataFrame]:
    """The blocks of a STAR file by name (`data_` is "") as tables; one without a loop has one row.

    Raises InputError for a missing, empty or foreign file, a row with too few or too many values, a repeated
    block.
    """
    import pandas as pd
    import starfile

    path = Path(path)
    lines = _lines(path)
    layout = _check(path, lines)
    try:
        if layout.has_stray_lines:
            with tempfile.NamedTemporaryFile("w", suffix=".star", encoding="utf-8") as clean:
                clean.write("\n".join(_clean(lines)) + "\n")
                clean.flush()
                blocks = starfile.read(
                    clean.name, always_dict=True, parse_as_string=sorted(layout.name_columns)
                )
        else:
            blocks = starfile.read(path, always_dict=True, parse_as_string=sorted(layout.name_columns))
    except (ValueError, IndexError, KeyError, TypeError, ArithmeticError, OSError) as reason:
        raise InputError(
            f"{path} cannot be read as a STAR file ({_first_line(reason)}); write it anew"
        ) from reason
    tables = {
        name: block if isinstance(block, pd.DataFrame) else pd.DataFrame([block])
        for name, block in blocks.items()
    }
    for name, columns in layout.columns.items():
        if name not in tables or tables[name].shape != (layout.rows[name], len(columns)):
            raise InputError(
                f"{path}: block data_{name} is no plain table; write it as one loop_ or as pairs"
            )
    return tables


def read_columns(path: Path) -> dict[str, list[str]]:
    """The columns of the first loop of a STAR file by label, every value as the text that stands there.

    Raises InputError as `read_star`, and when the file does not begin with a loop.
    """
    path = Path(path)
    lines = _lines(path)
    layout = _check(path, lines)
    name = next(iter(layout.columns))
    if name not in layout.first_rows:
        raise InputError(f"{path}: block data_{name} is no loop_; write it as one")
    content = filter(_is_content, (line.strip() for line in lines[layout.first_rows[name] :]))
    rows = [split_words(line) for line in islice(content, layout.rows[name])]
    return {label: [row[i] for row in rows] for i, label in enumerate(layout.columns[name])}


def write_star(path: Path, blocks: Mapping[str, pd.DataFrame | Mapping[str, Any]]) -> None:
    """Write blocks by name (columns of the same length as a loop, single values without one; "" gives `data_`).

    Floats keep nine digits and NaN is written `nan`; the same blocks give the same bytes, whole or not at all. Raises
    InputError for a name with a quote or a line break in it.
    """
    version = "# version 30001\n\n" if "optics" in blocks else ""  # RELION takes a file for 3.0 without it
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("\n")
        for name, block in blocks.items():
            file.write(f"{version}data_{name}\n\n")
            file.writelines(_body(block))
            file.write("\n\n")


def _body(block: pd.DataFrame | Mapping[str, Any]) -> Iterator[str]:
    """The lines of a loop, some thousands at a time, or of pairs where the values are single ones."""
    columns = {label: block[label] for label in block}
    if all(np.ndim(column) == 0 for column in columns.values()):
        yield from (f"_{label}\t\t\t{_word(value)}\n" for label, value in columns.items())
        return
    yield "loop_\n" + "".join(f"_{label} #{i}\n" for i, label in enumerate(columns, 1))
    values = [np.asarray(column) for column in columns.values()]
    for first in range(0, max(map(len, values)), _ROWS):
        words = [_words(column[first : first + _ROWS]) for column in values]
        yield "".join("\t".join(row) + "\n" for row in zip(*words, strict=True))


def _words(column: np.ndarray) -> list[str]:
    """Every value as it stands in the file; a name that comes again and again is looked at once."""
    values = column.tolist()
    if all(isinstance(value, str) for value in values):
        known = {value: _word(value) for value in set(values)}
        return [known[value] for value in values]
    return [_word(value) for value in values]


def numbers(path: Path, table: pd.DataFrame, label: str) -> np.ndarray:
    """A column (n,) float64; InputError when a value of it is no finite number."""
    import pandas as pd

    values = pd.to_numeric(table[label], errors="coerce").to_numpy(dtype=float)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        value = table[label].iloc[bad[0]]
        said = repr(value) if isinstance(value, str) else str(value)
        raise InputError(f"{path}: {label} is {said} in row {bad[0] + 1}; it must be a number")
    return values


def _word(value: Any) -> str:
    """A value as it stands in the file: a name in quotes where it has blanks or looks like something else."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if not isinstance(value, str):
        return "nan" if value is None else str(value)
    if re.search("[\"'\n\r]", value):
        raise InputError(f"{value!r} has a quote or a line break, which STAR files cannot hold; rename it")
    return f'"{value}"' if not value or re.match(r"_|data_|loop_|.*[#\s]", value) else value


@contextmanager
def clear_reading(path: Path) -> Iterator[None]:
    """What keeps a STAR file from being read, as an InputError that names it."""
    require_no_pipe(path)
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name of the STAR file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give a STAR file in it") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text; give a STAR file") from None
    except OSError as reason:
        raise InputError(
            f"{path} cannot be opened ({reason.strerror}); check it and its permissions"
        ) from reason


def _lines(path: Path) -> list[str]:
    with clear_reading(path):
        text = path.read_text(encoding="utf-8")
    if not text.strip():
        raise InputError(
            f"{path} is empty; write the STAR file anew (a table without rows still has its header)"
        )
    return text.splitlines()


def _is_content(line: str) -> bool:
    return bool(line) and not line.startswith("#")


def _clean(lines: list[str]) -> Iterator[str]:
    """The lines without comments and blank ones, with a blank one before every block."""
    for line in (line.strip() for line in lines):
        if line.startswith("data_"):
            yield ""
        if _is_content(line):
            yield line


def _check(path: Path, lines: list[str]) -> _Layout:
    layout = _Layout()
    columns: list[str] = []
    name = ""
    in_loop = in_rows = False
    for number, line in enumerate((line.strip() for line in lines), 1):
        if line.startswith("data_"):
            name = line[5:]
            if name in layout.columns:
                raise InputError(f"{path} line {number}: block data_{name} stands there twice; keep one")
            columns = layout.columns[name] = []
            layout.rows[name] = 1
            in_loop = in_rows = False
        elif not _is_content(line):
            layout.has_stray_lines |= in_loop and not in_rows and (bool(line) or not columns)
        elif not layout.columns:
            raise InputError(
                f"{path} line {number}: not a STAR file, it starts with {line[:40]!r} instead of data_"
            )
        elif line.startswith("loop_"):
            in_loop = True
            layout.rows[name], layout.first_rows[name] = 0, number
        elif line.startswith("_") and not in_rows:
            label = line.split()[0][1:]
            if label in columns:
                raise InputError(f"{path} line {number}: column {label} stands there twice; keep one")
            columns.append(label)
            if _NAMES.search(label):
                layout.name_columns.add(label)
            if not in_loop and len(split_words(line)) < 2:
                raise InputError(f"{path} line {number}: {label} has no value; is the file cut short?")
        else:
            if in_loop and not in_rows:
                layout.first_rows[name] = number - 1
            in_rows = True
            layout.rows[name] += 1
            found = len(split_words(line))
            if not columns or found != len(columns):
                raise InputError(
                    f"{path} line {number}: {found} values for {len(columns)} columns; is the file cut short?"
                )
    if not layout.columns:
        raise InputError(f"{path} has no data_ block; give a STAR file")
    empty = [name for name, found in layout.columns.items() if not found]
    if empty:
        raise InputError(f"{path}: block data_{empty[0]} has no columns; is the file cut short?")
    return layout


def split_words(line: str) -> list[str]:
    """The values of a line of a loop; none where a quote is not closed."""
    if not any(mark in line for mark in "\"'#"):
        return line.split()
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []


def _first_line(reason: Exception) -> str:
    return str(reason).strip().splitlines()[0] if str(reason).strip() else type(reason).__name__
