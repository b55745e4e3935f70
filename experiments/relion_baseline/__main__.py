"""python -m experiments.relion_baseline --real data/real: RELION by the paper's protocol, beside DRPnet and its peers."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from experiments.relion_baseline import picking
from experiments.relion_baseline.picking import Setting, pick
from experiments.relion_baseline.picture import draw
from experiments.relion_baseline.programs import require_relion, steps_done
from experiments.relion_baseline.project import PARTICLES, SEED, Project, lay_out
from experiments.relion_baseline.scores import choose, drpnet, score
from experiments.relion_baseline.tables import tables
from experiments.relion_baseline.templates import as_rows, make_templates

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run RELION, write result.json and the picture, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("data/real"), help="the laid-out micrographs")
    parser.add_argument("--out", type=Path, default=Path("outputs/relion_baseline"), help="RELION's project folder")
    parser.add_argument("--particles", type=int, default=PARTICLES, help="labelled particles for the templates")
    parser.add_argument("--threads", type=int, default=2, help="of the 2D classification")
    parser.add_argument("--result", type=Path, default=HERE / "result.json")
    parser.add_argument("--picture", type=Path, default=HERE / "picks.jpg")
    parser.add_argument("--weights", default="cascade", help="DRPnet's model beside RELION")
    arguments = parser.parse_args()
    try:
        version = require_relion()
        project = lay_out(arguments.real, arguments.out, arguments.particles)
        result = baseline(project, version, arguments.threads)
        result["rows"]["drpnet_shipped"] = drpnet(arguments.weights, project.training, project.scored)
        write_json(result, arguments.result)
        print(tables(result, HERE))
        draw(project, result, arguments.weights, arguments.picture)
    except InputError as error:
        sys.exit(f"error: {error}")


def baseline(project: Project, version: str, threads: int) -> dict[str, Any]:
    """Templates, settings chosen on the training micrographs, and the scores of the default and the chosen settings."""
    folder = project.folder
    averages, chosen = make_templates(folder, threads)
    rows: dict[str, Any] = {}
    search: dict[str, Any] = {}
    for kind, tried in picking.TRIED.items():
        best, all_tried = choose(tried, lambda setting: on_training(project, setting))
        search[kind] = [{**picking.as_row(setting), "f_measure": f} for setting, f in all_tried]
        for name, setting in (("default", default_of(best)), ("chosen", best)):
            scores = score(pick(folder, "scored", setting), project.scored)
            rows[f"{kind}_{name}"] = {"setting": picking.as_row(setting), "folder": setting.name, **scores}
    return {
        "relion": version,
        "training": [micrograph.stem for micrograph in project.training],
        "scored": [micrograph.stem for micrograph in project.scored],
        "seed": SEED,
        "classes": as_rows(averages, chosen),
        "search": search,
        "rows": rows,
        "steps": steps_done(folder),
    }


def on_training(project: Project, setting: Setting) -> float:
    """F of a setting on the training micrographs."""
    return score(pick(project.folder, "training", setting), project.training, ["scores"])["scores"]["f_measure"]


def default_of(best: Setting) -> Setting:
    """RELION's own threshold in place of the chosen one; the blob's diameters have no default and stay."""
    if isinstance(best, picking.LoG):
        return replace(best, adjust=picking.LOG_ADJUST_DEFAULT)
    return picking.TEMPLATES_DEFAULT


if __name__ == "__main__":
    main()
