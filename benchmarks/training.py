"""python -m benchmarks.training: what a training step costs on one core, and what Lightning adds to it over an epoch.

Writes result_training.json and prints the tables. Random images: arithmetic does not look at them.
"""

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.speed import machine
from drpnet.datamodules import loader
from drpnet.io.atomic import write_bytes
from drpnet.modules import FCRNModule
from drpnet.networks import FCRN, UNet
from drpnet.preprocess import Frame
from drpnet.provenance import git_commit
from drpnet.samples import Augmentation, DistanceMapPatches
from drpnet.targets import DistanceTarget

HERE = Path(__file__).resolve().parent
BATCH = 16


@dataclass(frozen=True)
class Case:
    """A network and the px of its patches, as the experiments train it."""

    name: str
    network: Callable[[], nn.Module]
    patch: int


CASES = (
    Case("FCRN, 64 px (trpv1_fcrn)", lambda: FCRN(width=32), 64),
    Case("U-Net, 128 px (general_model)", lambda: UNet(width=16, depth=3), 128),
)


def main() -> None:
    """Measure, write the result, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60, help="steps of an epoch")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each kind, alternating, of which the median counts")
    parser.add_argument("--result", type=Path, default=HERE / "result_training.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    rows = {case.name: measured(case, arguments.steps, arguments.rounds) for case in CASES}
    result = {"rows": rows, "steps": arguments.steps, "rounds": arguments.rounds, "machine": machine()}
    result |= {"torch": torch.__version__, "lightning": pl.__version__, "commit": git_commit()}
    write_bytes(arguments.result, (json.dumps(result, indent=1) + "\n").encode())
    print(table(result))


def measured(case: Case, steps: int, rounds: int) -> dict[str, float]:
    """CPU seconds of a step, medians over epochs: torch's own layout, ours in a bare loop, and ours under Lightning."""
    patches = dataset(case.patch, steps * BATCH)
    plain, bare, light = case.network(), module(case), module(case)
    kinds: dict[str, Callable[[], float]] = {
        "plain": lambda: bare_epoch(plain, patches, torch.contiguous_format),
        "bare": lambda: bare_epoch(bare.network, patches, torch.channels_last),
        "lightning": lambda: lightning_epoch(light, patches),
    }
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds + 1):
        for kind, epoch in kinds.items():
            taken = epoch()
            if number:  # the first round warms up
                seconds[kind].append(taken / steps)
    return {kind: statistics.median(values) for kind, values in seconds.items()}


def module(case: Case) -> FCRNModule:
    """What the experiments train: their network, Adam, the mean squared error, a cosine schedule."""
    return FCRNModule(case.network(), adam, schedule="cosine")


def adam(parameters: Any) -> torch.optim.Optimizer:
    """As conf/optimizer/adam.yaml."""
    return torch.optim.Adam(parameters, lr=1e-3)


def dataset(patch: int, patches: int) -> DistanceMapPatches:
    """Patches of frames in memory around random centres, with the usual augmentation."""
    rng, side = np.random.default_rng(0), 512
    frames = [Frame(rng.normal(size=(side, side)).astype(np.float32), 9.0, 20.0, (1, 1)) for _ in range(4)]
    centres = [rng.uniform(0, side, (150, 2)) for _ in frames]
    return DistanceMapPatches(frames, centres, DistanceTarget(), patch, 0.25, patches, Augmentation())


def batches(patches: DistanceMapPatches) -> DataLoader:
    """The data modules' own loader."""
    return loader(patches, BATCH, seed=0)


def bare_epoch(network: nn.Module, patches: DistanceMapPatches, layout: torch.memory_format) -> float:
    """CPU seconds of an epoch in a loop of a few lines."""
    optimizer, loss = adam(network.parameters()), nn.MSELoss()
    network.train()
    started = time.process_time()
    for image, target in batches(patches):
        optimizer.zero_grad()
        loss(network(image.contiguous(memory_format=layout)), target).backward()
        optimizer.step()
    return time.process_time() - started


class _Watch(pl.Callback):
    """CPU seconds between the start and the end of the training epoch."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.process_time()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds = time.process_time() - self.started


def lightning_epoch(trained: FCRNModule, patches: DistanceMapPatches) -> float:
    """CPU seconds of an epoch under Lightning, with the loss logged, without its start and end."""
    watch = _Watch()
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, deterministic=True, callbacks=[watch],
    )  # fmt: skip
    trainer.fit(trained, batches(patches))
    return watch.seconds


def table(result: dict[str, Any]) -> str:
    """The numbers in Markdown."""
    lines = [
        f"{result['steps']} steps of {BATCH} patches an epoch, medians of {result['rounds']}, one thread of "
        f"{result['machine']['processor']}, load {result['machine']['load']:.2f}",
        "",
        "| network | torch's own layout, ms a step | ours, bare loop | ratio | ours under Lightning | Lightning adds |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        plain, bare, light = (1000 * row[kind] for kind in ("plain", "bare", "lightning"))
        added = f"{100 * (light / bare - 1):.1f} %"
        lines.append(f"| {name} | {plain:.1f} | {bare:.1f} | {plain / bare:.2f} | {light:.1f} | {added} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
