"""A user's mistakes, through the console: one line that names file, value and remedy; never a traceback."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from drpnet import schema
from drpnet.cli import app
from drpnet.cli.app import user_errors
from drpnet.io.coordinates import read_coordinates
from drpnet.io.micrographs import write_micrograph
from drpnet.model import Model, save_model
from drpnet.networks import FCRN, PatchClassifier

ROOT = Path(__file__).resolve().parents[1]
SIZE, PIXEL_SIZE, DIAMETER = 128, 5.0, 100


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    networks = {
        "fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"width": 4}},
        "classifier": {"name": "drpnet.networks.PatchClassifier", "arguments": {}},
    }
    save_model(Model(FCRN(width=4), PatchClassifier(), architectures=networks), path)
    return path


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).normal(100, 10, (SIZE, SIZE)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, image) -> Path:
    """One good micrograph."""
    write_micrograph(tmp_path / "mics" / "good.mrc", image, PIXEL_SIZE)
    return tmp_path / "mics"


def drpnet(capsys, *arguments: object) -> tuple[int, str]:
    """Exit status and what went to standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        app([str(argument) for argument in arguments])
    return int(stop.value.code or 0), capsys.readouterr().err


def pick(capsys, weights, micrographs, *options: object) -> tuple[int, str]:
    out = Path(str(weights)).parent / f"picks{np.random.default_rng().integers(1 << 40)}"
    where = () if "--out" in options else ("--out", out)
    size = () if "--diameter" in options else ("--diameter", DIAMETER)
    return drpnet(capsys, "pick", micrographs, "--weights", weights, "--device", "cpu", *where, *size, *options)


def complaint(found: tuple[int, str], *words: object) -> None:
    """The run failed with one line that holds all the words."""
    status, text = found
    assert status == 2, text
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and text.splitlines()[-1] == lines[0]
    assert "Traceback" not in text
    for word in words:
        assert str(word) in lines[0]


def truncated(path: Path, image: np.ndarray) -> None:
    write_micrograph(path, image, PIXEL_SIZE)
    path.write_bytes(path.read_bytes()[:-5000])


def foreign(path: Path, image: np.ndarray) -> None:
    path.write_bytes(b"this is no micrograph " * 200)


def empty(path: Path, image: np.ndarray) -> None:
    path.write_bytes(b"")


def with_nan(path: Path, image: np.ndarray) -> None:
    bad = image.copy()
    bad[3, 4:7] = np.nan
    write_micrograph(path, bad, PIXEL_SIZE)


def constant(path: Path, image: np.ndarray) -> None:
    write_micrograph(path, np.full_like(image, 7), PIXEL_SIZE)


def tiny(path: Path, image: np.ndarray) -> None:
    write_micrograph(path, image[:40, :40], PIXEL_SIZE)


def smaller_than_a_particle(path: Path, image: np.ndarray) -> None:
    write_micrograph(path, image[:, :12], PIXEL_SIZE)


def without_pixel_size(path: Path, image: np.ndarray) -> None:
    with mrcfile.new(path) as mrc:
        mrc.set_data(image)


def with_pixel_size_one(path: Path, image: np.ndarray) -> None:
    write_micrograph(path, image, 1.0)


def stack(path: Path, image: np.ndarray) -> None:
    with mrcfile.new(path) as mrc:
        mrc.set_data(np.stack([image, image]))


BAD = {
    truncated: ("cut short", "copy it again"),
    foreign: ("no MRC file",),
    empty: ("empty", "copy it again"),
    with_nan: ("3 pixels", "NaN"),
    constant: ("constant", "7", "leave this micrograph out"),
    tiny: ("40 x 40", "64 px patch", "check the diameter"),
    smaller_than_a_particle: ("100 Angstrom", "20 px", "128 x 12", "--diameter"),
    without_pixel_size: ("pixel size", "--pixel-size"),
    with_pixel_size_one: ("pixel size", "--pixel-size"),
    stack: ("2 images", "single micrographs"),
}


