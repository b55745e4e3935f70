"""The same picks whatever they are picked on: threads, tiles, batches, workers, shares, order of files, and a GPU.

The tolerance: as many candidates, centres within 0.01 px, figures of merit within 1e-4. So picks at a threshold may differ by
those candidates alone whose figure of merit lies within 1e-4 of it; a cut takes what is equal to the threshold.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from drpnet.cascade import Picker
from drpnet.cli import app
from drpnet.errors import InputError
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import Candidates, read_candidates_star
from drpnet.model import load_model
from drpnet.prepare import choose_device, device_words

PIXEL_SIZE, DIAMETER = 5.0, 150.0
PIXELS, MERIT = 0.01, 1e-4


def micrograph(seed: int) -> np.ndarray:
    """Dark discs of the particle's size on noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:301, :340]
    image = rng.normal(0, 1, rows.shape)
    for y, x in rng.uniform(20, 280, (25, 2)):
        image -= 2 / (1 + np.exp(np.hypot(rows - y, columns - x) - DIAMETER / PIXEL_SIZE / 2))
    return image.astype(np.float32)


def require_same(found: Candidates, expected: Candidates) -> None:
    """Raise AssertionError unless two lists of candidates are the same within the tolerance, whatever their order."""
    assert len(found.centres) == len(expected.centres) > 10
    distances = np.linalg.norm(found.centres[:, None] - expected.centres[None], axis=2)
    nearest = distances.argmin(axis=1)
    assert sorted(nearest) == list(range(len(nearest)))
    assert distances.min(axis=1).max() < PIXELS
    assert np.abs(found.figure_of_merit - expected.figure_of_merit[nearest]).max() < MERIT


def picked(device: str = "cpu", **settings: int) -> Candidates:
    return Picker(load_model("default"), device, **settings).pick(micrograph(0), PIXEL_SIZE, DIAMETER)


@pytest.fixture(scope="module")
def expected() -> Candidates:
    return picked()


@pytest.mark.parametrize("settings", [{"tile": 64}, {"tile": 97}, {"tile": 4096}, {"batch_size": 1}, {"batch_size": 7}])
def test_tiles_and_batches(expected, settings):
    require_same(picked(**settings), expected)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads(expected, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        require_same(picked(), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.gpu
def test_a_gpu(expected):
    require_same(picked("cuda"), expected)


def pick(source: object, out: Path, *options: object) -> dict[str, Candidates]:
    """The candidates that `drpnet pick` finds, by the micrograph's stem."""
    words = ["pick", source, "--out", out, "--diameter", DIAMETER, "--device", "cpu", *options]
    with pytest.raises(SystemExit) as stop:
        app([str(word) for word in words])
    assert not stop.value.code
    paths = out.rglob("*_candidates.star")
    return {path.name.removesuffix("_candidates.star"): read_candidates_star(path) for path in paths}


def test_workers_shares_and_order_of_files(tmp_path, monkeypatch):
    """One process that reads ahead; two processes, which do not; three shares; a .star in another order; one at a time."""
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write_micrograph(Path("mics") / f"m{number}.mrc", micrograph(number), PIXEL_SIZE)
    straight = pick("mics", tmp_path / "straight")
    assert sorted(straight) == ["m0", "m1", "m2"]
    for part in (3, 1, 2):
        shares = pick("mics", tmp_path / "shares", "--shard", f"{part}/3")
    rows = "".join(f"mics/m{number}.mrc\n" for number in (2, 0, 1))
    Path("other.star").write_text(f"data_\n\nloop_\n_rlnMicrographName #1\n{rows}")
    one_by_one = {stem: pick(f"mics/{stem}.mrc", tmp_path / stem)[stem] for stem in straight}
    for other in (pick("mics", tmp_path / "two", "--workers", 2), shares, pick("other.star", tmp_path / "star"), one_by_one):
        assert set(other) == set(straight)
        for stem, found in other.items():
            require_same(found, straight[stem])


def test_the_device_and_its_speed_are_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_micrograph(tmp_path / "m.mrc", micrograph(0), PIXEL_SIZE)
    with caplog.at_level("INFO"):
        pick(tmp_path / "m.mrc", tmp_path / "picks")
        assert re.search(r"1 micrographs, device CPU, \d+ threads, weights", caplog.text)
        assert re.search(r"picked 1 in [\d.]+ s, [\d.]+ (s a micrograph|micrographs a second), on CPU", caplog.text)
        caplog.clear()
        pick(tmp_path / "m.mrc", tmp_path / "auto", "--device", "auto")
        assert "device CPU (no GPU found)" in caplog.text


def test_no_gpu_is_said_and_a_missing_one_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    assert "(no GPU found)" in device_words("cpu", "auto") and "GPU" not in device_words("cpu", "cpu")
    if torch.cuda.device_count() == 0:
        with pytest.raises(InputError, match="device 'cuda' cannot be used: .*; use --device cpu or auto"):
            choose_device("cuda")
