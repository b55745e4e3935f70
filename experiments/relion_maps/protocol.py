"""The command lines of the paper's pipeline (its section 4.1), from labelled particles to a postprocessed map."""

from dataclasses import dataclass

Words = list[object]
REFERENCE, MASK = "reference.mrc", "mask.mrc"
CLASSES_2D, CLASSES_3D, ITERATIONS = 10, 5, 12
INITIAL_RESOLUTION = 60
"""Angstrom to which the reference is low-passed (paper, section 4.1)."""
THREADS = 2


@dataclass(frozen=True)
class Geometry:
    """What the commands need to know of the images."""

    pixel_size: float
    """Angstrom."""
    box: int
    """Px of an extracted particle."""
    mask_diameter: float
    """Angstrom, of the circle around a particle."""


def extract(micrographs: str, picks: str, suffix: str, out: str, geometry: Geometry) -> Words:
    """relion_preprocess: particles around picks, normalised to their surroundings, made white."""
    background = round(geometry.mask_diameter / geometry.pixel_size / 2) + 2
    return [
        "relion_preprocess", "--i", micrographs, "--coord_dir", f"{picks}/", "--coord_suffix", suffix,
        "--part_star", f"{out}/particles.star", "--part_dir", f"{out}/particles/", "--extract", "--extract_size",
        geometry.box, "--norm", "--bg_radius", min(background, geometry.box // 2 - 1), "--invert_contrast",
    ]  # fmt: skip


def _common(particles: str, root: str, geometry: Geometry) -> Words:
    return [
        "--i", particles, "--o", root, "--particle_diameter", f"{geometry.mask_diameter:g}", "--ctf", "--norm", "--scale",
        "--flatten_solvent", "--zero_mask", "--pool", 30, "--preread_images", "--dont_combine_weights_via_disc",
        "--random_seed", 1,
    ]  # fmt: skip


def classify_2d(particles: str, root: str, geometry: Geometry) -> Words:
    """relion_refine: 2D classes."""
    return [
        "relion_refine", *_common(particles, root, geometry), "--K", CLASSES_2D, "--iter", ITERATIONS, "--tau2_fudge", 2,
        "--oversampling", 1, "--psi_step", 12, "--offset_range", 5, "--offset_step", 2, "--j", THREADS,
    ]  # fmt: skip


def autopick(micrographs: str, templates: str, out: str, diameter: float, pixel_size: float) -> Words:
    """relion_autopick with class averages; the threshold is low, since the best picks are taken afterwards."""
    return [
        "relion_autopick", "--i", micrographs, "--odir", f"{out}/", "--pickname", "autopick", "--ref", templates,
        "--angpix_ref", f"{pixel_size:g}", "--invert", "--ctf", "--ang", 5, "--shrink", 0, "--lowpass", 20,
        "--particle_diameter", f"{diameter:g}", "--threshold", 0, "--min_distance", f"{0.7 * diameter:g}",
        "--max_stddev_noise", 1.1,
    ]  # fmt: skip


def classify_3d(particles: str, root: str, symmetry: str, geometry: Geometry) -> Words:
    """relion_refine: five 3D classes from the low-passed reference; steps of 15 degrees, which suffice at some 25 Angstrom."""
    return [
        "relion_refine", *_common(particles, root, geometry), "--ref", REFERENCE, "--firstiter_cc",
        "--ini_high", INITIAL_RESOLUTION, "--K", CLASSES_3D, "--iter", ITERATIONS, "--tau2_fudge", 4, "--sym", symmetry,
        "--oversampling", 1, "--healpix_order", 1, "--offset_range", 5, "--offset_step", 2, "--j", THREADS,
    ]  # fmt: skip


def refine_3d(particles: str, root: str, symmetry: str, geometry: Geometry) -> Words:
    """relion_refine_mpi: gold-standard auto-refinement, one process a half beside the one that leads.

    Steps begin at 15 degrees, without symmetry, where there are more views to compare with, at 30; RELION refines them.
    """
    coarsest = 1 if symmetry == "C1" else 2
    return [
        "mpirun", "--allow-run-as-root", "--oversubscribe", "-n", 3, "relion_refine_mpi",
        *_common(particles, root, geometry), "--ref", REFERENCE, "--firstiter_cc", "--ini_high", INITIAL_RESOLUTION,
        "--auto_refine", "--split_random_halves", "--sym", symmetry, "--oversampling", 1, "--healpix_order", coarsest,
        "--auto_local_healpix_order", 3, "--offset_range", 5, "--offset_step", 2, "--low_resol_join_halves", 40,
        "--j", 1,
    ]  # fmt: skip


def create_mask(threshold: float, pixel_size: float) -> Words:
    """relion_mask_create: a soft mask around the reference at 15 Angstrom."""
    return [
        "relion_mask_create", "--i", REFERENCE, "--o", MASK, "--angpix", f"{pixel_size:g}", "--lowpass", 15,
        "--ini_threshold", f"{threshold:.4g}", "--extend_inimask", 3, "--width_soft_edge", 4,
    ]  # fmt: skip


def postprocess(refined: str, out: str, pixel_size: float) -> Words:
    """relion_postprocess: the FSC corrected for the mask; no sharpening."""
    return [
        "relion_postprocess", "--i", f"{refined}_half1_class001_unfil.mrc", "--mask", MASK, "--angpix", f"{pixel_size:g}",
        "--o", f"{out}/postprocess",
    ]  # fmt: skip
