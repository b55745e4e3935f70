"""Pickers on the same micrographs, each with as many picks as there are particles: its best-scored ones."""

import shutil
import subprocess
from pathlib import Path

import numpy as np

from drpnet.cascade import Picker
from drpnet.errors import InputError
from drpnet.io.atomic import whole_folder
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import read_micrograph
from drpnet.io.picks import write_autopick_star
from drpnet.log_picker import log_candidates
from drpnet.maps.known_poses import Simulation
from drpnet.model import load_model

Found = tuple[np.ndarray, np.ndarray]
RELION = "relion_autopick"


def pick(simulation: Simulation, weights: str, out: Path, with_relion: bool) -> dict[str, Path]:
    """Folders of picks by picker's name; what is there already is not picked again."""
    diameter, pixel_size = simulation.particle_diameter, simulation.pixel_size
    folders = {"DRPnet": out / "drpnet", "DRPnet, FCRN alone": out / "fcrn", "LoG": out / "log"}
    if not all(folder.exists() for folder in folders.values()):
        found: list[list[Found]] = [[], [], []]
        picker = Picker(load_model(weights))
        for number in range(len(simulation.names)):
            image = read_micrograph(simulation.path(number))[0]
            candidates = picker.pick(image, pixel_size, diameter)
            found[0].append((candidates.centres, candidates.figure_of_merit))
            found[1].append((candidates.centres, candidates.detection_score))  # the same candidates, as the FCRN ranks them
            found[2].append(log_candidates(image, pixel_size, diameter))
        for folder, rows in zip(folders.values(), found, strict=True):
            if not folder.exists():
                _write_best(simulation, rows, folder)
    if with_relion:
        folders["RELION, LoG"] = out / "relion_log"
        if not folders["RELION, LoG"].exists():
            _write_best(simulation, _relion_log(simulation, out / "relion"), folders["RELION, LoG"])
    return folders


def _write_best(simulation: Simulation, found: list[Found], folder: Path) -> None:
    """Write the best-scored candidates of all micrographs together, as many as there are particles."""
    scores = np.sort(np.concatenate([scores for _, scores in found]))[::-1]
    least = scores[min(len(simulation.centres), len(scores)) - 1]
    with whole_folder(folder) as building:
        for name, (centres, own) in zip(simulation.names, found, strict=True):
            write_autopick_star(building / f"{Path(name).stem}_autopick.star", centres[own >= least], own[own >= least])


def _relion_log(simulation: Simulation, out: Path) -> list[Found]:
    """What relion_autopick finds by its Laplacian of Gaussian, at a threshold low enough to leave the choice to scores."""
    if shutil.which(RELION) is None:
        raise InputError(f"{RELION} is not installed; apt-get install relion, or leave --relion away")
    largest = round(simulation.particle_diameter)
    words = f"--pickname autopick --LoG --LoG_diam_min {0.7 * largest:.0f} --LoG_diam_max {largest} --shrink 0 --lowpass 20"
    words += " --LoG_adjust_threshold -0.5"
    command = [RELION, "--i", "micrographs.star", "--odir", f"{out.resolve()}/", *words.split()]
    run = subprocess.run(command, cwd=simulation.folder, capture_output=True, text=True)
    if run.returncode:
        raise InputError(f"{RELION} failed: {run.stderr.strip().splitlines()[-1] if run.stderr.strip() else run.returncode}")
    picked = {Path(name).name: found for name, found in read_coordinate_set(out).items()}
    nothing = (np.zeros((0, 2)), np.zeros(0))
    every = (picked.get(Path(name).stem) for name in simulation.names)
    return [nothing if one is None or one.scores is None else (one.centres, one.scores) for one in every]