@pytest.mark.filterwarnings("ignore:Data array contains NaN")
@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_a_bad_micrograph_alone(capsys, tmp_path, weights, image, spoil):
    bad = tmp_path / "bad.mrc"
    spoil(bad, image)
    complaint(pick(capsys, weights, bad), bad, *BAD[spoil])


@pytest.mark.filterwarnings("ignore:Data array contains NaN")
def test_bad_micrographs_among_others(capsys, tmp_path, weights, image, folder):
    bad = {folder / f"{spoil.__name__}.mrc": words for spoil, words in BAD.items()}
    for spoil, path in zip(BAD, bad, strict=True):
        spoil(path, image)
    write_micrograph(folder / "zz_later.mrc", image[::-1], PIXEL_SIZE)
    out = tmp_path / "picks"
    status, text = pick(capsys, weights, folder, "--out", out)
    assert status == 1 and "Traceback" not in text
    told = [line for line in text.splitlines() if line.startswith("not picked ")]
    assert len(told) == len(bad)
    for path, words in bad.items():
        assert sum(all(str(word) in line for word in (path, *words)) for line in told) == 1
    picked = ["good_autopick.star", "zz_later_autopick.star"]
    assert sorted(path.name for path in out.glob("*_autopick.star")) == picked
    # mended, the same command picks what was left
    for path in bad:
        write_micrograph(path, image, PIXEL_SIZE)
    assert pick(capsys, weights, folder, "--out", out)[0] == 0
    assert len(list(out.glob("*_autopick.star"))) == len(bad) + 2


def test_a_given_pixel_size_replaces_a_missing_one(capsys, tmp_path, weights, image):
    with_pixel_size_one(tmp_path / "a.mrc", image)
    assert pick(capsys, weights, tmp_path / "a.mrc", "--pixel-size", PIXEL_SIZE)[0] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--diameter", 5000), ("good.mrc", "5000 Angstrom", "1000 px", "128 x 128", "--diameter")),
        (("--diameter", 10), ("good.mrc", "10 Angstrom", "2.0 px", "--diameter")),
        (("--diameter", -5), ("particle_diameter", "-5", "above 0")),
        (("--diameter", "nan"), ("particle_diameter", "nan", "above 0")),
        (("--diameter", "inf"), ("particle_diameter", "inf", "a number")),
        (("--pixel-size", 0), ("pixel_size", "0", "above 0")),
        (("--pixel-size", "inf"), ("pixel_size", "inf", "a number")),
        (("--workers", 0), ("workers", "0", "above 0")),
        (("--box-size", -2), ("box_size", "-2", "above 0")),
        (("--min-distance", -1), ("min_distance", "-1", "0 or more")),
        (("--min-distance", "inf"), ("min_distance", "inf", "Angstrom")),
        (("--out", "it's"), ("it's", "quote", "another name")),
        (("--out", ""), ("empty", "name the file or folder")),
        (("--threshold", "high"), ("threshold", "'high'", "0 to 1")),
        (("--threshold", 1.5), ("threshold", "'1.5'", "0 to 1")),
        (("--preset", "loose"), ("preset", "'loose'", "balanced")),
        (("--profile", "papr"), ("profile/papr", "paper", "released")),
        (("--device", "cuda:99"), ("cuda:99", "--device cpu")),
        (("--device", "gpu"), ("'gpu'", "--device cpu")),
        (("--adapt", 1, "--no-classifier"), ("adapt", "leave one of the two away")),
    ],
)
def test_a_setting_that_cannot_work(capsys, weights, folder, options, words):
    complaint(pick(capsys, weights, folder, *options), *words)


