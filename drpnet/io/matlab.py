"""Read the layers of a neural network from a MATLAB v7.3 file, which is HDF5; MATLAB itself is not needed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from drpnet.errors import InputError

_OBJECTS = "#subsystem#/MCOS"
_HEADER = 19  # "MATLAB 5.0 MAT-file" and "MATLAB 7.3 MAT-file"


@dataclass(frozen=True)
class MatlabLayer:
    """A layer: its name and its properties in MATLAB's axis order (first axis fastest in the file, rows before columns).

    Numbers are arrays, text is str, what MATLAB stores as empty is None, and a learnable (`Weights`, `Bias`) is its value.
    """

    name: str
    properties: dict[str, Any]


def read_network(path: Path) -> list[MatlabLayer]:
    """The layers of the one SeriesNetwork of a v7.3 .mat file, input first; InputError for any other file."""
    path = Path(path)
    _check_header(path)
    try:
        with h5py.File(path, "r") as file:
            _require_network(path, file)
            # the saved objects in the order in which the network names them; its layers are those with a name
            objects = [file[reference] for reference in np.ravel(file[_OBJECTS][()])]
            found = [_properties(item) for item in objects if isinstance(item, h5py.Group) and "Name" in item]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:160]
        message = f"{path} cannot be read as a MATLAB v7.3 file ({reason}); is it whole? fetch it again"
        raise InputError(message) from None
    return [MatlabLayer(str(properties["Name"]), properties) for properties in found]


def _check_header(path: Path) -> None:
    """Raise InputError for what is no MATLAB v7.3 file by its first bytes."""
    if not path.is_file():
        raise InputError(f"{path} is no file; give the .mat file of the published network (cnet_1.mat)")
    with path.open("rb") as file:
        start = file.read(_HEADER)
    if start == b"MATLAB 5.0 MAT-file":
        raise InputError(
            f"{path} is a MATLAB v5 to v7 file, only v7.3 can be read; in MATLAB: load it and save(name, 'cnet', '-v7.3')"
        )
    if start != b"MATLAB 7.3 MAT-file":
        raise InputError(f"{path} is no MATLAB file; give the .mat file of the published network (cnet_1.mat)")


def _require_network(path: Path, file: h5py.File) -> None:
    """Raise InputError unless the file holds exactly one variable that is a SeriesNetwork."""
    variables = {
        name: bytes(item.attrs.get("MATLAB_class", b"unknown")).decode()
        for name, item in file.items()
        if not name.startswith("#")
    }
    if list(variables.values()) != ["SeriesNetwork"] or _OBJECTS not in file:
        listed = ", ".join(f"{name} ({kind})" for name, kind in variables.items()) or "nothing"
        raise InputError(f"{path} holds {listed}, not one SeriesNetwork; give cnet_1.mat of the DRPnet release")


def _properties(group: h5py.Group) -> dict[str, Any]:
    return {name: _value(item) for name, item in group.items()}


def _value(item: h5py.Group | h5py.Dataset) -> np.ndarray | str | None:
    """A property: HDF5 reverses MATLAB's axes, hence the transposition."""
    if isinstance(item, h5py.Group):  # a learnable parameter with its learning rate factors
        return _value(item["Value"]) if "Value" in item else None
    if item.attrs.get("MATLAB_empty"):
        return None
    values = item[()]
    if bytes(item.attrs.get("MATLAB_class", b"")) == b"char":
        return "".join(chr(code) for code in np.ravel(values))
    return np.ascontiguousarray(np.transpose(values))
