"""python -m benchmarks.stages MICROGRAPH ROUNDS: CPU seconds of every stage of our picking in one process, as JSON.

And the first network's arithmetic beside the most that a plain 3x3 convolution reaches on this core.
"""

import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.micrographs import DIAMETER
from drpnet.cascade import Picker, scores_of
from drpnet.config import PRESETS
from drpnet.cut import cut
from drpnet.io.find import MicrographEntry, find_micrographs
from drpnet.io.picks import Candidates, write_candidates_star
from drpnet.ledger import candidates_path, write_record
from drpnet.model import load_model
from drpnet.peaks import find_peaks
from drpnet.pick_folder import claim
from drpnet.picking import Job, describe, load, pick_one
from drpnet.preprocess import enlarge, network_frame, preprocess
from drpnet.schema import compose_config, pick_settings

Watch = Callable[[str], Any]
"""Takes the name of a stage and gives a context whose CPU seconds are noted."""


def main() -> None:
    """Print what the arguments ask for."""
    path, rounds = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(path, rounds, Path(folder))))


def measured(path: Path, rounds: int, folder: Path) -> dict[str, Any]:
    """Medians over `rounds` of the stages, of a whole micrograph and of the raw read, in CPU seconds; the two rates.

    Everything has run once before, so files are in the system's memory and the floods are compiled. `folder` gets the picks.
    """
    picker = Picker(load_model("default"))
    job, entry = job_of(path, folder)
    claim(job.settings, "")
    seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def watch(stage: str) -> Iterator[None]:
        started = time.process_time()
        yield
        seconds[stage].append(time.process_time() - started)

    whole: list[float] = []
    raw: list[float] = []
    for number in range(rounds + 1):
        if number == 1:  # the first round warms up
            for seen in (seconds, whole, raw):
                seen.clear()
        raw.append(taken(lambda: np.fromfile(path, np.uint8)))
        whole.append(taken(lambda: pick_one(picker, entry, job, load(entry, None))))
        found, shape = pick_in_stages(picker, entry, job, watch)
    operations = floating_point_operations(picker.fcrn, shape)
    return {
        "whole": statistics.median(whole),
        "raw_read": statistics.median(raw),
        "stages": {stage: statistics.median(values) for stage, values in seconds.items()},
        "candidates": len(found.centres),
        "frame": list(shape),
        "network_gflop": operations / 1e9,
        "network_gflops": operations / statistics.median(seconds["network"]) / 1e9,
        "convolution_gflops": convolution_peak(rounds),
        "threads": torch.get_num_threads(),
    }


def job_of(path: Path, out: Path) -> tuple[Job, MicrographEntry]:
    """What `drpnet pick` would do with one micrograph and its defaults."""
    words = [f"micrographs='{path}'", f"out='{out}'", f"particle_diameter={DIAMETER}", "device=cpu"]
    found = find_micrographs(str(path))
    job = Job(pick_settings(compose_config("pick", words)), PRESETS["balanced"], found)
    return job, found.entries[0]


def taken(work: Callable[[], object]) -> float:
    """CPU seconds of some work, of all threads of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def pick_in_stages(
    picker: Picker, entry: MicrographEntry, job: Job, watch: Watch
) -> tuple[Candidates, tuple[int, int]]:
    """What `load`, `Picker.pick` and `pick_one` do, under a stopwatch; also the shape of what the first network sees.

    A test holds it against them.
    """
    diameter = job.settings.particle_diameter
    with watch("read"):
        image, pixel_size, file = load(entry, job.settings.pixel_size)
    with watch("preprocess"):
        frame = preprocess(image, pixel_size, diameter, picker.model.preprocess)
        seen = network_frame(frame).image
    with watch("network"):
        distance_map = picker.distance_map(seen)
    with watch("peaks"):
        settings = replace(picker.model.detection, levels=picker.model.detection.minimum_level)
        peaks = find_peaks(enlarge(distance_map, frame.image.shape), frame.particle_diameter_px, settings)
        centres = frame.to_micrograph(peaks.centres)
    logits = np.full(len(centres), np.nan)
    if picker.classifier is not None:
        with watch("patches"):
            patches = torch.from_numpy(picker.patches(image, pixel_size, diameter, centres))[:, None]
        with watch("classifier"), torch.inference_mode():
            logits = (
                torch.cat([picker.classifier(batch) for batch in patches.split(picker.batch_size)]).double().numpy()
            )
    with watch("write"):
        merit = picker.figure_of_merit(scores_of(frame, peaks.heights, logits))
        order = np.argsort(-merit, kind="stable")
        scores = merit[order], peaks.heights[order], 1 / (1 + np.exp(-logits[order]))
        found = Candidates(centres[order], *scores)
        record = {**describe(entry, image.shape, pixel_size, job.micrographs), "file": file}
        write_candidates_star(candidates_path(job.out, record["tree"], record["stem"]), found)
        write_record(job.out, record)
    with watch("cut"):
        cut(job.out, job.threshold)
    return found, seen.shape


def floating_point_operations(network: nn.Module, shape: tuple[int, int]) -> float:
    """Additions and multiplications of the convolutions of a network for an image of `shape` (h, w)."""
    total = 0

    def count(layer: nn.Conv2d, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += 2 * layer.weight.numel() * output.shape[-2] * output.shape[-1]

    hooks = [part.register_forward_hook(count) for part in network.modules() if isinstance(part, nn.Conv2d)]
    with torch.inference_mode():
        network(torch.zeros(1, 1, *shape))
    for hook in hooks:
        hook.remove()
    return float(total)


@torch.inference_mode()
def convolution_peak(rounds: int, size: int = 256) -> float:
    """GFLOP/s of plain 3x3 convolutions (32 to 128 channels, channels last) on this core: the best of all rounds."""
    best = 0.0
    for channels in (32, 64, 128):
        image = torch.randn(1, channels, size, size).contiguous(memory_format=torch.channels_last)
        kernel = torch.randn(channels, channels, 3, 3).contiguous(memory_format=torch.channels_last)
        operations = 2.0 * kernel.numel() * size * size
        for _ in range(rounds + 1):
            best = max(best, operations / taken(partial(F.conv2d, image, kernel, padding=1)) / 1e9)
    return best


if __name__ == "__main__":
    main()
