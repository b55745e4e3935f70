"""A training that is killed (-9) and resumed ends where one that nobody disturbed ends, to the last bit."""

import json
import random
import time

import pytest
import torch
from safetensors.torch import load_file

from drpnet.checkpoints import WholeFiles

WORDS = [
    "experiment=trpv1_fcrn",
    *(
        f"dataset.simulation.{key}={value}"
        for key, value in {
            "micrographs": 3, "height": 256, "width": 256, "pixel_size": 8, "particles_per_micrograph": 20, "min_distance": 1,
            "snr_range": "[0.5,0.5]", "carbon_probability": 0, "contamination_probability": 0,
        }.items()
    ),
    "network.width=8", "datamodule.patches_per_epoch=240", "trainer.max_epochs=4", "module.optimizer.lr=3e-3",
    "~callbacks.progress", "+trainer.enable_progress_bar=false",
]  # fmt: skip


class Trainings:
    """Runs of train.py with the same words, into folders of their own."""

    def __init__(self, home, repository, start_script):
        self.home, self.script, self.start_script = home, repository / "train.py", start_script

    def start(self, folder, resume=None):
        """Start one; from a checkpoint if there is one."""
        words = [*WORDS, f"hydra.run.dir={folder}", *([f"resume={resume}"] if resume and resume.exists() else [])]
        self.outputs = [self.home / name for name in ("stdout", "stderr")]
        data = {"DRPNET_DATA": str(self.home / "data")}
        return self.start_script(self.script, *words, cwd=self.home, outputs=self.outputs, **data)

    def finish(self, folder, resume=None):
        """Let one come to its end."""
        process = self.start(folder, resume)
        process.join(1800)
        assert process.exitcode == 0, [path.read_text()[-2000:] for path in self.outputs]


@pytest.fixture(scope="module")
def trainings(tmp_path_factory, repository, start_script):
    """Trainings whose data are simulated, and `undisturbed`, the first of them."""
    found = Trainings(tmp_path_factory.mktemp("kill"), repository, start_script)
    found.finish(found.home / "undisturbed")
    return found


def result(folder):
    """What must not differ: weights, scores, the optimizer's state."""
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    metrics = json.loads((folder / "metrics.json").read_text())
    scores = {key: metrics[key] for key in ("validation", "test", "scores", "epochs", "seed") if key in metrics}
    states = {key: last[key] for key in ("state_dict", "optimizer_states", "epoch", "global_step")}
    return load_file(folder / "weights.safetensors"), scores, states


def assert_same(folder, trainings):
    """The run in the folder equals the undisturbed one."""
    weights, scores, states = result(folder)
    expected_weights, expected_scores, expected_states = result(trainings.home / "undisturbed")
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=0)
    assert json.dumps(scores) == json.dumps(expected_scores)
    torch.testing.assert_close(states, expected_states, rtol=0, atol=0)


def wait_for_change(path, before, process):
    """Until a file is there that was not, or another one; or the process has ended."""
    while process.is_alive() and (not path.exists() or path.stat().st_mtime_ns == before):
        time.sleep(0.01)
    return path.stat().st_mtime_ns if path.exists() else None


def test_killed_in_the_middle_of_two_epochs(trainings, tmp_path):
    last, stamp, moment = tmp_path / "run" / "checkpoints" / "last.ckpt", None, random.Random(5)
    for _ in range(2):
        process = trainings.start(tmp_path / "run", last)
        stamp = wait_for_change(last, stamp, process)
        time.sleep(moment.uniform(0.05, 0.4))
        process.kill()
        process.join()
        assert process.exitcode == -9 and not (tmp_path / "run" / "metrics.json").exists()
    # the last part in another folder: the best epoch, and what it scored, come along
    trainings.finish(tmp_path / "other", last)
    assert_same(tmp_path / "other", trainings)


@pytest.mark.long
def test_killed_at_any_moment(trainings, tmp_path):
    """Also while it starts, while it writes a checkpoint, and while it scores."""
    began = time.monotonic()
    trainings.finish(tmp_path / "timed")
    length, moment = time.monotonic() - began, random.Random(7)
    for attempt in range(9):
        folder, kills = tmp_path / f"run_{attempt}", 0
        while kills < 6:
            process = trainings.start(folder, folder / "checkpoints" / "last.ckpt")
            process.join(moment.uniform(0.2, 1.0) * length)
            if not process.is_alive():
                assert process.exitcode == 0
                break
            process.kill()
            process.join()
            kills += 1
            for path in folder.glob("checkpoints/*.ckpt"):
                torch.load(path, weights_only=True)  # none is broken
        else:
            trainings.finish(folder, folder / "checkpoints" / "last.ckpt")
        assert kills
        assert_same(folder, trainings)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path, files = tmp_path / "checkpoints" / "last.ckpt", WholeFiles()
    files.save_checkpoint({"state_dict": {"w": torch.ones(3)}}, path)

    def full(self, content):
        self.open("wb").write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        files.save_checkpoint({"state_dict": {"w": torch.zeros(3)}}, path)
    assert torch.load(path, weights_only=True)["state_dict"]["w"].sum() == 3
    assert [one.name for one in path.parent.iterdir()] == ["last.ckpt"]
