"""One simulated micrograph with everything known about it."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from drpnet.simulation.ctf import Optics, apply_transfer, padded_shape, transfer
from drpnet.simulation.ice import (
    CarbonEdge,
    Contaminant,
    draw_carbon_edge,
    draw_contaminants,
    illumination,
    mottle,
    thickness_map,
)
from drpnet.simulation.layout import place_centres
from drpnet.simulation.parameters import SimulationParameters
from drpnet.simulation.projection import place, project
from drpnet.simulation.structures import load_structure

_CARBON_GRAIN = 1.2
_ICE_PHASE = 2.0
_FRINGE_LIMIT = 0.5
_MOTTLE = (0.1, 2.0)
"""Deviation of mottled ice in those of the shot noise of a px."""


@dataclass(frozen=True)
class SimulatedMicrograph:
    """A micrograph and its truth.

    `image` is float32 (h, w) in electrons per px; `signal` float32 (h, w) is the particles' noise-free
    contrast, relative to the mean dose, dark is negative; `centres` (n, 2) are (y, x) px, 0-based;
    `euler_angles` (n, 3) are rot, tilt, psi in degrees; `snr` is measured in the image before denoising, 0
    without particles.
    """

    image: np.ndarray
    signal: np.ndarray
    centres: np.ndarray
    euler_angles: np.ndarray
    optics: Optics
    snr: float
    structure: str
    carbon: CarbonEdge | None
    contaminants: list[Contaminant]
    denoised: bool


def simulate_micrograph(parameters: SimulationParameters, index: int) -> SimulatedMicrograph:
    """Micrograph number `index` (0-based); the same (seed, index) and parameters give the same bytes."""
    streams = np.random.SeedSequence([parameters.seed, index]).spawn(7)
    choice, shape_rng, layout, angles, ice, noise, blotches = (np.random.default_rng(s) for s in streams)
    shape = (parameters.height, parameters.width)
    source = parameters.structures[index % len(parameters.structures)]
    optics = _draw_optics(choice, parameters)
    snr = float(np.exp(choice.uniform(*np.log(parameters.snr_range))))
    has_carbon, is_dirty, is_empty, is_denoised = choice.random(4) < (
        parameters.carbon_probability,
        parameters.contamination_probability,
        parameters.empty_probability,
        parameters.denoise,
    )
    carbon = draw_carbon_edge(ice, shape, parameters.pixel_size) if has_carbon else None
    lumps = (
        draw_contaminants(
            ice, shape, parameters.pixel_size, parameters.contamination_count, parameters.crystal_share
        )
        if is_dirty
        else []
    )
    centres = np.zeros((0, 2)) if is_empty else _draw_centres(layout, parameters, carbon, lumps)
    euler_angles = draw_orientations(angles, len(centres))
    structure = load_structure(source, parameters.particle_diameter, shape_rng)
    projections = project(structure, euler_angles, parameters.pixel_size)

    reach = 0.0197 * max(optics.defocus_u, optics.defocus_v) / 20.0 / parameters.pixel_size
    padded = padded_shape(shape, min(projections.shape[-1] // 2 + int(reach), max(shape)))
    top, left = ((p - n) // 2 for p, n in zip(padded, shape, strict=True))
    frame = (slice(top, top + shape[0]), slice(left, left + shape[1]))
    transfer_function = transfer(optics, padded, parameters.pixel_size)
    signal = apply_transfer(place(projections, centres + [top, left], padded), transfer_function)[frame]
    bright = illumination(ice, shape, parameters.gradient)
    background, clear = _background(ice, noise, parameters, carbon, lumps, transfer_function, padded, frame)

    if blotches.random() < parameters.mottle_probability:
        shot = 1 / np.sqrt(parameters.dose * parameters.pixel_size**2)
        strength = shot * np.exp(blotches.uniform(*np.log(_MOTTLE)))
        background += np.float32(strength) * mottle(blotches, shape, parameters.pixel_size)

    discs = disc_mask(centres, parameters.particle_diameter_px / 2, shape) & clear
    expected = np.float32(parameters.dose * parameters.pixel_size**2) * bright
    if discs.any():
        noise_variance = float(background[discs].var() + (1 / expected[discs]).mean())
        signal *= np.sqrt(snr * noise_variance / max(float(signal[discs].var()), 1e-30))
    image = noise.poisson(expected * np.maximum(background + signal, 0.0)).astype(np.float32)
    measured = 0.0
    if discs.any():
        seen = image[discs] / expected[discs] - background[discs].mean()
        measured = float(signal[discs].var() / (seen - signal[discs]).var())
    if is_denoised:
        image = gaussian_filter(image, 0.19 * ice.uniform(30, 50) / parameters.pixel_size)
    return SimulatedMicrograph(
        image, signal, centres, euler_angles, optics, measured, source, carbon, lumps, bool(is_denoised)
    )


def draw_orientations(rng: np.random.Generator, count: int) -> np.ndarray:
    """Uniform random rot, tilt, psi in degrees (count, 3), rot and psi in [-180, 180), tilt in [0, 180]."""
    tilt = np.degrees(np.arccos(rng.uniform(-1, 1, count)))
    return np.stack([rng.uniform(-180, 180, count), tilt, rng.uniform(-180, 180, count)], 1)


def disc_mask(centres: np.ndarray, radius: float, shape: tuple[int, int]) -> np.ndarray:
    """Pixels (h, w) bool within `radius` px of a centre (n, 2)."""
    mask = np.zeros(shape, bool)
    for y, x in centres:
        rows = np.arange(max(int(y - radius), 0), min(int(y + radius) + 2, shape[0]))
        columns = np.arange(max(int(x - radius), 0), min(int(x + radius) + 2, shape[1]))
        near = (rows[:, None] - y) ** 2 + (columns - x) ** 2 <= radius**2
        mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] |= near
    return mask


def _draw_optics(rng: np.random.Generator, parameters: SimulationParameters) -> Optics:
    lowest, highest = parameters.defocus_range
    mean = 1e4 * rng.uniform(lowest, highest)
    half = min(0.5e4 * parameters.astigmatism_um * rng.random(), 0.5 * mean)
    return Optics(
        mean + half,
        mean - half,
        float(rng.uniform(0, 180)),
        parameters.voltage_kv,
        parameters.spherical_aberration_mm,
        parameters.amplitude_contrast,
        parameters.b_factor,
    )


def _draw_centres(
    rng: np.random.Generator,
    parameters: SimulationParameters,
    carbon: CarbonEdge | None,
    lumps: list[Contaminant],
) -> np.ndarray:
    radius = parameters.particle_diameter_px / 2

    def allowed(places: np.ndarray) -> np.ndarray:
        good = np.ones(len(places), bool)
        if carbon is not None:
            good &= carbon.depth(places[:, 0], places[:, 1]) < -radius
        for lump in lumps:
            good &= np.hypot(*(places - lump.centre).T) > lump.radius + 0.3 * radius
        return good

    shape = (parameters.height, parameters.width)
    grid = np.stack(np.meshgrid(*(np.linspace(0, n - 1, 64) for n in shape), indexing="ij"), -1).reshape(
        -1, 2
    )
    lowest, highest = parameters.crowding_range
    share = float(allowed(grid).mean()) * (lowest if lowest == highest else rng.uniform(lowest, highest))
    count = round(parameters.particles_per_micrograph * share)
    distance = parameters.min_distance * parameters.particle_diameter_px
    return place_centres(rng, shape, count, distance, parameters.cluster_fraction, allowed)


def _background(
    ice: np.random.Generator,
    noise: np.random.Generator,
    parameters: SimulationParameters,
    carbon: CarbonEdge | None,
    lumps: list[Contaminant],
    transfer_function: np.ndarray,
    padded: tuple[int, int],
    frame: tuple[slice, slice],
) -> tuple[np.ndarray, np.ndarray]:
    """Relative brightness (h, w) without particles and the mask (h, w) of clear vitreous ice."""
    offset = np.array([frame[0].start, frame[1].start])
    phase = noise.standard_normal(padded, np.float32)
    absorbed = np.zeros(padded, np.float32)
    clear = np.ones(padded, bool)
    if carbon is not None:
        y, x = np.ogrid[: padded[0], : padded[1]]
        depth = carbon.depth((y - offset[0]).astype(np.float32), (x - offset[1]).astype(np.float32))
        on_carbon = np.clip(depth / 2 + 0.5, 0, 1).astype(np.float32)
        grain = _CARBON_GRAIN * ice.uniform(0.5, 1.5)
        phase *= 1 + grain * on_carbon
        clear &= depth < -parameters.particle_diameter_px / 4
        absorbed += np.float32(ice.uniform(0.03, 0.12)) * on_carbon
    contrast = apply_transfer(phase, transfer_function)
    electrons = parameters.dose * parameters.pixel_size**2
    variance = parameters.solvent_fraction / (1 - parameters.solvent_fraction) / electrons
    scale = np.sqrt(variance / float(contrast[clear].var())) if clear.any() else 0.0
    contrast *= np.float32(scale)
    if lumps:
        moved = [
            Contaminant(u.centre + offset, u.radius, u.vertices + offset, u.thickness, u.flat) for u in lumps
        ]
        thickness = thickness_map(moved, padded)
        absorbed += thickness
    if carbon is not None or lumps:
        fringes = apply_transfer(_ICE_PHASE * absorbed, transfer_function)
        contrast += np.clip(fringes, -_FRINGE_LIMIT, _FRINGE_LIMIT)
        clear &= np.abs(fringes) < 0.1 * np.sqrt(variance + 1 / electrons)
    return (np.exp(-absorbed) + contrast)[frame], clear[frame]