def test_micrographs_that_are_not_there(capsys, tmp_path, weights):
    (tmp_path / "nothing").mkdir()
    complaint(pick(capsys, weights, tmp_path / "nowhere"), tmp_path / "nowhere", "does not exist")
    complaint(pick(capsys, weights, tmp_path / "nothing"), tmp_path / "nothing", "no micrographs")
    complaint(pick(capsys, weights, tmp_path / "*.mrc"), "*.mrc", "matches no file")
    complaint(pick(capsys, weights, ""), "micrographs", "empty", "name the folder")
    star = tmp_path / "micrographs.star"
    star.write_text("data_\n\nloop_\n_rlnMicrographName #1\nMicrographs/gone.mrc\n")
    complaint(pick(capsys, weights, star), star, "Micrographs/gone.mrc")
    star.write_text("data_\n\nloop_\n_rlnImageName #1\ngone.mrcs\n")
    complaint(pick(capsys, weights, star), star, "rlnMicrographName")


def test_weights_that_are_none(capsys, tmp_path, weights, folder):
    complaint(pick(capsys, "nosuch", folder), "'nosuch'", ".safetensors")
    checkpoint = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}}, checkpoint)
    complaint(pick(capsys, checkpoint, folder), checkpoint, "not a safetensors file", "weights.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:-100])
    complaint(pick(capsys, cut, folder), cut, "train.py")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"layer": torch.zeros(3)}, foreign)
    complaint(pick(capsys, foreign, folder), foreign, "no drpnet model", "train.py")


def test_a_folder_that_holds_other_picks(capsys, tmp_path, weights, folder, image):
    out = tmp_path / "picks"
    assert pick(capsys, weights, folder, "--out", out)[0] == 0
    again = pick(capsys, weights, folder, "--out", out, "--diameter", 120)
    complaint(again, out, "particle_diameter", "100", "120", "--out")
    write_micrograph(tmp_path / "others" / "good.mrc", image, PIXEL_SIZE)
    complaint(pick(capsys, weights, tmp_path / "others", "--out", out), "good.mrc", "--out")
    (out / "run.json").write_text("{}")
    complaint(pick(capsys, weights, folder, "--out", out), out / "run.json", "new folder")
    complaint(drpnet(capsys, "threshold", tmp_path / "mics", "--at", 0.5), "run.json", "drpnet pick")
    complaint(pick(capsys, weights, folder, "--out", folder / "good.mrc"), folder / "good.mrc", "folder")
    below = folder / "good.mrc" / "picks"
    complaint(pick(capsys, weights, folder, "--out", below), below, "Not a directory", "check the path")


def test_a_micrograph_without_picks_gives_a_valid_star(capsys, tmp_path, weights, folder):
    out = tmp_path / "picks"
    assert pick(capsys, weights, folder, "--out", out, "--threshold", 1)[0] == 0
    assert read_coordinates(out / "good_autopick.star").centres.shape == (0, 2)
    assert "_rlnAutopickFigureOfMerit" in (out / "particles.star").read_text()


def test_coordinates_of_another_micrograph(capsys, tmp_path, image):
    data = tmp_path / "data"
    for name in ("a", "b", "c"):
        write_micrograph(data / "micrographs" / f"{name}.mrc", image, PIXEL_SIZE)
    labels = data / "labels"
    labels.mkdir()
    for name in ("a", "b", "c"):
        (labels / f"{name}.csv").write_text("x,y\n10,10\n900,20\n")
    facts = {
        "name": "mine",
        "root": data,
        "coordinates": "labels",
        "particle_diameter": DIAMETER,
        "limit": 0,
        "first": 0,
    }
    facts |= {"micrographs": "'micrographs/*.mrc'", "pixel_size": "null"}
    overrides = [f"dataset.{key}={value}" for key, value in facts.items()]
    from drpnet.train import train  # takes seconds to import

    # what would lie in the run folder of hydra.main
    overrides += ["logger=none", f"callbacks.checkpoint.dirpath={tmp_path}"]
    config = schema.compose_config("train", overrides)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop, user_errors():
        train(config, tmp_path / "run")
    complaint((int(stop.value.code or 0), capsys.readouterr().err), "x 900", "128 x 128", "another micrograph")


