"""What the doctor found, in words, as a table and as JSON."""

import math
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from scipy.stats import norm

from drpnet.frames.diagnosis import CENTRING, LEAST_CENTRES, Diagnosis
from drpnet.frames.transforms import IDENTITY, Transform
from drpnet.io.coordinates import Coordinates

_SHOWN = 10


@dataclass(frozen=True)
class Examination:
    """What was read and what it says; `failures` are files that could not be used, in words."""

    diagnosis: Diagnosis
    evidence: str
    """"image" or "labels"."""
    guessed: bool
    """Whether nobody gave the diameter."""
    pixel_size: float | None
    looked_at: tuple[str, ...]
    failures: tuple[str, ...]
    sets: dict[str, Coordinates] = field(repr=False)
    """Coordinates as written, by micrograph."""
    paths: dict[str, Path] = field(repr=False)
    negative_stain: bool = False
    """Whether particles were taken to be bright."""
    doubted_px: float | None = None
    """The diameter that was given, where the coordinates speak for a larger one."""
    source: Path | None = None
    """Where the coordinates are, for the commands that are proposed."""

    @property
    def healthy(self) -> bool:
        """Whether the set is right, as far as was looked."""
        return self.diagnosis.kind == "right" and not self.diagnosis.against


def sentence(examination: Examination) -> str:
    """One plain sentence, or two, with how sure it is."""
    found = examination.diagnosis
    shade, other = ("bright", "dark") if examination.negative_stain else ("dark", "bright")
    on = f"{shade} spots" if examination.evidence == "image" else "the labels"
    numbers = f"contrast {found.written.contrast:.2f}, {found.written.z:.1f} deviations from chance"
    if found.kind == "right":
        text = f"The coordinates are right as written: they lie on {on} ({numbers})."
    elif found.kind == "wrong":
        chance = odds(found)
        text = (
            f"The coordinates are wrong: {found.found.transform.words()}. Corrected, they lie on {on} with contrast "
            f"{found.found.contrast:.2f} instead of {found.written.contrast:.2f}, better in {found.found.better_in} of "
            f"{many(found.micrographs, 'micrograph')}; chance does that less than once in {chance}."
        )
    elif found.kind == "nothing":
        text = f"These coordinates sit on nothing: neither as written ({numbers}) nor in any of {found.tried} other frames."
    elif found.kind == "bright":
        if found.found.transform == IDENTITY:
            text = f"These coordinates lie on {other} spots, not on {shade} ones ({numbers})."
        else:
            text = (
                f"No frame puts these coordinates on {on} as surely as one puts them on {other} ones: "
                f"{found.found.transform.words()} (contrast {found.found.contrast:.2f}, {found.found.z:.1f} deviations)."
            )
        remedy = "leave out --negative-stain" if examination.negative_stain else "add --negative-stain"
        cause = "" if examination.negative_stain else " (negative stain or inverted contrast)"
        text += f" Are the particles {other}{cause}? Then {remedy}; nothing is claimed."
    elif found.kind == "outside":
        text = (
            f"{1 - found.written.inside:.0%} of the coordinates lie outside the micrographs, and none of {found.tried} "
            "frames that was tried puts them on particles."
        )
    elif found.centres < LEAST_CENTRES:
        text = f"{many(found.centres, 'coordinate')}: too few to tell; it takes {LEAST_CENTRES}."
    else:
        text = f"It cannot be told whether these coordinates are right ({numbers}); give more micrographs or --labels."
    if found.against:
        verb = "is" if len(found.against) == 1 else "are"
        text += f" {many(len(found.against), 'micrograph')} {verb} in another frame than the rest: {_few(found.against)}."
    if examination.doubted_px is not None:
        text += (
            f" But is the diameter right? They speak for particles of about {found.diameter_px:.0f} px or more, "
            f"not {examination.doubted_px:.3g}."
        )
    if len(examination.looked_at) < len(examination.sets):
        text += f" Looked at {len(examination.looked_at)} of {len(examination.sets)} micrographs."
    return text


def remarks(examination: Examination) -> list[str]:
    """What else there is to know: small offsets, what cannot be told, the pixel size that a scale means."""
    found, lines = examination.diagnosis, []
    transform = found.found.transform
    if found.kind in ("right", "wrong") and found.offset is not None:
        (y, x), (y_error, x_error) = found.offset, found.offset_error
        unit = max(transform.scale)
        lines.append(
            f"Left after that: y {y:+.1f} +- {y_error:.1f}, x {x:+.1f} +- {x_error:.1f} px from the coordinates to the "
            f"centres of the {_spots(examination)}."
        )
        if not transform.first and not any(transform.offset) and unit < CENTRING * found.diameter_px:
            lines.append(
                f"Whether pixels are counted from 0 or from 1 cannot be told: it is {unit:.3g} px, "
                f"{unit / found.diameter_px:.1%} of the diameter, and pickers are as far off centre themselves. 0 is assumed."
            )
    y_scale, x_scale = transform.scale
    if found.kind == "wrong" and y_scale == x_scale and y_scale != 1 and examination.pixel_size and not transform.unit:
        lines.append(
            f"As if a pixel were {examination.pixel_size * y_scale:.4g} Angstrom where the micrographs have "
            f"{examination.pixel_size:.4g}."
        )
    if found.kind == "wrong" and any(transform.offset):
        lines.append(f"Corners of boxes of {2 * abs(transform.offset[1]):.0f} px and centres were mixed up.")
    for name in [name for name, frame in found.against.items() if frame is None][:_SHOWN]:
        where = shlex.quote(str(examination.paths[name]))
        source = shlex.quote(str(examination.source)) if examination.source is not None else "COORDINATES"
        stain = " --negative-stain" if examination.negative_stain else ""
        command = f"drpnet doctor {where} {source} --diameter-px {found.diameter_px:g}{stain}"
        lines.append(f"The frame of {name} cannot be told from here; run the doctor on it alone: {command}")
    return lines


