"""RELION's two pickers with the settings that are tried: correlation with templates, Laplacian of Gaussian."""

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from experiments.relion_baseline.programs import run
from experiments.relion_baseline.project import DIAMETER
from experiments.relion_baseline.templates import HIGHEST_RESOLUTION, TEMPLATE_PIXEL_SIZE

ANGLE = 5
"""Degrees between the rotations of a template."""
NOISE = 1.1
"""--max_stddev_noise, the default of RELION's window; on the training micrographs it changes little."""
MAPS = "maps"
"""Folders below <set>_templates where relion_autopick keeps its maps of the correlation."""

SUMMARY = "summary.star"
"""What relion_autopick writes at its end."""


@dataclass(frozen=True)
class Templates:
    """Picking by templates: peaks above `threshold`, at least `min_distance` Angstrom apart."""

    threshold: float
    min_distance: float

    @property
    def name(self) -> str:
        """A folder's name."""
        return f"{self.threshold:g}_{self.min_distance:g}"


@dataclass(frozen=True)
class LoG:
    """Picking blobs of `smallest` to `largest` Angstrom; `adjust` moves the threshold by standard deviations."""

    smallest: float
    largest: float
    adjust: float

    @property
    def name(self) -> str:
        """A folder's name."""
        return f"{self.smallest:g}_{self.largest:g}_{self.adjust:g}"


Setting = Templates | LoG
TEMPLATES_DEFAULT = Templates(0.05, 100)
"""The defaults of RELION's window."""
LOG_ADJUST_DEFAULT = 0.0
THRESHOLDS = (TEMPLATES_DEFAULT.threshold, 1, 2, 3, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9)
DISTANCES = (70, TEMPLATES_DEFAULT.min_distance, 130)
SMALLEST = (110, 130, 150, DIAMETER)
ADJUSTS = (LOG_ADJUST_DEFAULT, 0.25, 0.5, 0.75, 1, 1.25, 1.5)
TRIED: dict[str, list[Setting]] = {
    "templates": [Templates(*values) for values in product(THRESHOLDS, DISTANCES)],
    "log": [LoG(smallest, DIAMETER, adjust) for smallest, adjust in product(SMALLEST, ADJUSTS)],
}
"""What is tried on the training micrographs, by kind of picker."""


def pick(folder: Path, micrographs: str, setting: Setting) -> Path:
    """Pick <micrographs>.star of the project `folder`; the folder with the *_autopick.star files.

    Templates are correlated once a set of micrographs: every threshold reads the same maps.
    """
    kind = "log" if isinstance(setting, LoG) else "templates"
    out = f"{micrographs}_{kind}/{setting.name}"
    if isinstance(setting, LoG):
        command = log_command(micrographs, out, setting)
    else:
        maps = f"{micrographs}_{kind}/{MAPS}"
        writing = [*template_command(micrographs, maps, TEMPLATES_DEFAULT), "--write_fom_maps", "--no_fom_limit"]
        run(folder, maps.replace("/", "_"), writing, f"{maps}/{SUMMARY}")
        link_maps(folder / maps, folder / out)
        command = [*template_command(micrographs, out, setting), "--read_fom_maps"]
    run(folder, out.replace("/", "_"), command, f"{out}/{SUMMARY}")
    return folder / out


def template_command(micrographs: str, out: str, setting: Templates) -> list[object]:
    """relion_autopick with the class averages, whose particles are white: --invert."""
    return [
        "relion_autopick", "--i", f"{micrographs}.star", "--odir", f"{out}/", "--pickname", "autopick",
        "--ref", "templates.star", "--angpix_ref", f"{TEMPLATE_PIXEL_SIZE:g}", "--invert", "--ang", ANGLE,
        "--shrink", 0, "--lowpass", HIGHEST_RESOLUTION, "--particle_diameter", f"{DIAMETER:g}",
        "--threshold", f"{setting.threshold:g}", "--min_distance", f"{setting.min_distance:g}",
        "--max_stddev_noise", NOISE,
    ]  # fmt: skip


def log_command(micrographs: str, out: str, setting: LoG) -> list[object]:
    """relion_autopick --LoG, which takes particles for dark unless told otherwise."""
    return [
        "relion_autopick", "--i", f"{micrographs}.star", "--odir", f"{out}/", "--pickname", "autopick", "--LoG",
        "--LoG_diam_min", f"{setting.smallest:g}", "--LoG_diam_max", f"{setting.largest:g}",
        "--shrink", 0, "--lowpass", HIGHEST_RESOLUTION, "--LoG_adjust_threshold", f"{setting.adjust:g}",
    ]  # fmt: skip


def link_maps(maps: Path, out: Path) -> None:
    """Let relion_autopick find the maps of one folder in another, which --read_fom_maps needs."""
    target = out / "micrographs"
    target.mkdir(parents=True, exist_ok=True)
    for path in (maps / "micrographs").glob("*.spi"):
        link = target / path.name
        if not link.exists():
            link.symlink_to(path.resolve())


def as_row(setting: Setting) -> dict[str, float]:
    """The settings for result.json."""
    return asdict(setting)


