"""What Hydra and OmegaConf complain of, in one line that names the key, the value and the remedy."""

import difflib
import re
import traceback
from collections.abc import Sequence

from yaml import MarkedYAMLError, YAMLError


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
    where = f"{file[1]}.yaml" if file else "the configuration"
    key = re.search(r"full_key: (\S+)", text)
    if file and "ListConfig" in text:
        return f"{where} holds a list where settings belong; write lines like KEY: VALUE"
    if file and f"Key '{file[1].split('/')[0]}' not in" in text:
        return f"{where} lacks the line that puts its settings in their place; begin it with # @package _global_"
    if unknown := re.search(r"Key '([^']+)' (?:not in|is not in struct)", text):
        near = difflib.get_close_matches(unknown[1], known, 1)
        name = key[1] if key else unknown[1]
        hint = f"did you mean {near[0]}?" if near else "the files in conf/ list the keys"
        if near == [unknown[1]]:
            hint = f"to add it write +{name}=..."
        return f"{where} has no setting {name}; {hint}"
    if absent := re.search(r"Could not (?:find|override) '([^']+)'", text):
        listed = re.search(r"Available options in[^\n]*\n((?:\t[^\n]*\n?)*)", text)
        options = ", ".join(listed[1].split()) if listed else ""
        return f"conf/ has no {absent[1]}; " + (f"choose from {options}" if options else "check its name")
    if key and "is not a ListConfig" in text:
        return f"{where}, {key[1]}: the value is no list; write it like [1,2]"
    if wrong := re.search(r"Value '.*", text):
        return f"{where}, {key[1] if key else 'a setting'}: {wrong[0]}; correct the value"
    return f"the configuration is wrong: {one_line(error)}; the files in conf/ show what can be set"


def unreadable(error: Exception) -> str | None:
    """One line for a YAML file or a choice that Hydra could not read; None for an error that comes from elsewhere."""
    if isinstance(error, YAMLError):
        place, problem = "a YAML file of the configuration", one_line(error)
        if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
            mark, began = error.problem_mark, error.context_mark
            place, problem = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}", str(error.problem)
            if error.context and began is not None and began.line != mark.line:
                problem += f" ({error.context} that begins in line {began.line + 1})"
        remedy = "indent with spaces" if "'\\t'" in problem else "correct it there"
        return f"{place} is no valid YAML: {problem}; {remedy}"
    if isinstance(error, UnicodeDecodeError):
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_name == "load_config" and "full_path" in frame.f_locals:
                return f"{frame.f_locals['full_path']} is not UTF-8 text ({error.reason}); save it as UTF-8"
    if str(error).startswith("Config group override"):
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "override" in frame.f_locals and "repo" in frame.f_locals:
                given = frame.f_locals["override"]
                return f"{given.input_line}: this chooses a file, by its name; to choose none, write ~{given.get_key_element()}"
    if invalid := re.match(r"Invalid defaults list in '([^']+)', (.*)", str(error)):
        return f"{invalid[1]}.yaml: {invalid[2]}; write `defaults:` and below it lines like `- override /dataset: NAME`"
    return None


def one_line(error: BaseException) -> str:
    """An error's text on one line, cut to a readable length."""
    return " ".join(str(error).split())[:300]
