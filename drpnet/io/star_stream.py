"""Columns of a long STAR table part by part, so that memory does not grow with its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.errors import InputError
from drpnet.io.star import clear_reading, split_words

ROWS = 1 << 16


@dataclass(frozen=True)
class StarTable:
    """A loop of a STAR file: the name of its block, its labels, where its rows begin (a line number from 0)."""

    path: Path
    block: str
    labels: tuple[str, ...]
    first_row: int

    def chunks(
        self, wanted: Sequence[str], names: Sequence[str] = (), rows: int = ROWS
    ) -> Iterator[dict[str, np.ndarray]]:
        """The columns `wanted` as float64 and `names` as text, in parts of at most `rows` rows.

        Raises InputError for a label that the table lacks, a row of another length, a value that is no finite number.
        """
        missing = [label for label in (*wanted, *names) if label not in self.labels]
        if missing:
            raise InputError(
                f"{self.path}: data_{self.block} has no column {missing[0]}; give the file of a refinement"
            )
        places = [self.labels.index(label) for label in (*wanted, *names)]
        part: list[list[str]] = []
        for words in self._rows():
            part.append([words[place] for place in places])
            if len(part) == rows:
                yield self._columns(part, wanted, names)
                part = []
        if part:
            yield self._columns(part, wanted, names)

    def _rows(self) -> Iterator[list[str]]:
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                if number < self.first_row:
                    continue
                text = line.strip()
                if text.startswith(("data_", "loop_")):
                    return
                if text and not text.startswith("#"):
                    words = split_words(text)
                    if len(words) != len(self.labels):
                        raise InputError(
                            f"{self.path} line {number + 1}: {len(words)} values for {len(self.labels)} columns; "
                            "is the file cut short?"
                        )
                    yield words

    def _columns(self, part: list[list[str]], wanted: Sequence[str], names: Sequence[str]) -> dict[str, np.ndarray]:
        columns = dict(zip((*wanted, *names), zip(*part, strict=True), strict=True))
        return {label: self._numbers(label, columns[label]) for label in wanted} | {
            label: np.array(columns[label]) for label in names
        }

    def _numbers(self, label: str, texts: Sequence[str]) -> np.ndarray:
        try:
            values = np.array(texts).astype(float)
        except ValueError:
            bad = next(text for text in texts if not _is_number(text))
            raise InputError(f"{self.path}: {label} is {bad!r} in a row; it must be a number") from None
        if not np.isfinite(values).all():
            bad = texts[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise InputError(f"{self.path}: {label} is {bad!r} in a row; it must be a finite number")
        return values


def find_table(path: Path, blocks: Sequence[str]) -> StarTable:
    """The first loop of a STAR file whose block has one of these names; only its header is read.

    Raises InputError for a file that is missing, is no text or has no such loop.
    """
    path = Path(path)
    block: str | None = None
    labels: list[str] = []
    with clear_reading(path), path.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            text = line.strip()
            if text.startswith("data_"):
                block, labels = text[5:], []
            elif text.startswith("_") and block in blocks:
                labels.append(text.split()[0][1:])
            elif text and not text.startswith(("#", "loop_")) and labels:
                return StarTable(path, block or "", tuple(labels), number)
    wanted = " or ".join(f"data_{name}" for name in blocks)
    raise InputError(f"{path} has no table {wanted} with rows; give a STAR file of particles")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
