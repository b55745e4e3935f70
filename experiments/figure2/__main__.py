"""python -m experiments.figure2: the paper's Figure 2 on EMPIAR-10005, or on a simulated stand-in that says so."""

import argparse
import sys
from pathlib import Path

from drpnet.cascade import Picker
from drpnet.errors import InputError
from drpnet.model import CASCADE, load_model
from experiments.figure2.draw import draw
from experiments.figure2.page import picture_of, save, save_compact
from experiments.figure2.parts import parts
from experiments.figure2.sources import Source, trpv1

HERE = Path(__file__).resolve().parent
MICROGRAPHS = 4
"""How many micrographs the samples of F and G are taken from."""


def main() -> None:
    """Choose the micrographs, compute, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=CASCADE, help="shipped name, or a .safetensors file from train.py")
    parser.add_argument("--data-root", type=Path, help="folder that holds empiar10005/; else DRPNET_DATA or data/")
    parser.add_argument("--out", type=Path, default=Path("outputs/figure2"), help="folder of figure2.png and .jpg")
    parser.add_argument("--compact", type=Path, default=HERE / "figure2.jpg", help="the small picture")
    parser.add_argument("--seed", type=int, default=0, help="which samples are drawn")
    arguments = parser.parse_args()
    try:
        source = trpv1(arguments.data_root, MICROGRAPHS)
        written = make(source, arguments.weights, arguments.out, arguments.compact, arguments.seed)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(f"{source.title}: wrote {', '.join(map(str, written))}")


def make(source: Source, weights: str, out: Path, compact: Path, seed: int = 0) -> list[Path]:
    """Write the figure of a source and return the files."""
    shown = parts(Picker(load_model(weights)), source, seed=seed)
    name = Path(weights).name
    figure = draw(shown, title(source, name), source.particle_diameter)
    picture = picture_of(figure, dpi=150)
    return [*save(picture, out, "figure2"), save_compact(picture, compact)]


def title(source: Source, weights: str) -> str:
    """The line above the figure."""
    first = source.micrographs[0]
    return f"After Figure 2 of the paper: {source.title}, {first.name}, weights {weights}"


if __name__ == "__main__":
    main()
