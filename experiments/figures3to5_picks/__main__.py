"""python -m experiments.figures3to5_picks: DRPnet's picks beside another picker's (paper Figures 3 to 5, A and B)."""

import argparse
import sys
from pathlib import Path
from typing import Any

from drpnet.cascade import Picker
from drpnet.cut import parse_threshold
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import write_json
from drpnet.model import CASCADE, load_model
from experiments.figure2.page import picture_of, save, save_compact
from experiments.figures3to5_picks.draw import draw
from experiments.figures3to5_picks.panels import RULE, Panel, panels
from experiments.figures3to5_picks.scenes import FIGURES, Scene, scene

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Draw the figures that are asked for; write the numbers of their captions beside the small pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=int, nargs="+", default=sorted(FIGURES), choices=sorted(FIGURES))
    parser.add_argument("--peer", type=Path, nargs="+", action="extend", default=[], metavar="FOLDER",
                        help="another picker's .star, .box or .cbox files, one a micrograph; FOLDER names it")  # fmt: skip
    parser.add_argument("--data-root", type=Path, help="folder of empiar10005/, real/ ...; else DRPNET_DATA or data/")
    parser.add_argument("--weights", default=CASCADE, help="shipped name, or a .safetensors file from train.py")
    parser.add_argument("--threshold", help="figure of merit of DRPnet's picks, 0 to 1; else see README.md")
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/figures3to5_picks"), help="folder of the large pictures"
    )
    parser.add_argument("--compact", type=Path, default=HERE, help="folder of the small pictures and result.json")
    arguments = parser.parse_args()
    try:
        picker = Picker(load_model(arguments.weights))
        given = arguments.threshold
        weights = Path(arguments.weights).name
        threshold = None if given is None else parse_threshold(given, "balanced")
        result = {}
        for figure in arguments.figures:
            one = scene(figure, arguments.data_root, arguments.peer)
            shown = panels(one, picker, threshold)
            picture = picture_of(draw(one, shown, weights), dpi=130)
            written = [*save(picture, arguments.out, f"figure{figure}")]
            written.append(save_compact(picture, arguments.compact / f"figure{figure}.jpg"))
            result[f"figure{figure}"] = record(one, shown, weights)
            print(f"Figure {figure}, {one.title}: wrote {', '.join(map(str, written))}", flush=True)
        write_json(result, arguments.compact / "result.json")
    except InputError as error:
        sys.exit(f"error: {error}")


def record(scene: Scene, shown: list[Panel], weights: str) -> dict[str, Any]:
    """The numbers of a figure's captions and what they were counted on."""
    return {
        "title": scene.title,
        "simulated": scene.simulated,
        "weights": weights,
        "rule": RULE,
        "radius_px": scene.particle_diameter / scene.micrograph.pixel_size / 2,
        "border_px": scene.border,
        "threshold": shown[0].threshold,
        "panels": [{"name": panel.name, "all_picks": len(panel.picks), **(panel.scores or {})} for panel in shown],
    }


if __name__ == "__main__":
    main()
