"""python -m experiments.demo outputs/demo: adds the baseline and the seconds per stage to metrics.json and writes a page."""

import argparse
import html
import json
import webbrowser
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from drpnet.evaluation.evaluate import score_micrographs, write_json
from drpnet.io.atomic import write_bytes
from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_micrograph
from drpnet.log_picker import log_candidates
from drpnet.measures.matching import match_one_to_one
from drpnet.overlay import draw_truth, save_picture

DIAMETER = 173.0
STAGES = (
    ("simulating the test micrographs", "test/simulation.json"),
    ("simulating and training the FCRN", "fcrn/metrics.json"),
    ("training the classifier", "classifier/metrics.json"),
    ("picking", "picks/autopick.star"),
    ("scoring", "metrics.json"),
    ("writing the report", "report.html"),
)


def main() -> None:
    """Score the baseline, draw the pictures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    metrics["seconds"] = seconds_per_stage(folder)
    metrics["seconds"]["all"] = round(sum(metrics["seconds"].values()), 1)
    truth = read_coordinate_set(folder / "test" / "particles.star")
    metrics["baseline_log"] = baseline(folder, truth, metrics["radius_px"])
    metrics["simulated"] = True
    metrics["snr"] = [
        row["snr"] for row in json.loads((folder / "test" / "simulation.json").read_text())["micrographs"]
    ]
    captions = draw(folder, truth)
    write_json(metrics, folder / "metrics.json")
    page = folder / "index.html"
    write_bytes(page, render(metrics, captions).encode())
    print_table(metrics)
    Console().print(f"look at {page}", highlight=False, soft_wrap=True)
    if arguments.open:
        webbrowser.open(page.resolve().as_uri())


def seconds_per_stage(folder: Path) -> dict[str, float]:
    """Seconds between the files that the stages end with."""
    last, seconds = (folder / "started").stat().st_mtime, {}
    for name, result in STAGES:
        ended = max(last, (folder / result).stat().st_mtime)  # what was there already took no time
        seconds[name] = round(ended - last, 1)
        last = ended
    return seconds


def baseline(folder: Path, truth: dict[str, Coordinates], radius: float) -> dict[str, Any]:
    """The Laplacian-of-Gaussian picker at its best threshold on these very labels, an advantage that DRPnet does not get."""
    fields = {}
    for entry in find_micrographs(str(folder / "test" / "micrographs")).entries:
        image, pixel_size = read_micrograph(entry.path)
        assert pixel_size is not None
        centres, scores = log_candidates(image, pixel_size, DIAMETER)
        fields[entry.stem] = (centres, scores, truth[entry.stem].centres, radius)
    result = score_micrographs(fields)
    return {key: result[key] for key in ("best_f_measure", "best_threshold")}


def draw(folder: Path, truth: dict[str, Coordinates]) -> dict[str, str]:
    """A picture of every test micrograph with true, false and missed picks; captions by file name."""
    picks = read_coordinate_set(folder / "picks")
    captions = {}
    for entry in find_micrographs(str(folder / "test" / "micrographs")).entries:
        image, pixel_size = read_micrograph(entry.path)
        assert pixel_size is not None
        ours, labels = picks[entry.stem].centres, truth[entry.stem].centres
        matching = match_one_to_one(ours, labels, DIAMETER / pixel_size / 2)
        hit, found = np.zeros(len(ours), bool), np.zeros(len(labels), bool)
        hit[matching.pick_index], found[matching.truth_index] = True, True
        caption = f"{hit.sum()} true (green), {(~hit).sum()} false (red), {(~found).sum()} missed (yellow)"
        name = f"{entry.stem}_simulated.jpg"
        picture = draw_truth(
            image, ours, labels, hit, found, DIAMETER / pixel_size, f"{entry.stem} (simulated): {caption}"
        )
        save_picture(picture, folder / "pictures" / name)
        captions[f"pictures/{name}"] = caption
    return captions


def print_table(metrics: dict[str, Any]) -> None:
    """The closing table."""
    table = Table(
        title="Simulated test micrographs that training never saw: one-to-one within half a particle diameter"
    )
    for name in ("picker", "precision", "recall", "F"):
        table.add_column(name, justify="left" if name == "picker" else "right")
    numbers = [f"{metrics[key]:.3f}" for key in ("precision", "recall", "f_measure")]
    table.add_row("DRPnet, default threshold", *numbers, style="bold")
    log = metrics["baseline_log"]
    row = ["-", "-", f"{log['best_f_measure']:.3f}"]
    table.add_row("Laplacian of Gaussian, best threshold", *row)
    console = Console()
    console.print(table)
    console.print(
        f"SNR {min(metrics['snr']):.3f} to {max(metrics['snr']):.3f}; {metrics['seconds']['all']:.0f} seconds",
        highlight=False,
    )


def render(metrics: dict[str, Any], captions: dict[str, str]) -> str:
    """The page, from page.html beside this file."""
    shares = ("precision", "recall", "f_measure")
    rows = "".join(
        _row(row["micrograph"], row["picks"], row["truth"], *(f"{row[key]:.3f}" for key in shares))
        for row in metrics["per_micrograph"]
    )
    pictures = "".join(
        f'<figure><img loading="lazy" src="{html.escape(path)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for path, caption in captions.items()
    )
    return Template((Path(__file__).parent / "page.html").read_text()).substitute(
        lowest_snr=f"{min(metrics['snr']):.3f}",
        highest_snr=f"{max(metrics['snr']):.3f}",
        radius=f"{metrics['radius_px']:g}",
        precision=f"{metrics['precision']:.3f}",
        recall=f"{metrics['recall']:.3f}",
        f_measure=f"{metrics['f_measure']:.3f}",
        log_f_measure=f"{metrics['baseline_log']['best_f_measure']:.3f}",
        rows=rows,
        pictures=pictures,
        stages="".join(_row(stage, f"{seconds:.0f} s") for stage, seconds in metrics["seconds"].items()),
    )


def _row(*cells: object) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>\n"


if __name__ == "__main__":
    main()
