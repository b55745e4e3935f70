"""What every command shares: the program, how a user's mistake ends, how words of the command line are read."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from drpnet import __version__
from drpnet.errors import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="DRPnet picks particles in cryo-electron micrographs: one network predicts where particle centres "
    "are, a second one sorts out false detections.",
)
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For commands whose further arguments are KEY=VALUE, or another program's."""


@contextmanager
def user_errors() -> Iterator[None]:
    """A user's mistake ends in one line and exit status 2, never in a traceback."""
    try:
        yield
    except InputError as error:
        sys.stderr.write(f"error: {' '.join(str(error).splitlines())}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        how = str(stop) or "run a pick again to go on, a training with resume=RUN/checkpoints/last.ckpt"
        sys.stderr.write(f"interrupted; {how}\n")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise  # whoever read our output has gone: typer ends quietly
    except OSError as error:
        logging.getLogger(__name__).debug("unexpected", exc_info=error)
        place = error.filename2 or error.filename or "input or output"
        sys.stderr.write(f"error: {place}: {error.strerror or error}; check the path, its permissions and free space\n")
        raise SystemExit(2) from None


def as_path(text: str) -> Path:
    """A path from the command line; the empty text that an unset shell variable leaves would mean the current folder."""
    with user_errors():
        if not text.strip():
            raise InputError("a path on the command line is empty; name the file or folder ('.' is the current folder)")
    return Path(text)


def quoted(value: object) -> str:
    """A value as Hydra's command-line grammar reads it back unchanged."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(value))  # a backslash escapes only where a quote follows
    text = re.sub(r"(\\+)\Z", r"\1\1", text)
    return "'" + text.replace("${", "\\${") + "'"


def _version(value: bool) -> None:
    if value:
        typer.echo(f"drpnet {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
