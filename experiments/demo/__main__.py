"""python -m experiments.demo outputs/demo: adds the baseline and the seconds per stage to metrics.json and writes a page."""

import argparse
import html
import json
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from drpnet.evaluate import score_micrographs, write_json
from drpnet.io.atomic import write_bytes
from drpnet.io.coordinates import Coordinates, read_coordinate_set
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_micrograph
from drpnet.log_picker import log_candidates
from drpnet.matching import match_one_to_one
from drpnet.overlay import draw_truth, save_picture

DIAMETER = 173.0
STAGES = (
    ("simulating the test micrographs", "test/simulation.json"),
    ("simulating and training the FCRN", "fcrn/metrics.json"),
    ("training the classifier", "classifier/metrics.json"),
    ("picking", "picks/autopick.star"),
    ("scoring", "metrics.json"),
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
    metrics["baseline_log"] = baseline(folder, truth)
    metrics["simulated"] = True
    metrics["snr"] = [row["snr"] for row in json.loads((folder / "test" / "simulation.json").read_text())["micrographs"]]
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
        ended = (folder / result).stat().st_mtime
        seconds[name] = round(ended - last, 1)
        last = ended
    return seconds


def baseline(folder: Path, truth: dict[str, Coordinates]) -> dict[str, Any]:
    """The Laplacian-of-Gaussian picker at its best threshold on these very labels, an advantage that DRPnet does not get."""
    fields = {}
    for entry in find_micrographs(str(folder / "test" / "micrographs")).entries:
        image, pixel_size = read_micrograph(entry.path)
        assert pixel_size is not None
        centres, scores = log_candidates(image, pixel_size, DIAMETER)
        fields[entry.stem] = (centres, scores, truth[entry.stem].centres, DIAMETER / pixel_size / 2)
    result = score_micrographs(fields)
    return {key: result[key] for key in ("best_f_measure", "best_threshold", "average_precision")}


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
        picture = draw_truth(image, ours, labels, hit, found, DIAMETER / pixel_size, f"{entry.stem} (simulated): {caption}")
        save_picture(picture, folder / "pictures" / name)
        captions[f"pictures/{name}"] = caption
    return captions


def print_table(metrics: dict[str, Any]) -> None:
    """The closing table."""
    table = Table(title="Simulated test micrographs that training never saw: one-to-one within half a particle diameter")
    for name in ("picker", "precision", "recall", "F", "average precision"):
        table.add_column(name, justify="left" if name == "picker" else "right")
    numbers = [f"{metrics[key]:.3f}" for key in ("precision", "recall", "f_measure", "average_precision")]
    table.add_row("DRPnet, default threshold", *numbers, style="bold")
    log = metrics["baseline_log"]
    row = ["-", "-", f"{log['best_f_measure']:.3f}", f"{log['average_precision']:.3f}"]
    table.add_row("Laplacian of Gaussian, best threshold", *row)
    console = Console()
    console.print(table)
    console.print(f"SNR {min(metrics['snr']):.3f} to {max(metrics['snr']):.3f}; {metrics['seconds']['all']:.0f} seconds", highlight=False)


def render(metrics: dict[str, Any], captions: dict[str, str]) -> str:
    """The page."""
    log = metrics["baseline_log"]
    rows = "".join(
        f"<tr><td>{html.escape(row['micrograph'])}</td><td>{row['picks']}</td><td>{row['truth']}</td><td>{row['precision']:.3f}</td>"
        f"<td>{row['recall']:.3f}</td><td>{row['f_measure']:.3f}</td></tr>"
        for row in metrics["per_micrograph"]
    )
    stages = "".join(f"<tr><td>{html.escape(k)}</td><td>{v:.0f} s</td></tr>" for k, v in metrics["seconds"].items())
    pictures = "".join(
        f'<figure><img loading="lazy" src="{html.escape(path)}" alt="{html.escape(caption)}"><figcaption>{html.escape(caption)}'
        "</figcaption></figure>"
        for path, caption in captions.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>DRPnet demo (simulated)</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} td, th {{ padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #8884; }}
td:first-child, th:first-child {{ text-align: left; }} img {{ width: 100%; }} figure {{ margin: 0; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }}
</style></head><body>
<h1>DRPnet demo</h1>
<p>Simulated TRPV1-like micrographs that training never saw, SNR {min(metrics["snr"]):.3f} to {max(metrics["snr"]):.3f}. A pick is true
when it lies within half a particle diameter ({metrics["radius_px"]:g} px) of a particle that no other pick has claimed.</p>
<table><tr><th>picker</th><th>precision</th><th>recall</th><th>F</th></tr>
<tr><td><b>DRPnet, default threshold</b></td><td>{metrics["precision"]:.3f}</td><td>{metrics["recall"]:.3f}</td><td><b>{metrics["f_measure"]:.3f}</b></td></tr>
<tr><td>Laplacian of Gaussian, best threshold</td><td></td><td></td><td>{log["best_f_measure"]:.3f}</td></tr></table>
<table><tr><th>micrograph</th><th>picks</th><th>particles</th><th>precision</th><th>recall</th><th>F</th></tr>{rows}</table>
<div class="pictures">{pictures}</div>
<h2>How it was trained</h2>
<div class="pictures"><figure><img src="fcrn/curves.png" alt="learning curves of the FCRN"><figcaption>learning curves of the FCRN</figcaption></figure>
<figure><img src="classifier/curves.png" alt="learning curves of the classifier"><figcaption>learning curves of the classifier</figcaption></figure></div>
<figure><img src="fcrn/distance_map.png" alt="input and predicted distance map"><figcaption>the FCRN's input and its distance map</figcaption></figure>
<table><tr><th>stage</th><th>time</th></tr>{stages}</table>
</body></html>
"""


if __name__ == "__main__":
    main()