def script(name: str, *arguments: str) -> tuple[int, str]:
    """Run a script of the top level in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(ROOT / name), *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    return done.returncode, done.stderr


def test_a_typo_on_the_command_line_of_pick_py():
    complaint(script("pick.py", "micrographs=a", "particle_diamter=3"), "particle_diamter", "particle_diameter?")


def test_a_typo_on_the_command_line_of_train_py():
    complaint(script("train.py", "trainer.max_epoch=3"), "trainer.max_epoch", "max_epochs?")


def test_a_typo_in_a_yaml(capsys, tmp_path, monkeypatch, weights, folder):
    """A changed conf/ is found and the file is named."""
    conf = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", conf)
    text = (conf / "pick.yaml").read_text()
    (conf / "pick.yaml").write_text(text.replace("\nhydra:", "\ntreshold: 0.3\n\nhydra:"))
    monkeypatch.setattr(schema, "conf_folder", lambda: conf)
    complaint(pick(capsys, weights, folder), "pick", "treshold", "did you mean threshold?")


def test_coordinates_that_cannot_be_scored(capsys, tmp_path):
    picks, truth = tmp_path / "picks", tmp_path / "truth"
    for place, name in ((picks, "a"), (truth, "b")):
        place.mkdir()
        (place / f"{name}.csv").write_text("x,y\n1,2\n")
    complaint(drpnet(capsys, "evaluate", picks, truth, "--radius-px", 3), "'a'", "'b'")
    complaint(drpnet(capsys, "evaluate", picks, truth), "--radius-px", "--diameter-px")
    (truth / "b.csv").write_text("x,y\n1,two\n")
    complaint(drpnet(capsys, "evaluate", picks, truth, "--radius-px", 3), truth / "b.csv", "two")


def test_a_score_that_would_mean_nothing(capsys, tmp_path, image):
    labels = tmp_path / "truth"
    labels.mkdir()
    (labels / "a.csv").write_text("x,y\n10,20\n")
    write_micrograph(tmp_path / "micrographs" / "a.mrc", image, PIXEL_SIZE)
    wide = drpnet(capsys, "evaluate", labels, labels, "--radius-px", 3, "--border-px", 64)
    complaint(wide, "border of 64 px", "a (128 x 128 px)", "give less")
    far = tmp_path / "far"
    far.mkdir()
    (far / "a.csv").write_text("x,y\n10,1e300\n")
    complaint(drpnet(capsys, "evaluate", far, labels, "--radius-px", 3), "a: picks number 1", "1e+300", "remove")
    complaint(drpnet(capsys, "evaluate", labels, "", "--radius-px", 3), "empty", "name the file or folder")
    into = drpnet(capsys, "evaluate", labels, labels, "--radius-px", 3, "--json", tmp_path / "micrographs")
    complaint(into, tmp_path / "micrographs", "Is a directory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "micrographs", "truth"]


def test_a_simulation_that_cannot_be(capsys, tmp_path, monkeypatch):
    def simulate(*arguments):
        return drpnet(capsys, "simulate", "trpv1", *arguments)

    out = tmp_path / "sim"
    complaint(simulate("--out", out, "micrographs"), "'micrographs'", "KEY=VALUE")
    complaint(simulate("--out", out, "dos=3"), "dos", "did you mean dose?")
    complaint(simulate("--out", out, "snr_range=0.1"), "snr_range", "[1,2]")
    complaint(simulate("--out", out, "height=x"), "height", "'x'")
    (tmp_path / "file").touch()
    small = ("micrographs=1", "height=64", "width=64", "pixel_size=12", "particles_per_micrograph=1")
    complaint(simulate("--out", tmp_path / "file" / "sim", *small), tmp_path / "file", "check the path")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    complaint(simulate("--out", ".", *small), "current folder", "new folder")
    (tmp_path / "link").symlink_to("here")
    monkeypatch.chdir(tmp_path)
    assert simulate("--out", "link", "dose=7", *small)[0] == 0  # a parameter that the preset does not name
    assert json.loads((tmp_path / "here" / "simulation.json").read_text())["parameters"]["dose"] == 7
    assert (tmp_path / "link").is_symlink()