def odds(found: Diagnosis) -> str:
    """How seldom chance alone is so good, with all frames that were tried: "10^9"."""
    z = min(found.found.z, found.gain) if found.gain else found.found.z
    log10 = -(norm.logsf(z) + math.log(max(found.tried, 1))) / math.log(10)
    return f"10^{min(int(max(log10, 0)), 99)}"


def print_examination(examination: Examination, console: Console | None = None) -> None:
    """The sentence, the frames that were tried and the remarks."""
    console = console or PatientConsole()
    found = examination.diagnosis
    console.print(escape(sentence(examination)), style="bold", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True)
    table.add_column("frame")
    for heading in ("contrast", "z", "inside", "better in"):
        table.add_column(heading, justify="right")
    for one in found.trials[:_SHOWN]:
        same = one.transform == found.found.transform or (
            found.found.transform.first and one.transform == _from_0(found.found.transform)
        )
        better = "-" if one.transform == IDENTITY else f"{one.better_in}/{found.micrographs}"
        cells = (one.transform.words(), f"{one.contrast:.2f}", f"{one.z:.1f}", f"{one.inside:.0%}", better)
        table.add_row(*cells, style="bold" if same else None)
    console.print(table)
    guess = " (guessed)" if examination.guessed else ""
    what = "the images" if examination.evidence == "image" else "other labels"
    console.print(
        f"Evidence: {what} of {len(examination.looked_at)} of {many(len(examination.sets), 'micrograph')}, "
        f"{many(found.centres, 'coordinate')}, particles of {found.diameter_px:.0f} px{guess}, "
        f"{many(found.tried, 'frame')}.", highlight=False
    )  # fmt: skip
    for line in remarks(examination):
        console.print(escape(line), highlight=False)
    for line in examination.failures[:_SHOWN]:
        console.print(f"[yellow]LEFT OUT[/] {escape(line)}", highlight=False)
    if len(examination.failures) > _SHOWN:
        console.print(f"[yellow]LEFT OUT[/] and {len(examination.failures) - _SHOWN} more")


def as_json(examination: Examination) -> dict[str, Any]:
    """The same for programs."""
    found = examination.diagnosis

    def plain(transform: Transform) -> dict[str, Any]:
        return {**vars(transform), "words": transform.words()}

    return {
        "verdict": found.kind,
        "sentence": sentence(examination),
        "remarks": remarks(examination),
        "transform": plain(found.found.transform),
        "contrast": found.found.contrast,
        "contrast_as_written": found.written.contrast,
        "z": found.found.z,
        "z_as_written": found.written.z,
        "paired_z": found.gain,
        "offset_px": found.offset,
        "offset_error_px": found.offset_error,
        "trials": [{**vars(one), "transform": plain(one.transform)} for one in found.trials],
        "frames_tried": found.tried,
        "evidence": examination.evidence,
        "diameter_px": found.diameter_px,
        "diameter_guessed": examination.guessed,
        "diameter_doubted_px": examination.doubted_px,
        "negative_stain": examination.negative_stain,
        "pixel_size": examination.pixel_size,
        "coordinates": found.centres,
        "looked_at": list(examination.looked_at),
        "micrographs": len(examination.sets),
        "in_another_frame": {name: frame and plain(frame) for name, frame in found.against.items()},
        "failures": list(examination.failures),
    }


def _from_0(transform: Transform) -> Transform:
    return Transform(transform.swap, transform.flip_y, transform.flip_x, transform.scale, transform.offset)


def many(number: int, thing: str) -> str:
    """A number of things: "1 micrograph", "2 micrographs"."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _spots(examination: Examination) -> str:
    shade = "bright" if examination.negative_stain else "dark"
    return f"{shade} spots" if examination.evidence == "image" else "labels"


def _few(frames: Mapping[str, Transform | None]) -> str:
    named = [f"{name} ({'not told which' if one is None else one.words()})" for name, one in list(frames.items())[:3]]
    return ", ".join(named) + (" ..." if len(frames) > 3 else "")


class PatientConsole(Console):
    """A console that goes on without a reader: `drpnet doctor ... | head` keeps its files and its exit status."""

    def on_broken_pipe(self) -> None:
        """Print into nothing from here on."""
        self.quiet = True
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
