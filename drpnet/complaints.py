"""What Hydra and OmegaConf complain of, in one line that names the key, the value and the remedy."""

import difflib
import re
from collections.abc import Sequence


def misfit(error: BaseException) -> str:
    """One line for a `_target_` that could not be built."""
    reason = one_line(error.__cause__ or error)
    place = re.search(r"full_key: (\S+)", str(error))
    remedy = f"see the key {place[1]}" if place else "check its _target_ and arguments"
    return f"the configuration does not fit: {reason}; {remedy}"


def complaint(error: BaseException, known: Sequence[str]) -> str:
    """One line for a configuration that cannot be composed; `known`: keys that a typo may have meant."""
    text = f"{error}\n{error.__cause__ or ''}"
    file = re.search(r"In '([^']+)'.*raised while composing", text)
    where = f"conf/{file[1]}.yaml" if file else "the configuration"
    key = re.search(r"full_key: (\S+)", text)
    if unknown := re.search(r"Key '([^']+)' (?:not in|is not in struct)", text):
        near = difflib.get_close_matches(unknown[1], known, 1)
        hint = f"did you mean {near[0]}?" if near else "the files in conf/ list the keys"
        return f"{where} has no setting {key[1] if key else unknown[1]}; {hint}"
    if absent := re.search(r"Could not (?:find|override) '([^']+)'", text):
        listed = re.search(r"Available options in[^\n]*\n((?:\t[^\n]*\n?)*)", text)
        options = ", ".join(listed[1].split()) if listed else ""
        return f"conf/ has no {absent[1]}; " + (f"choose from {options}" if options else "check its name")
    if wrong := re.search(r"Value '.*", text):
        return f"{where}, {key[1] if key else 'a setting'}: {wrong[0]}; correct the value"
    return f"the configuration is wrong: {one_line(error)}; the files in conf/ show what can be set"


def one_line(error: BaseException) -> str:
    """An error's text on one line, cut to a readable length."""
    return " ".join(str(error).split())[:300]
