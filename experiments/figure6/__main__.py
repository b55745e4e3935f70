"""python -m experiments.figure6: Table 3 and Figure 6 on simulated micrographs, from picks to maps without a refinement."""

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.maps.compare import Compared, MapSettings, compare_pickers
from drpnet.maps.figures import draw_maps
from drpnet.maps.known_poses import read_simulation
from drpnet.maps.tables import markdown
from drpnet.model import CASCADE
from drpnet.quality.settings import named_runs
from drpnet.simulate import simulate
from experiments.figure6.data import MICROGRAPHS, SEED, SUBJECTS, parameters
from experiments.figure6.pickers import pick

HERE = Path(__file__).resolve().parent
BOX, SETS = 64, 5
COMMITTED_DPI = 110


def main() -> None:
    """Simulate, pick, reconstruct, write result.json, the tables and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structure", choices=SUBJECTS, default="trpv1")
    parser.add_argument("--micrographs", type=int, default=MICROGRAPHS)
    parser.add_argument("--sets", type=int, default=SETS, help="the micrographs are dealt into; intervals are over them")
    parser.add_argument("--seed", type=int, default=SEED, help="of the simulation, of halves and orientations")
    parser.add_argument("--weights", default=CASCADE, help="shipped name, or a .safetensors file from train.py")
    parser.add_argument("--relion", action="store_true", help="also RELION's Laplacian of Gaussian, where it is installed")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=PATH", help="picks of another picker")
    parser.add_argument("--out", type=Path, default=Path("outputs/figure6"), help="micrographs and picks; used again")
    parser.add_argument("--result", type=Path, default=HERE, help="folder of the result and the pictures")
    arguments = parser.parse_args()
    try:
        compared = make(arguments)
    except InputError as error:
        sys.exit(f"error: {error}")
    result = compared.result
    folder = arguments.result
    write_json(result, folder / f"result_{arguments.structure}.json")
    for path in draw_maps(compared, folder, COMMITTED_DPI, prefix=f"{arguments.structure}_"):
        print(f"wrote {path}")
    print(markdown(result))
    print(f"{result['seconds']}; at most {result['peak_memory_mb']:.0f} MB")


def make(arguments: argparse.Namespace) -> Compared:
    """The comparison, with how long each step took and the most memory that was held."""
    subject = SUBJECTS[arguments.structure]
    out = arguments.out / arguments.structure
    seconds: dict[str, Any] = {}
    start = time.process_time()

    def lap(step: str) -> None:
        nonlocal start
        seconds[step], start = round(time.process_time() - start), time.process_time()

    folder = simulate(parameters(subject, arguments.micrographs, arguments.seed), out / "simulated")
    lap("simulating")
    simulation = read_simulation(folder)
    picks = pick(simulation, arguments.weights, out / "picks", arguments.relion)
    picks |= {run.name: run.path for run in named_runs(arguments.also, {})}
    lap("picking")
    settings = MapSettings(subject.symmetry, BOX, arguments.sets, seed=arguments.seed)
    compared = compare_pickers(folder, picks, settings)
    lap("maps")
    compared.result["simulation"]["folder"] = f"python -m experiments.figure6 --structure {arguments.structure}"
    compared.result |= {
        "simulated": True,
        "stands_for": subject.stands_for,
        "weights": arguments.weights,
        "seconds": seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return compared


if __name__ == "__main__":
    main()
