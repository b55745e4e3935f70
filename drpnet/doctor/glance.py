"""A look of the doctor in passing: a line for who scores picks, a warning for who trains on labels."""

import logging
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from drpnet.doctor.examine import evenly, examine, examine_sets
from drpnet.doctor.findings import sentence
from drpnet.errors import InputError
from drpnet.frames.transforms import Transform
from drpnet.io.coordinates import Coordinates
from drpnet.io.micrographs import COMPRESSED_SUFFIXES
from drpnet.labelled import LabelledMicrograph

log = logging.getLogger(__name__)
_GLANCE_MICROGRAPHS, _GLANCE_CENTRES, _GLANCE_SECONDS = 3, 600, 0.7


def verdict(picks: Path, truth: Path, micrographs: Path | None = None, diameter_px: float | None = None) -> str | None:
    """One line on the frame of `picks`, by the images alone, for whoever scores them; None where no image is at hand.

    The micrographs are given, or in a folder named micrographs beside the picks or the truth, or one or two levels above.
    It never raises: a score must not fail for it; a defect is logged.
    """
    try:
        folder = micrographs if micrographs is not None else _beside(picks, truth)
        if folder is None:
            return None
        found = examine(str(folder), picks, diameter_px=diameter_px, most=_GLANCE_MICROGRAPHS)
        size = "" if diameter_px is None else f" --diameter-px {diameter_px:g}"
        bright = " --negative-stain" if found.diagnosis.kind == "bright" else ""
        command = f"drpnet doctor {shlex.quote(str(folder))} {shlex.quote(str(picks))}{size}{bright}"
        return f"Doctor: {sentence(found)}" + ("" if found.healthy else f" See: {command}")
    except InputError as error:  # these micrographs cannot judge these picks
        log.debug("no verdict", exc_info=error)
    except Exception as error:  # noqa: BLE001 - a defect of the doctor must not cost the score
        log.warning("the doctor could not look at the picks (%s: %s); please report it", type(error).__name__, error)
    return None


def warn_of_labels(
    micrographs: Sequence[LabelledMicrograph],
    diameter: float,
    root: str,
    coordinates: str,
    negative_stain: bool = False,
) -> None:
    """A loud warning where labels surely sit on nothing, or fit better in another frame; a glance of a second or two.

    `diameter` in Angstrom; `root` and `coordinates` are the data set's, for the command that the warning names;
    `negative_stain` says that particles are bright. It never raises: a training must not fail for it; a defect is
    logged.
    """
    try:
        usable = {m.stem: m for m in micrographs if m.path.suffix.lower() not in COMPRESSED_SUFFIXES and len(m.centres)}
        names = evenly(list(usable), _GLANCE_MICROGRAPHS)
        if not names:
            return
        step = max(1, sum(len(usable[name].centres) for name in names) // _GLANCE_CENTRES)
        sets = {name: Coordinates(usable[name].centres[::step]) for name in names}
        paths, sizes = {name: usable[name].path for name in names}, {name: usable[name].pixel_size for name in names}
        found = examine_sets(sets, paths, names, None, sizes, diameter, None, [], _GLANCE_SECONDS, negative_stain)
        if found.diagnosis.kind not in ("right", "unknown"):
            bright = found.diagnosis.kind == "bright"
            folder, labels = shlex.quote(str(paths[names[0]].parent)), shlex.quote(str(Path(root) / coordinates))
            stain = " --negative-stain" if bright is not negative_stain else ""
            command = f"drpnet doctor {folder} {labels} --diameter {diameter:g}{stain}"
            flip = not bright and found.diagnosis.found.transform == Transform(flip_y=True)
            remedy = " or change dataset.coordinates_upside_down" if flip else ""
            remedy = f" or set preprocess.negative_stain={str(not negative_stain).lower()}" if bright else remedy
            question = "ARE THE PARTICLES BRIGHT OR DARK?" if bright else "ARE THE LABELS IN THE RIGHT FRAME?"
            log.warning("%s %s Look with: %s%s", question, sentence(found), command, remedy)
    except InputError as error:  # too few labels, or none that can be judged
        log.debug("labels not looked at", exc_info=error)
    except Exception as error:  # noqa: BLE001 - a defect of the doctor must not cost the training
        log.warning("the doctor could not look at the labels (%s: %s); please report it", type(error).__name__, error)


def _beside(*sources: Path) -> Path | None:
    places: Iterable[Path] = (above / "micrographs" for source in sources for above in Path(source).resolve().parents[:3])
    return next((place for place in places if place.is_dir()), None)
