"""Topaz as a program: how it is called."""

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from drpnet.errors import InputError

DETECTORS = ("resnet16", "resnet8")
LAUNCH = Path(__file__).with_name("launch.py")
_VERSIONS = "import json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in ('topaz-em', 'torch', 'numpy')}))"


def topaz_words(topaz: str, gradients: bool = True) -> list[str]:
    """The beginning of every command: `topaz` is a command, or the Python of the environment that has Topaz.

    Without `gradients` the Python takes less memory (see launch.py); a command stays as it is.
    """
    words = shlex.split(topaz)
    if not words:
        raise InputError("--topaz is empty; give the python of the environment that has topaz, or the command topaz")
    if not is_python(words):
        return words
    return [*words, str(LAUNCH), *([] if gradients else ["--no-gradients"])]


def is_python(words: Sequence[str]) -> bool:
    """Whether a command is an interpreter alone."""
    return len(words) == 1 and re.fullmatch(r"python[\d.]*", Path(words[0]).name) is not None


def versions_of(words: Sequence[str]) -> dict[str, str] | None:
    """Versions of Topaz, torch and numpy in its environment; None where the `topaz_words` are another command."""
    if str(LAUNCH) not in words:
        return None
    found: dict[str, str] = json.loads(run([words[0], "-c", _VERSIONS]))
    return found


def run(words: Sequence[object]) -> str:
    """What a command prints; InputError with the last line that it says when it cannot start or fails."""
    command = [str(word) for word in words]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run ({error.strerror}); give --topaz, see the README") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing was said").splitlines()[-1]
        raise InputError(f"{shlex.join(command[:4])} ... ended with {done.returncode}: {said[:300]}")
    return done.stdout
