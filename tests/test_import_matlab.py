"""The published FCRN from its MATLAB file: the same numbers as in MATLAB's own conventions, and clear refusals."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from drpnet.cli import app
from drpnet.errors import InputError
from drpnet.import_matlab import SEQUENCE, import_matlab, torch_kernels, without_subnormals
from drpnet.io.matlab import read_network
from drpnet.model import load_model, shipped_weights

WIDTH = 3
SHAPES = {"conv_1": (9, 9, 1, WIDTH), "conv_2": (3, 3, WIDTH, WIDTH), "conv_3": (1, 7, WIDTH, WIDTH),
          "conv_4": (7, 1, WIDTH, WIDTH), "conv_5": (3, 3, WIDTH, 1)}  # fmt: skip
"""Kernels as MATLAB has them: rows, columns, in, out."""


def layers(seed: int = 0) -> dict[str, dict]:
    """The published layers with other weights, in MATLAB's axis order."""
    rng = np.random.default_rng(seed)
    result: dict[str, dict] = {}
    for name in SEQUENCE:
        if name == "imageinput":
            result[name] = {"InputSize": [64, 64, 1], "Normalization": None}
        elif name.startswith("conv"):
            rows, columns, _, outputs = SHAPES[name]
            result[name] = {
                "FilterSize": [rows, columns], "Stride": [1, 1], "DilationFactor": [1, 1],
                "PaddingSize": [rows // 2, rows // 2, columns // 2, columns // 2],
                "Weights": rng.normal(0, 0.4, SHAPES[name]).astype(np.float32),
                "Bias": rng.normal(0, 0.2, (1, 1, outputs)).astype(np.float32),
            }  # fmt: skip
        elif name == "pooling_1":
            result[name] = {"PoolSize": [2, 2], "Stride": [1, 1], "PaddingSize": [0, 1, 0, 1]}
        else:
            result[name] = {}
    return result


def store(group: h5py.Group, name: str, value: object) -> None:
    """A property as MATLAB writes it to HDF5: axes reversed, last axes of 1 dropped, vectors as columns."""
    kind = b"double"
    if value is None:
        item = group.create_dataset(name, data=np.array([1, 0], np.uint64))
        item.attrs["MATLAB_empty"] = np.uint8(1)
    elif isinstance(value, str):
        item, kind = group.create_dataset(name, data=np.array([[ord(c)] for c in value], np.uint16)), b"char"
    elif isinstance(value, np.ndarray):
        shape = value.shape
        while len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        item, kind = group.create_group(name), b"struct"
        item.create_dataset("Value", data=value.reshape(shape).T)
    else:
        item = group.create_dataset(name, data=np.array([value], float).T)
    item.attrs["MATLAB_class"] = np.bytes_(kind)


def write_mat(path: Path, of: dict[str, dict], kind: bytes = b"SeriesNetwork") -> Path:
    """A MATLAB v7.3 file with a network, laid out as the published one."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("cnet", data=np.zeros((1, 6), np.uint32)).attrs["MATLAB_class"] = np.bytes_(kind)
        saved = file.create_group("#refs#")
        references = [saved.create_dataset("head", data=np.zeros((1, 8), np.uint8)).ref]
        for i, (name, properties) in enumerate(of.items()):
            group = saved.create_group(f"{len(of) - i:03d}")  # their names in the file are in no order
            store(group, "Name", name)
            for key, value in properties.items():
                store(group, key, value)
            references.append(group.ref)
        file["#subsystem#/MCOS"] = np.array([references], h5py.ref_dtype)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: TEST".ljust(128))
    return path


def matlab_answer(image: np.ndarray, of: dict[str, dict]) -> np.ndarray:
    """The map of an image (h, w) by loops over kernel positions, in MATLAB's axis order and its documented operations."""
    x = image[:, :, None].astype(float)
    for name, layer in of.items():
        if name.startswith("conv"):
            kernels, (top, bottom, left, right) = layer["Weights"].astype(float), layer["PaddingSize"]
            padded = np.pad(x, ((top, bottom), (left, right), (0, 0)))
            y = np.zeros((*x.shape[:2], kernels.shape[3])) + layer["Bias"].reshape(-1)
            for row in range(kernels.shape[0]):
                for column in range(kernels.shape[1]):
                    window = padded[row : row + x.shape[0], column : column + x.shape[1]]
                    y += np.tensordot(window, kernels[row, column], axes=1)
            x = y
        elif name.startswith("relu"):
            x = np.maximum(x, 0)
        elif name.startswith("pooling"):
            padded = np.pad(x, ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
            x = np.max([padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]], axis=0)
    return x[:, :, 0]


def test_the_imported_network_answers_as_matlab_would(tmp_path):
    of = layers()
    import_matlab(write_mat(tmp_path / "net.mat", of), tmp_path / "W.safetensors")
    fcrn = load_model(tmp_path / "W.safetensors").fcrn
    assert fcrn is not None
    image = np.random.default_rng(1).random((23, 31)).astype(np.float32)
    with torch.inference_mode():
        found = fcrn(torch.from_numpy(image)[None, None])[0, 0].numpy()
    expected = matlab_answer(image, of)
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_kernels_lose_no_axis_and_are_not_turned():
    weights = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    found = torch_kernels(weights)
    assert found.shape == (5, 4, 2, 3) and found[4, 3, 1, 2] == weights[1, 2, 3, 4] and found[0, 0, 0, 1] == weights[0, 1, 0, 0]
    assert torch_kernels(weights[..., 0]).shape == (1, 4, 2, 3)


def test_subnormal_weights_become_zero_and_nothing_else_changes():
    values = np.array([1e-41, -3e-40, 1.2e-38, -0.5, 0, 7], np.float32)
    np.testing.assert_array_equal(without_subnormals(values), np.array([0, 0, 1.2e-38, -0.5, 0, 7], np.float32))


def test_the_model_picks_as_released_and_says_whose_it_is(tmp_path, capsys):
    source = write_mat(tmp_path / "net.mat", layers())
    with pytest.raises(SystemExit) as stop:
        app(["import-matlab", str(source), "--out", str(tmp_path / "new" / "W.safetensors")])
    assert not stop.value.code
    shown = " ".join(capsys.readouterr().out.split())
    assert "academic use only" in shown and "--profile released" in shown and "--no-classifier" in shown
    model = load_model(tmp_path / "new" / "W.safetensors")
    assert model.preprocess.scale_rule == "released" and model.detection.normalise_map
    assert model.classifier is None and model.architectures["fcrn"]["arguments"] == {"width": WIDTH}
    origin = model.provenance["fcrn"]
    assert origin["imported_from"] == "net.mat" and "University of Missouri" in origin["licence"]
    assert len(origin["sha256"]) == 64


def test_every_candidate_passes_every_preset(tmp_path):
    from drpnet.calibration import Scores
    from drpnet.cascade import Picker
    from drpnet.config import PRESETS

    model = import_matlab(write_mat(tmp_path / "net.mat", layers()), tmp_path / "W.safetensors")
    heights = np.linspace(0, 1, 11)
    merit = Picker(model).figure_of_merit(Scores(heights, np.full(11, np.nan), 0.0, 0.5))
    assert merit.min() >= max(PRESETS.values()) and (np.diff(merit) > 0).all()


def refused(path: Path, tmp_path: Path) -> str:
    with pytest.raises(InputError) as error:
        import_matlab(path, tmp_path / "W.safetensors")
    assert not (tmp_path / "W.safetensors").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_that_is_none_is_refused(tmp_path):
    old = tmp_path / "old.mat"
    old.write_bytes(b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(128) + bytes(400))
    assert "v5 to v7" in refused(old, tmp_path) and "-v7.3" in refused(old, tmp_path)
    text = tmp_path / "text.mat"
    text.write_text("weights")
    assert "text.mat is no MATLAB file" in refused(text, tmp_path)
    assert "nowhere.mat is no file" in refused(tmp_path / "nowhere.mat", tmp_path)
    assert "is no file" in refused(tmp_path, tmp_path)


def test_a_file_that_is_not_whole_is_refused(tmp_path):
    whole = write_mat(tmp_path / "net.mat", layers()).read_bytes()
    for length in (600, len(whole) // 2, len(whole) - 100):
        part = tmp_path / "part.mat"
        part.write_bytes(whole[:length])
        assert "part.mat cannot be read" in refused(part, tmp_path) and "fetch it again" in refused(part, tmp_path)


def test_other_content_is_refused(tmp_path):
    path = write_mat(tmp_path / "net.mat", layers(), b"DAGNetwork")
    assert "cnet (DAGNetwork), not one SeriesNetwork" in refused(path, tmp_path)
    with h5py.File(path, "r+") as file:
        del file["cnet"]
    assert "holds nothing" in refused(path, tmp_path)


@pytest.mark.parametrize(
    ("layer", "key", "value", "message"),
    [
        ("conv_3", "FilterSize", [7, 1], r"layer conv_3 has FilterSize \[7, 1\], the FCRN has \[1, 7\]"),
        ("conv_1", "PaddingSize", [0, 0, 0, 0], "conv_1 has PaddingSize"),
        ("conv_2", "Stride", [2, 2], "conv_2 has Stride"),
        ("conv_2", "DilationFactor", None, "conv_2 has DilationFactor"),
        ("pooling_1", "PaddingSize", [1, 0, 1, 0], r"pooling_1 has PaddingSize \[1, 0, 1, 0\]"),
        ("pooling_1", "PoolSize", [4, 4], "pooling_1 has PoolSize"),
        ("imageinput", "Normalization", "zerocenter", "Normalization 'zerocenter'"),
        ("conv_4", "Weights", np.zeros((7, 1, WIDTH, WIDTH + 1), np.float32), "Weights of layer conv_4 has shape"),
        ("conv_4", "Weights", None, "Weights of layer conv_4 has shape"),
        ("conv_5", "Bias", np.zeros((1, 1, 2), np.float32), "Bias of layer conv_5 has shape"),
        ("conv_5", "Bias", np.full((1, 1, 1), np.nan, np.float32), "Bias of layer conv_5 is not finite"),
    ],
)
def test_another_network_is_refused(tmp_path, layer, key, value, message):
    of = layers()
    of[layer][key] = value
    with pytest.raises(InputError, match=message):
        import_matlab(write_mat(tmp_path / "net.mat", of), tmp_path / "W.safetensors")


def test_another_sequence_of_layers_is_refused(tmp_path):
    of = layers()
    swapped = {name: of[name] for name in sorted(of)}
    assert "another network (conv_1, conv_2" in refused(write_mat(tmp_path / "net.mat", swapped), tmp_path)
    del of["relu_4"]
    assert "another network" in refused(write_mat(tmp_path / "net.mat", of), tmp_path)


@pytest.mark.parametrize("name", ["W.mat", "W", "folder.safetensors"])
def test_an_out_that_is_no_model_file_is_refused(tmp_path, name):
    (tmp_path / "folder.safetensors").mkdir()
    source = write_mat(tmp_path / "net.mat", layers())
    with pytest.raises(InputError, match=r"--out is .*safetensors"):
        import_matlab(source, tmp_path / name)


@pytest.fixture
def published(shared_real) -> Path:
    return shared_real / "drpnet2019_weights" / "cnet_1.mat"


@pytest.mark.real
def test_the_published_file_is_read_in_order(published, tmp_path):
    found = read_network(published)
    assert tuple(layer.name for layer in found) == SEQUENCE
    model = import_matlab(published, tmp_path / "W.safetensors")
    assert model.fcrn is not None
    assert sum(weight.numel() for weight in model.fcrn.parameters()) == 26_561
    of = {layer.name: dict(layer.properties) for layer in found}
    for layer in of.values():
        if "Weights" in layer:
            shape = layer["Weights"].shape
            layer["Weights"] = layer["Weights"].reshape(shape + (1,) * (4 - len(shape)))
            layer["PaddingSize"] = layer["PaddingSize"].ravel().astype(int)
    rows, columns = np.mgrid[:48, :56]
    image = (0.55 - 0.2 * np.exp(-((rows - 20) ** 2 + (columns - 30) ** 2) / 128)).astype(np.float32)
    with torch.inference_mode():
        answer = model.fcrn(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(answer, matlab_answer(image, of), atol=1e-5)
    # dark particles on a bright ground; the inner map, since the zeros around the image are darker than any particle
    inner = answer[10:-10, 10:-10]
    peak = np.unravel_index(inner.argmax(), inner.shape)
    assert inner.max() > 0.1 and np.abs(np.array(peak) + 10 - [20, 30]).max() <= 3


@pytest.mark.real
def test_what_is_shipped_is_not_the_authors(published, tmp_path):
    theirs = import_matlab(published, tmp_path / "W.safetensors").fcrn
    assert theirs is not None
    for path in shipped_weights().values():
        ours = load_model(path)
        assert ours.fcrn is not None and "imported_from" not in str(ours.provenance)
        for kernels in ours.fcrn.parameters():
            assert not any(torch.equal(kernels, other) for other in theirs.parameters())
