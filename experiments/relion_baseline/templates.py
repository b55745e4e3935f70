"""From labelled particles to templates, as the paper has it: extract, classify in 2D, choose class averages."""

from dataclasses import asdict, dataclass
from pathlib import Path

from drpnet.errors import InputError
from drpnet.io.star import numbers, read_star, write_star
from experiments.relion_baseline.programs import run
from experiments.relion_baseline.project import DIAMETER, PIXEL_SIZE

EXTRACTED, BOX = 200, 60
"""Box in px of the micrograph (the paper's) and what it is downscaled to: 5.9 Angstrom a pixel."""
CLASSES, ITERATIONS = 10, 15
MASK = 200
"""Diameter in Angstrom of the mask around a particle."""
HIGHEST_RESOLUTION = 20
"""Angstrom; nothing finer takes part in the classification, nor, as --lowpass, in the picking."""
LEAST_SHARE = 0.5
"""A class average is a template when its class holds at least so much of an equal share of the particles."""
AVERAGES = f"classes/run_it{ITERATIONS:03d}_classes.mrcs"
TEMPLATE_PIXEL_SIZE = PIXEL_SIZE * EXTRACTED / BOX


@dataclass(frozen=True)
class ClassAverage:
    """A 2D class: its image in the stack and its share of the particles."""

    image: str
    share: float


def make_templates(folder: Path, threads: int = 2) -> tuple[list[ClassAverage], list[ClassAverage]]:
    """Every class average and those that are templates; templates.star in the project `folder` lists the latter."""
    run(folder, "extract", extract_command(), "particles.star")
    run(folder, "classify", classify_command(threads), AVERAGES)
    averages = read_classes(folder / AVERAGES.replace("classes.mrcs", "model.star"))
    chosen = choose_templates(averages)
    write_star(folder / "templates.star", {"": {"rlnReferenceImage": [average.image for average in chosen]}})
    return averages, chosen


def extract_command() -> list[object]:
    """relion_preprocess: particles at the sampled labels, downscaled, normalised to their surroundings, made white."""
    background = round(0.5 * DIAMETER / TEMPLATE_PIXEL_SIZE) + 2
    return [
        "relion_preprocess", "--i", "training.star", "--coord_dir", "labels/", "--coord_suffix", "_labels.star",
        "--part_star", "particles.star", "--part_dir", "particles/", "--extract", "--extract_size", EXTRACTED,
        "--scale", BOX, "--norm", "--bg_radius", background, "--invert_contrast",
    ]  # fmt: skip


def classify_command(threads: int) -> list[object]:
    """relion_refine: 2D classes of the particles without CTF correction."""
    return [
        "relion_refine", "--i", "particles.star", "--o", "classes/run", "--K", CLASSES, "--iter", ITERATIONS,
        "--particle_diameter", MASK, "--tau2_fudge", 2, "--zero_mask", "--flatten_solvent", "--oversampling", 1,
        "--psi_step", 12, "--offset_range", 3, "--offset_step", 2, "--strict_highres_exp", HIGHEST_RESOLUTION,
        "--norm", "--scale", "--pool", 30, "--preread_images", "--dont_combine_weights_via_disc",
        "--random_seed", 1, "--j", threads,
    ]  # fmt: skip


def read_classes(model: Path) -> list[ClassAverage]:
    """The classes of a _model.star that relion_refine wrote."""
    table = read_star(model).get("model_classes")
    if table is None or not {"rlnReferenceImage", "rlnClassDistribution"} <= set(table.columns):
        raise InputError(f"{model} has no table of classes; give the _model.star of a 2D classification")
    shares = numbers(model, table, "rlnClassDistribution")
    return [ClassAverage(str(image), float(share)) for image, share in zip(table["rlnReferenceImage"], shares, strict=True)]


def choose_templates(averages: list[ClassAverage], least_share: float = LEAST_SHARE) -> list[ClassAverage]:
    """The classes that hold at least `least_share` of an equal share of the particles, largest first.

    Written down so that nobody's eye is asked. The resolution that RELION estimates takes no part: it is beyond what
    these denoised pictures hold.
    """
    least = least_share / len(averages)
    return sorted((average for average in averages if average.share >= least), key=lambda average: -average.share)


def as_rows(averages: list[ClassAverage], chosen: list[ClassAverage]) -> list[dict[str, object]]:
    """The classes for result.json, with whether each is a template."""
    return [{**asdict(average), "template": average in chosen} for average in averages]
