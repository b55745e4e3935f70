"""What two processes that train together log: the same numbers as one, each micrograph counted once.

One start of two real processes serves every check of this page.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import distributed, multiprocessing, nn

from drpnet.config import DetectionConfig, PreprocessConfig
from drpnet.datamodules import DistanceMapDataModule
from drpnet.io.micrographs import write_micrograph
from drpnet.labelled import LabelledMicrograph, LabelledSet
from drpnet.metrics import (
    BestMatchedPeakFMeasure,
    MatchedPeakAveragePrecision,
    MatchedPeakFMeasure,
    MatchedPeakLocalisationError,
)
from drpnet.modules import FCRNModule
from drpnet.samples import Augmentation
from drpnet.targets import DistanceTarget

RADIUS, PROCESSES = 6.0, 2


def fields() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Picks, particles and scores of unequally crowded micrographs."""
    random = np.random.default_rng(3)
    sizes = [(0, 7), (9, 0), (12, 30), (35, 8), (20, 20), (5, 40)]
    return [(random.uniform(0, 60, (n, 2)), random.uniform(0, 60, (k, 2)), random.random(n)) for n, k in sizes]


def counted(share: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, float]:
    """The metrics of `share`; with other processes, of all their shares."""
    plain, best = MatchedPeakFMeasure(RADIUS), BestMatchedPeakFMeasure(RADIUS)
    area, place = MatchedPeakAveragePrecision(RADIUS), MatchedPeakLocalisationError(RADIUS)
    for picks, truth, scores in share:
        for metric in (plain, place):
            metric.update(picks, truth)
        for metric in (best, area):
            metric.update(picks, truth, scores)
    metrics = {"f": plain, "best_f": best, "area": area, "place": place}
    values = {name: float(metric.compute()) for name, metric in metrics.items()}
    # after compute each process is back at its own share
    return values | {"own_picks": int(plain.picks), "own_scores": len(best.scores)}


class BlobFinder(nn.Module):
    """Smooths what is dark: finds most particles, and noise."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 9, padding=4)
        nn.init.constant_(self.layer.weight, -1 / 81)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, h, w) -> (n, 1, h, w)."""
        return self.layer(x)


def write_data(folder: Path) -> None:
    """Five noisy micrographs with 2, 4, 6, 8 and 10 dark particles of 20 px; the last three are for validation."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:120, :128]
    for index in range(5):
        image = random.normal(size=rows.shape)
        centres = random.uniform(10, 110, (2 + 2 * index, 2))
        for y, x in centres:
            image -= np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 50)
        write_micrograph(folder / f"{index}.mrc", image.astype(np.float32), 2.0)
        np.save(folder / f"{index}.npy", centres)


class Losses(pl.Callback):
    """Keeps the loss of every step."""

    def __init__(self):
        self.kept: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        """One more."""
        self.kept.append(float(outputs["loss"]))


def trained(folder: Path) -> dict:
    """What two epochs log, their losses step by step and the weights they lead to, by as many processes as run this."""
    every = tuple(LabelledMicrograph(path, np.load(path.with_suffix(".npy"))) for path in sorted(folder.glob("*.mrc")))
    data = LabelledSet("blobs", 40.0, every[:2], every[2:], (), simulated=True)
    datamodule = DistanceMapDataModule(
        data, PreprocessConfig(illumination_sigma_diameters=0), DistanceTarget(), patch_size=32, patches_per_epoch=22,
        batch_size=4, augmentation=Augmentation(), seed=5,
    )  # fmt: skip
    module = FCRNModule(
        BlobFinder(), lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9),
        detection=DetectionConfig(threshold=0.02), schedule="cosine",
    )  # fmt: skip
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    losses = Losses()
    trainer = pl.Trainer(
        accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto", max_epochs=2, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[losses],
    )  # fmt: skip
    trainer.fit(module, datamodule)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    weights = torch.cat([values.detach().flatten() for values in module.network.parameters()]).tolist()
    return {"metrics": metrics, "losses": losses.kept, "weights": weights}


def _process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["LOCAL_RANK"] = str(rank)  # to Lightning: somebody else has started the processes
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES)
    # unequal shares: a mean of the processes' own F would be another number; the last check leaves one without any
    share = fields()[:2] if rank == 0 else fields()[2:]
    result = {
        "counted": counted(share),
        "one without": counted(fields() if rank == 0 else []),
        "trained": trained(Path(folder)),
    }
    Path(folder, f"{rank}.json").write_text(json.dumps(result))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, list[dict]]:
    """The folder with the data, and what each of the two processes has logged."""
    folder = tmp_path_factory.mktemp("together")
    write_data(folder)
    multiprocessing.start_processes(_process, args=(str(folder),), nprocs=PROCESSES, start_method="forkserver")
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(PROCESSES)]


def test_the_metrics_pool_their_counts(together):
    alone, (first, second) = counted(fields()), together[1]
    for key in ("f", "best_f", "area", "place"):
        assert first["counted"][key] == second["counted"][key] == pytest.approx(alone[key], abs=1e-6)
        assert first["one without"][key] == second["one without"][key] == pytest.approx(alone[key], abs=1e-6)
    for key in ("own_picks", "own_scores"):
        assert first["counted"][key] + second["counted"][key] == alone[key]


def test_two_processes_train_as_one(together):
    """The same batches of four (two and two), so the same steps; the differences are those of float32 sums."""
    folder, (first, second) = together
    alone, one, two = trained(folder), first["trained"], second["trained"]
    assert 0.3 < alone["metrics"]["val_f"] < 0.95
    assert set(alone["metrics"]) == {"train_loss", "val_loss", "val_f"}
    # three validation micrographs for two processes: one of them comes twice and must count once
    assert one["metrics"] == two["metrics"] == pytest.approx(alone["metrics"], rel=1e-5)
    assert len(alone["losses"]) == 12  # 22 patches in fours, twice
    assert np.mean([one["losses"], two["losses"]], axis=0) == pytest.approx(alone["losses"], rel=1e-5)
    start = torch.cat([values.detach().flatten() for values in BlobFinder().parameters()]).numpy()
    assert np.abs(alone["weights"] - start).max() > 1e-3
    assert one["weights"] == two["weights"] == pytest.approx(alone["weights"], abs=1e-6)
