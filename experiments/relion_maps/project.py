"""RELION's project folder: simulated micrographs with their CTF, the reference, and two pickers' best picks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drpnet.cascade import Picker
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import read_micrograph, write_micrograph
from drpnet.io.star import read_star, write_star
from drpnet.io.volumes import write_volume
from drpnet.model import load_model
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters
from drpnet.simulation.structures import load_structure
from experiments.relion_baseline.project import sample
from experiments.relion_maps.protocol import REFERENCE, Geometry

DIAMETER, PIXEL_SIZE, BOX = 173.0, 3.6468, 64
GEOMETRY = Geometry(PIXEL_SIZE, BOX, 200.0)
SYMMETRY = "C4"
STRUCTURE = "trpv1"
LABELLED = 1000
"""True particles, of other micrographs, that make the templates (paper, section 4.1)."""
TRAINING, PICKED = "training", "picked"
"""The two simulated sets, which are folders of the project and .star files beside them."""
EVEN = "even"
"""Folder and .star of the picked set without what makes a micrograph's size odd: see `even_copies`."""
PICKS_SUFFIX = "_picks.star"


@dataclass(frozen=True)
class Picks:
    """A micrograph's picks: centres (n, 2) (y, x) in px and their figures of merit (n,)."""

    centres: np.ndarray
    merit: np.ndarray


def simulation(micrographs: int, seed: int) -> SimulationParameters:
    """Micrographs like those of EMPIAR-10005 binned three times, three times as bright, so that few particles suffice."""
    return SimulationParameters(
        structures=[STRUCTURE], particle_diameter=DIAMETER, micrographs=micrographs, pixel_size=PIXEL_SIZE,
        particles_per_micrograph=120, min_distance=0.8, snr_range=[0.06, 0.09], carbon_probability=0.3,
        contamination_probability=0.5, seed=seed,
    )  # fmt: skip


def lay_out(folder: Path, micrographs: int, seed: int) -> None:
    """Simulate both sets, write their .star files, the labels for the templates and the reference."""
    for name, number, offset in ((TRAINING, 12, 1), (PICKED, micrographs, 0)):
        simulate_dataset(simulation(number, seed + offset), folder / name)
        tables = read_star(folder / name / "micrographs.star")
        tables["micrographs"]["rlnMicrographName"] = f"{name}/" + tables["micrographs"]["rlnMicrographName"]
        write_star(folder / f"{name}.star", tables)
    truth = read_coordinate_set(folder / TRAINING / "particles.star")
    stems = sorted(truth)
    for stem, own in zip(stems, sample([truth[stem].centres for stem in stems], LABELLED, seed), strict=True):
        write_picks(folder, "labels", TRAINING, stem, own)
    structure = load_structure(STRUCTURE, DIAMETER, np.random.default_rng(seed))
    write_volume(folder / REFERENCE, structure.density(BOX, PIXEL_SIZE), PIXEL_SIZE)


def even_copies(folder: Path) -> None:
    """The micrographs to pick without the last row and column of an odd size, for relion_autopick.

    RELION 3.1.3 picks odd-sized micrographs no better than by chance (1237 px: 26 of its best 284 picks on three of these
    micrographs are particles, with 1236 px 232). Coordinates stay what they are.
    """
    tables = read_star(folder / f"{PICKED}.star")
    for name in tables["micrographs"]["rlnMicrographName"]:
        image, pixel_size = read_micrograph(folder / name)
        height, width = (size // 2 * 2 for size in image.shape)
        write_micrograph(folder / EVEN / name, image[:height, :width], pixel_size or PIXEL_SIZE)
    tables["micrographs"]["rlnMicrographName"] = f"{EVEN}/" + tables["micrographs"]["rlnMicrographName"]
    write_star(folder / f"{EVEN}.star", tables)


def write_picks(folder: Path, picker: str, of: str, stem: str, centres: np.ndarray) -> None:
    """Write centres where relion_preprocess --coord_dir <picker>/ looks for those of a micrograph of the set `of`."""
    y, x = np.asarray(centres, float).reshape(-1, 2).T
    path = folder / picker / of / "micrographs" / f"{stem}{PICKS_SUFFIX}"
    write_star(path, {"": {"rlnCoordinateX": x, "rlnCoordinateY": y}})


def picks_of_drpnet(folder: Path, weights: str) -> dict[str, Picks]:
    """Every candidate of DRPnet by micrograph, with the figure of merit of the shipped or the named weights."""
    picker = Picker(load_model(weights))
    found = {}
    for path in sorted((folder / PICKED / "micrographs").glob("*.mrc")):
        image, _ = read_micrograph(path)
        candidates = picker.pick(image, PIXEL_SIZE, DIAMETER)
        found[path.stem] = Picks(candidates.centres, candidates.figure_of_merit)
    return found


def picks_of_relion(folder: Path, out: str) -> dict[str, Picks]:
    """Everything that relion_autopick found, by micrograph."""
    found = {}
    for path in sorted((folder / PICKED / "micrographs").glob("*.mrc")):
        star = folder / out / EVEN / PICKED / "micrographs" / f"{path.stem}_autopick.star"
        table = next(iter(read_star(star).values())) if star.is_file() else None
        if table is None or not len(table):
            found[path.stem] = Picks(np.zeros((0, 2)), np.zeros(0))
            continue
        centres = table[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(float)
        found[path.stem] = Picks(centres, table["rlnAutopickFigureOfMerit"].to_numpy(float))
    return found


def best(picks: Mapping[str, Picks], count: int) -> dict[str, np.ndarray]:
    """The centres (n, 2) of the `count` picks with the highest merit of all micrographs together; fewer where fewer are."""
    every = np.concatenate([one.merit for one in picks.values()])
    kept = np.zeros(len(every), bool)
    kept[np.argsort(-every, kind="stable")[:count]] = True
    parts = np.split(kept, np.cumsum([len(one.merit) for one in picks.values()])[:-1])
    return {stem: one.centres[part] for (stem, one), part in zip(picks.items(), parts, strict=True)}
