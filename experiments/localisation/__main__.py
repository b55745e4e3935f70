"""python -m experiments.localisation [--real data/real]: fields of view and localisation errors; result.json and tables."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from drpnet.cascade import Picker
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.import_matlab import import_matlab
from drpnet.io.coordinates import read_coordinate_set
from drpnet.labelled import LabelledMicrograph
from drpnet.model import Model, load_model
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters
from experiments.localisation.measure import offsets_of, sees, summary

HERE = Path(__file__).resolve().parent
DIAMETER = 173.0
SIMULATION = SimulationParameters(
    structures=["trpv1"], particle_diameter=DIAMETER, micrographs=12, particles_per_micrograph=80, min_distance=1.3,
    cluster_fraction=0.0, snr_range=[0.1, 0.2], carbon_probability=0.0, contamination_probability=0.0, seed=41,
)  # fmt: skip
AUTHORS_BOX = 248 / 191
"""The authors give the box, not the particle: 140 px of 1.77 Angstrom for EMPIAR-10017's 191 Angstrom."""
ORDER = {"authors": "the authors' network, their program", "cascade": "ours, the paper's FCRN", "default": "ours, the U-Net"}


def main() -> None:
    """Simulate, pick with every network, compare with the true centres."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("data/real"), help="where drpnet2019_weights/cnet_1.mat is")
    parser.add_argument("--out", type=Path, default=Path("outputs/localisation"))
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    given = parser.parse_args()
    try:
        models = {name: replace(load_model(name), classifier=None) for name in ("cascade", "default")}
        models["authors"] = import_matlab(given.real / "drpnet2019_weights" / "cnet_1.mat", given.out / "cnet_1.safetensors")
        simulate_dataset(SIMULATION, given.out / "simulation")
    except InputError as error:
        sys.exit(f"error: {error}")
    truth = read_coordinate_set(given.out / "simulation" / "particles.star")
    paths = sorted((given.out / "simulation" / "micrographs").glob("*.mrc"))
    of = [LabelledMicrograph(path, truth[path.stem].centres) for path in paths]
    result = {name: measured(name, models[name], of) for name in ORDER}
    write_json(result, given.result)
    print(table(result))


def measured(name: str, model: Model, of: list[LabelledMicrograph]) -> dict[str, Any]:
    """How far a network sees, and the offsets of its picks."""
    assert model.fcrn is not None
    scale = AUTHORS_BOX if name == "authors" else 1.0
    picker, offsets, diameter_px = Picker(model), [], 0.0
    for one in track(of, name, transient=True):
        image, pixel_size = one.read()
        found = picker.detect(image, pixel_size, DIAMETER * scale)
        diameter_px = found.frame.particle_diameter_px / scale
        offsets.append(offsets_of(found.peaks.centres, found.frame.from_micrograph(one.centres), diameter_px))
    return {"sees": sees(model.fcrn), "diameter_px": diameter_px, **summary(offsets)}


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    head = (
        "network", "a particle is", "an output pixel sees (up, left, down, right)", "wide, in diameters", "particles found",
        "mean shift (y, x) px", "its error", "median distance", "in diameters",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, row in result.items():
        reach = row["sees"]
        wide = (reach[0] + reach[2] + 1) / row["diameter_px"]
        shift, error = (", ".join(f"{value:.2f}" for value in row[key]) for key in ("mean_shift", "standard_error"))
        lines.append(
            f"| {ORDER[name]} | {row['diameter_px']:.1f} px | {', '.join(map(str, reach))} px | {wide:.1f} | "
            f"{row['matches']} of {row['particles']} | {shift} | {error} | {row['median_px']:.2f} px | "
            f"{row['median_px'] / row['diameter_px']:.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
