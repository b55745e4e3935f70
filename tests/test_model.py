import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from drpnet.calibration import FigureOfMerit
from drpnet.config import DetectionConfig, PreprocessConfig
from drpnet.errors import InputError
from drpnet.model import FORMAT, Calibration, Model, load_model, save_model
from drpnet.networks import FCRN, PatchClassifier


def model(**changes) -> Model:
    torch.manual_seed(0)
    facts = {
        "fcrn": FCRN(width=4), "classifier": PatchClassifier(widths=[4, 4, 4, 4]),
        "preprocess": PreprocessConfig(particle_diameter_px=24), "detection": DetectionConfig(threshold=0.07),
        "calibration": Calibration(FigureOfMerit(-1.0, (2.0, 3.0)), FigureOfMerit(-3.0, (4.0, 4.0), (0.1, 0.2), 0.3, 0.5)),
        "provenance": {"fcrn": {"seed": 3}},
        "architectures": {
            "fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"width": 4}},
            "classifier": {"name": "drpnet.networks.PatchClassifier", "arguments": {"widths": [4, 4, 4, 4]}},
        },
    }  # fmt: skip
    return Model(**{**facts, **changes})


def test_a_saved_model_is_the_same_model(tmp_path):
    before = model()
    save_model(before, tmp_path / "m.safetensors")
    after = load_model(tmp_path / "m.safetensors")
    for name in ("preprocess", "detection", "patches", "calibration", "architectures", "provenance"):
        assert getattr(after, name) == getattr(before, name)
    assert not after.fcrn.training and not after.classifier.training
    x = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(after.fcrn(x), before.fcrn.eval()(x))
        assert torch.equal(after.classifier(x), before.classifier.eval()(x))


def test_without_a_classifier(tmp_path):
    architectures = {"fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"width": 4}}}
    save_model(model(classifier=None, architectures=architectures), tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").classifier is None


def test_a_network_from_elsewhere_is_never_imported_but_can_be_given(tmp_path):
    named = {"fcrn": {"name": "os.system", "arguments": {"command": "false"}}}
    save_model(model(classifier=None, architectures=named), tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="os.system.*network.fcrn._target_"):
        load_model(tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors", fcrn=FCRN(width=4)).fcrn is not None
    with pytest.raises(InputError, match="does not fit"):
        load_model(tmp_path / "m.safetensors", fcrn=FCRN(width=8))


@pytest.mark.parametrize(
    "settings",
    [
        "no json", "[]", "{}", json.dumps({"format": "other"}), json.dumps({"format": FORMAT}),
        json.dumps({"format": FORMAT, "architectures": {}}),
        json.dumps({"format": FORMAT, "architectures": {"fcrn": {"name": "drpnet.networks.FCRN", "arguments": {"depth": 3}}}}),
    ],
)  # fmt: skip
def test_a_file_that_is_no_model_is_named(tmp_path, settings):
    path = tmp_path / "m.safetensors"
    save_file({"fcrn.a": torch.zeros(2)}, path, metadata={"drpnet": settings})
    with pytest.raises(InputError, match="m.safetensors"):
        load_model(path)


def test_saving_over_a_model_that_cannot_be_written_keeps_the_old_one(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(model(), path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(model(provenance={"bad": object()}), path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_file_of_the_first_format_is_read(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(model(), path)
    with safe_open(path, "pt") as file:
        settings, tensors = json.loads(file.metadata()["drpnet"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    old = {"detector": [-1.0, 2.0], "cascade": [-3.0, 4.0, 0.5], "crowding": [0.25, 0.75]}
    for calibration, crowding in ((old, (0.25, 0.75)), ({**old, "crowding": [0, 0]}, (0, 0))):
        settings |= {"format": "drpnet-cascade-1", "calibration": calibration}
        save_file(tensors, path, metadata={"drpnet": json.dumps(settings)})
        found = load_model(path).calibration
        assert found.detector == FigureOfMerit(-1.0, (2.0, 2.0), (crowding[0],) * 2)
        assert found.cascade == FigureOfMerit(-3.0, (4.0, 4.0), (crowding[1],) * 2, 0.0, 0.5)


@pytest.mark.parametrize("height", [[], [1.0], None, "ab"])
def test_a_damaged_calibration_is_an_error_in_words(tmp_path, height):
    path = tmp_path / "m.safetensors"
    save_model(model(), path)
    with safe_open(path, "pt") as file:
        settings, tensors = json.loads(file.metadata()["drpnet"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    settings["calibration"]["detector"]["height"] = height
    save_file(tensors, path, metadata={"drpnet": json.dumps(settings)})
    with pytest.raises(InputError, match="holds no drpnet model"):
        load_model(path)
