"""The console: the command drpnet and all that can follow it. The modules' order here is that of `drpnet --help`."""

from drpnet.cli import picking, scoring, checking, pipelines, making  # noqa: F401, I001
from drpnet.cli.app import app
from drpnet.cli.run import run_picking, run_script, run_training

__all__ = ["app", "main", "run_picking", "run_script", "run_training"]


def main() -> None:
    """The installed command `drpnet`."""
    app()
