"""A trained cascade as one file: safetensors with everything that picking needs to know beside the tensors.

The file's metadata hold, as JSON, the networks' names and arguments, the preprocessing, the detection
settings, the calibration of the figure of merit and where the weights come from. Nothing in it is executed:
only networks of this package are built from a file; any other network is passed in by the caller.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from drpnet.calibration import FigureOfMerit
from drpnet.config import DetectionConfig, PatchConfig, PreprocessConfig
from drpnet.errors import InputError
from drpnet.io.atomic import write_bytes
from drpnet.networks import FCRN, PatchClassifier, UNet

FORMAT = "drpnet-cascade-2"
DEFAULT, CASCADE = "default", "cascade"
"""Shipped weights: those that pick when none are named, and the paper's two networks, trained on simulations."""
ARCHITECTURES: dict[str, type[nn.Module]] = {
    "drpnet.networks.FCRN": FCRN,
    "drpnet.networks.UNet": UNet,
    "drpnet.networks.PatchClassifier": PatchClassifier,
}


@dataclass(frozen=True)
class Calibration:
    """The figure of merit of the first network alone, and of the cascade."""

    detector: FigureOfMerit = field(default_factory=FigureOfMerit)
    cascade: FigureOfMerit = field(default_factory=lambda: FigureOfMerit(height=(10.0, 10.0), classifier=0.5))


@dataclass(frozen=True)
class Model:
    """The trained networks with the settings that they were trained for."""

    fcrn: nn.Module | None = None
    classifier: nn.Module | None = None
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    calibration: Calibration = field(default_factory=Calibration)
    architectures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """For `fcrn` and `classifier`: {"name": dotted name, "arguments": {...}}."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Data, command, commit and metrics of the training."""


def save_model(model: Model, path: Path) -> None:
    """Write a model as safetensors, whole or not at all."""
    tensors = {}
    for part in ("fcrn", "classifier"):
        network = getattr(model, part)
        if network is not None:
            for key, value in network.state_dict().items():
                tensors[f"{part}.{key}"] = value.detach().cpu().contiguous()
    settings = {
        "format": FORMAT,
        "architectures": model.architectures,
        "preprocess": dataclasses.asdict(model.preprocess),
        "detection": dataclasses.asdict(model.detection),
        "patches": dataclasses.asdict(model.patches),
        "calibration": dataclasses.asdict(model.calibration),
        "provenance": model.provenance,
    }
    write_bytes(Path(path), save(tensors, metadata={"drpnet": json.dumps(settings)}))


def shipped_weights() -> dict[str, Path]:
    """Names and paths of the weights that come with the package."""
    folder = Path(str(resources.files("drpnet") / "weights"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def find_weights(name_or_path: str | Path) -> Path:
    """The file of shipped weights of that name, or the path itself; InputError when there is neither."""
    shipped = shipped_weights()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"no weights {str(name_or_path)!r}: neither a file nor a shipped name "
            f"({', '.join(shipped) or 'none is shipped'}); give a .safetensors file that train.py wrote"
        )
    return path


def load_model(
    name_or_path: str | Path, *, fcrn: nn.Module | None = None, classifier: nn.Module | None = None
) -> Model:
    """Read a model in evaluation mode; `fcrn` / `classifier` are needed for networks from elsewhere.

    Raises InputError for a file that is no model of ours, or whose tensors do not fit its networks.
    """
    path = find_weights(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in list(file.keys())}
    except (SafetensorError, OSError) as error:
        remedy = " (a .ckpt resumes training; the weights to pick with lie beside it as weights.safetensors)"
        raise InputError(
            f"{path} is not a safetensors file: {error}; give --weights a file that train.py wrote"
            + (remedy if path.suffix == ".ckpt" else "")
        ) from None
    try:
        settings = json.loads(metadata["drpnet"])
        if settings["format"] == "drpnet-cascade-1":
            settings |= {"format": FORMAT, "calibration": _of_the_first_format(settings["calibration"])}
        if settings["format"] != FORMAT:
            raise InputError(
                f"{path} has format {settings['format']!r}, this version reads {FORMAT!r}; use the version that wrote it"
            )
        for key in ("architectures", "calibration", "provenance"):
            if not isinstance(settings[key], dict):
                raise TypeError(f"{key!r} is no dict")
        return Model(
            fcrn=_build(path, "fcrn", settings, tensors, fcrn),
            classifier=_build(path, "classifier", settings, tensors, classifier)
            if "classifier" in settings["architectures"]
            else None,
            preprocess=PreprocessConfig(**settings["preprocess"]),
            detection=DetectionConfig(**settings["detection"]),
            patches=PatchConfig(**settings["patches"]),
            calibration=Calibration(**{key: _figure(value) for key, value in settings["calibration"].items()}),
            architectures=settings["architectures"],
            provenance=settings["provenance"],
        )
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(
            f"{path} holds no drpnet model ({type(error).__name__}: {str(error)[:200]}); "
            "give --weights a file that train.py wrote"
        ) from None
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from None


def _of_the_first_format(values: dict[str, Any]) -> dict[str, Any]:
    """The calibration of a file that told no faint micrographs from clear ones: (intercept, slope[, classifier]) each."""
    found = {}
    for name, crowding in zip(("detector", "cascade"), values.get("crowding", (0.0, 0.0)), strict=True):
        intercept, slope, *classifier = values[name]
        facts = {"intercept": intercept, "height": (slope, slope), "crowding": (crowding, crowding), "clarity": 0.0}
        found[name] = {**facts, "classifier": classifier[0] if classifier else 0.0}
    return found


def _figure(values: dict[str, Any]) -> FigureOfMerit:
    height, crowding = ((float(faint), float(clear)) for faint, clear in (values["height"], values["crowding"]))
    return FigureOfMerit(float(values["intercept"]), height, crowding, float(values["clarity"]), float(values["classifier"]))


def _build(
    path: Path, part: str, settings: dict[str, Any], tensors: dict[str, torch.Tensor], given: nn.Module | None
) -> nn.Module:
    """The network `part` with its tensors, in evaluation mode."""
    architecture = settings["architectures"][part]
    if given is None:
        if architecture["name"] not in ARCHITECTURES:
            raise InputError(
                f"{path} was trained with the network {architecture['name']}, which is not part of drpnet; "
                f"name it, with its arguments: pick.py +network.{part}._target_={architecture['name']}"
                + (f", train.py +fcrn_network._target_={architecture['name']}" if part == "fcrn" else "")
            )
        given = _own(path, part, architecture, tensors)
    prefix = f"{part}."
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    try:
        given.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} does not fit the network {architecture['name']}: {first}") from None
    return given.eval()


def _own(path: Path, part: str, architecture: dict[str, Any], tensors: dict[str, torch.Tensor]) -> nn.Module:
    """An untrained network of drpnet; InputError for one that the tensors cannot fill, before it takes any memory."""
    kind, arguments = ARCHITECTURES[architecture["name"]], architecture["arguments"]
    try:
        if int(arguments.get("depth", 0)) > len(tensors):
            raise ValueError("deeper than the file is long")
        with torch.device("meta"):
            needed = sum(tensor.numel() for tensor in kind(**arguments).state_dict().values())
        found = sum(tensor.numel() for key, tensor in tensors.items() if key.startswith(f"{part}."))
        if needed != found:
            raise ValueError(f"it has {needed} numbers, the file {found}")
        return kind(**arguments)
    except (RuntimeError, AttributeError, KeyError, TypeError, ValueError, ArithmeticError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit the network {architecture['name']}: {reason}") from None
