"""Progress bars for long work, silent where nobody looks (pipes, CI logs)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

console = Console(stderr=True)


def bar() -> Progress:
    """A bar with counts, elapsed and remaining time, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


@contextmanager
def counted(text: str) -> Iterator[Callable[[int, int], None]]:
    """A callback (done, total) that draws a bar from its first call on."""
    progress = bar()
    task = progress.add_task(text, total=None, visible=False)

    def update(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total, visible=True)

    with progress:
        yield update


def transfer_bar() -> Progress:
    """A bar with bytes, rate and remaining time, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)
