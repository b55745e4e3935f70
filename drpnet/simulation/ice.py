"""Everything in a micrograph that is no particle: carbon, contamination, uneven illumination."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class CarbonEdge:
    """Carbon outside a round hole: `centre` (y, x) and `radius` in px, the edge wobbling by `wobble` px."""

    centre: np.ndarray
    radius: float
    wobble: float
    phases: np.ndarray

    def depth(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Distance in px into the carbon at (y, x), negative inside the hole."""
        dy, dx = y - self.centre[0], x - self.centre[1]
        angle = np.arctan2(dy, dx)
        waves = sum(np.sin(n * angle + p) / (i + 1) for i, (n, p) in enumerate(self.phases))
        return np.hypot(dy, dx) - self.radius + self.wobble * waves


def draw_carbon_edge(rng: np.random.Generator, shape: tuple[int, int], pixel_size: float) -> CarbonEdge:
    """The edge of a hole of 1.2 to 3 micrometres that leaves 10 to 40 % of the frame (h, w) on carbon."""
    radius = max(rng.uniform(6000, 15000) / pixel_size, 0.8 * max(shape))
    side = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.sin(side), np.cos(side)])
    reach = 0.5 * np.abs(towards) @ np.asarray(shape, float)
    edge = reach * rng.uniform(0.1, 0.7)
    centre = (np.asarray(shape) - 1) / 2 + towards * (edge - radius)
    phases = np.stack([np.round(radius / rng.uniform(25, 90, 4)), rng.uniform(0, 2 * np.pi, 4)], 1)
    return CarbonEdge(centre, radius, rng.uniform(2, 12) / pixel_size, phases)


@dataclass(frozen=True)
class Contaminant:
    """A lump of ice: outline `vertices` (k, 2) (y, x) px, `thickness` (absorbed share), `flat` or domed."""

    centre: np.ndarray
    radius: float
    vertices: np.ndarray
    thickness: float
    flat: bool


def draw_contaminants(
    rng: np.random.Generator, shape: tuple[int, int], pixel_size: float, count: int, crystal_share: float = 0.4
) -> list[Contaminant]:
    """1 to `count` lumps, some in heaps: a share of sharp crystals up to 1500 A wide, the rest round frost of 60 to 300 A."""
    found: list[Contaminant] = []
    for _ in range(int(rng.integers(1, count + 1)) if count else 0):
        crystal = rng.random() < crystal_share
        radius = (
            rng.uniform(150, 750) if crystal else np.exp(rng.uniform(np.log(30), np.log(150)))
        ) / pixel_size
        centre = rng.uniform(-0.02, 1.02, 2) * shape
        if found and rng.random() < 0.5:
            base = found[-1]
            angle = rng.uniform(0, 2 * np.pi)
            centre = base.centre + (base.radius + 0.6 * radius) * np.array([np.sin(angle), np.cos(angle)])
        absorbed = (
            rng.uniform(0.12, 0.5) if crystal else min(rng.uniform(0.4, 1.6) * radius * pixel_size / 500, 0.5)
        )
        corners = int(rng.integers(5, 8)) if crystal else 24
        angles = np.sort(np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
        lengths = radius * (rng.uniform(0.75, 1.0, corners) if crystal else 1 - 0.06 * rng.random(corners))
        vertices = centre + lengths[:, None] * np.stack([np.sin(angles), np.cos(angles)], 1)
        found.append(Contaminant(centre, radius, vertices, absorbed, bool(crystal)))
    return found


def thickness_map(contaminants: list[Contaminant], shape: tuple[int, int]) -> np.ndarray:
    """Absorbed share (h, w) float32 of all contaminants together."""
    total = np.zeros(shape, np.float32)
    for lump in contaminants:
        low = np.clip(np.floor(lump.centre - lump.radius).astype(int) - 1, 0, shape)
        high = np.clip(np.ceil(lump.centre + lump.radius).astype(int) + 2, 0, shape)
        if np.any(high <= low):
            continue
        y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
        inward = np.full((high[0] - low[0], high[1] - low[1]), np.inf)
        for (ay, ax), (by, bx) in zip(lump.vertices, np.roll(lump.vertices, -1, 0), strict=True):
            length = max(np.hypot(by - ay, bx - ax), 1e-6)
            inward = np.minimum(inward, ((y - ay) * (bx - ax) - (x - ax) * (by - ay)) / length)
        if lump.flat:
            profile = np.clip(inward + 0.5, 0, 1) * (0.85 + 0.15 * np.clip(inward / lump.radius, 0, 1))
        else:
            profile = np.sqrt(np.clip(inward / lump.radius, 0, 1)) * np.clip(inward + 0.5, 0, 1)
        total[low[0] : high[0], low[1] : high[1]] += lump.thickness * profile
    return total


def mottle(rng: np.random.Generator, shape: tuple[int, int], pixel_size: float) -> np.ndarray:
    """Blotches (h, w) float32 of unequal ice, deviation 1: everywhere, or only dark ones here and there.

    Their width, as the deviation of a Gaussian, is 10 to 100 A.
    """
    width = np.exp(rng.uniform(np.log(10), np.log(100))) / pixel_size
    field = gaussian_filter(rng.standard_normal(shape, np.float32), width, mode="wrap")
    field /= field.std()
    if rng.random() < 0.5:
        field = -np.maximum(field - rng.uniform(0, 1.5), 0)
        field -= field.mean()
    return field / max(float(field.std()), 1e-6)


def illumination(rng: np.random.Generator, shape: tuple[int, int], gradient: float) -> np.ndarray:
    """Relative brightness (h, w) float32 around 1: a slope of `gradient` across the frame and waves."""
    slope = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None] * np.float32(np.sin(slope))
    x = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)[None] * np.float32(np.cos(slope))
    coarse = torch.from_numpy(rng.normal(0, 0.07, (1, 1, 6, 6)).astype(np.float32))
    waves = torch.nn.functional.interpolate(coarse, size=shape, mode="bicubic", align_corners=True)[
        0, 0
    ].numpy()
    return 1 + np.float32(gradient) * np.clip(y + x + waves, -0.95, 0.95)
