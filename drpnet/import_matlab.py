"""The FCRN that the authors published (MATLAB) as a model file of ours: `drpnet import-matlab`.

The weights are the authors' and under their licence; nothing of this package is initialised from them or trained on their
answers. They serve to run the released pipeline beside this one.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from drpnet.calibration import FigureOfMerit
from drpnet.errors import InputError
from drpnet.io.matlab import MatlabLayer, read_network
from drpnet.model import Calibration, Model, save_model
from drpnet.networks import FCRN
from drpnet.schema import compose_config, pick_settings

LICENCE = (
    "DRPnet 2018-2020 by Nguyen, Ersoy, Bunyak, White and The Curators of University of Missouri: for academic use only, "
    "under the licence that comes with the authors' release"
)
SEQUENCE = (
    "imageinput", "conv_1", "relu_1", "conv_2", "relu_2", "conv_3", "relu_3", "conv_4", "relu_4", "pooling_1", "conv_5",
)  # fmt: skip
"""The layers of the published network, whose names tell their kinds."""
POOLING: dict[str, tuple[int, ...]] = {"PoolSize": (2, 2), "Stride": (1, 1), "PaddingSize": (0, 1, 0, 1)}
"""Padding is top, bottom, left, right."""
KEEPS_ALL = Calibration(detector=FigureOfMerit(0.5, (4.0, 4.0)))
"""The figure of merit rises with the height of the peak and lies above every preset: the released code keeps all."""


def import_matlab(source: Path, out: Path) -> Model:
    """Write the published FCRN as a model file that picks as the released code does; returns the model.

    Raises InputError when `source` is not such a network or `out` is no name for a model file.
    """
    source, out = Path(source), Path(out)
    if out.suffix != ".safetensors" or out.is_dir():
        raise InputError(f"--out is {out}; name a file that ends in .safetensors")
    network = build_fcrn(source, read_network(source))
    placeholders = ["micrographs=none", "out=none", "particle_diameter=1"]
    released = pick_settings(compose_config("pick", [*placeholders, "profile=released"]))
    provenance = {
        "data": "EMPIAR-10005, by the authors of DRPnet (2019)",
        "imported_from": source.name,
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "licence": LICENCE,
    }
    width = network.conv_1.out_channels
    model = Model(
        fcrn=network.eval(),
        preprocess=released.preprocess,
        detection=released.detection,
        calibration=KEEPS_ALL,
        architectures={"fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"width": width}}},
        provenance={"fcrn": provenance},
    )
    save_model(model, out)
    return model


def build_fcrn(path: Path, layers: list[MatlabLayer]) -> FCRN:
    """The FCRN with the weights of MATLAB layers; InputError when they are another network."""
    names = tuple(layer.name for layer in layers)
    if names != SEQUENCE:
        raise InputError(
            f"{path} holds another network ({', '.join(names) or 'no layers'}), not {', '.join(SEQUENCE)}; "
            "give cnet_1.mat of the DRPnet release"
        )
    by_name = {layer.name: layer.properties for layer in layers}
    if by_name["imageinput"].get("Normalization") is not None:
        raise InputError(
            f"{path}: layer imageinput has Normalization {by_name['imageinput']['Normalization']!r}, the FCRN takes its image "
            "as it is; train or save the network with 'none'"
        )
    _require(path, "pooling_1", by_name["pooling_1"], POOLING)
    network = FCRN(width=torch_kernels(by_name["conv_1"].get("Weights")).shape[0])
    for name, module in network.named_children():
        assert isinstance(module, nn.Conv2d)
        _load(path, name, module, by_name[name])
    return network


def _load(path: Path, name: str, module: nn.Conv2d, properties: dict[str, Any]) -> None:
    """Copy the weights of a MATLAB layer into a convolution; InputError unless it is the same convolution."""
    rows, columns = (int(padding) for padding in module.padding)
    expected = {
        "FilterSize": module.kernel_size,
        "PaddingSize": (rows, rows, columns, columns),
        "Stride": module.stride,
        "DilationFactor": module.dilation,
    }
    _require(path, name, properties, expected)
    kernels, biases = torch_kernels(properties.get("Weights")), np.ravel(np.asarray(properties.get("Bias"), np.float32))
    assert module.bias is not None
    for key, found, parameter in (("Weights", kernels, module.weight), ("Bias", biases, module.bias)):
        if found.shape != tuple(parameter.shape):
            raise InputError(
                f"{path}: {key} of layer {name} has shape {found.shape}, the FCRN has {tuple(parameter.shape)}; "
                "give cnet_1.mat of the DRPnet release"
            )
        if not np.isfinite(found).all():
            raise InputError(f"{path}: {key} of layer {name} is not finite everywhere; fetch the file again")
        parameter.data = torch.from_numpy(without_subnormals(found))


def torch_kernels(weights: Any) -> np.ndarray:
    """MATLAB's kernels (rows, columns, in[, out]) as torch's (out, in, rows, columns).

    MATLAB drops a last axis of 1. Both correlate, so nothing is turned round.
    """
    weights = np.asarray(weights, np.float32)
    return weights.reshape(weights.shape + (1,) * (4 - weights.ndim)).transpose(3, 2, 0, 1)


def without_subnormals(values: np.ndarray) -> np.ndarray:
    """float32 values with 0 for the subnormal ones.

    Weight decay has left most of the published weights subnormal; they add nothing and make a processor ten times slower.
    """
    values = np.asarray(values, np.float32)
    return np.ascontiguousarray(np.where(np.abs(values) < np.finfo(np.float32).tiny, np.float32(0), values))


def _require(path: Path, name: str, properties: dict[str, Any], expected: dict[str, tuple[int, ...]]) -> None:
    """Raise InputError unless a layer's properties have these values."""
    for key, wanted in expected.items():
        found = np.ravel(np.asarray(properties.get(key))).tolist()
        if found != list(wanted):
            shown = [int(value) if isinstance(value, float) and value.is_integer() else value for value in found]
            raise InputError(
                f"{path}: layer {name} has {key} {shown}, the FCRN has {list(wanted)}; give cnet_1.mat of the DRPnet release"
            )
