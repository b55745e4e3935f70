"""What is asked of a file before it is opened."""

import stat
from pathlib import Path

from drpnet.errors import InputError


def require_no_pipe(path: Path) -> None:
    """Raise InputError for a pipe, a socket or a device, which may never end; whoever opens `path` finds all else."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path} is a pipe or a device, not a file; write what comes from it into a file and give that")
