import ast
import dataclasses

import pytest
from omegaconf import OmegaConf

from drpnet import config
from drpnet.config import PRESETS, DatasetConfig, DetectionConfig, PatchConfig, PreprocessConfig, SelectionConfig
from drpnet.errors import InputError

FACTS = {"name": "mine", "root": "data/mine", "particle_diameter": 100.0}


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (PreprocessConfig, {"scale_rule": "metre"}, "'metre'; use 'diameter' or 'released'"),
        (PreprocessConfig, {"particle_diameter_px": 3}, "particle_diameter_px is 3; use at least 4"),
        (PreprocessConfig, {"stretch_percentiles": [99, 1]}, r"\[99, 1\]; use two rising numbers"),
        (PreprocessConfig, {"stretch_percentiles": [0, 101]}, "within 0..100"),
        (PreprocessConfig, {"smoothing_reach_sigmas": 0}, "smoothing_reach_sigmas is 0; use at least 1"),
        (PreprocessConfig, {"smoothing_after_half_size_px": -1}, r"smoothing_after_half_size_px is -1; use 0 \(off\)"),
        (DetectionConfig, {"first_smoothing_px": -2}, "first_smoothing_px is -2; it must not be negative"),
        (DetectionConfig, {"threshold": 0}, "threshold is 0; it must be above 0"),
        (DetectionConfig, {"levels": 0}, "levels is 0"),
        (DetectionConfig, {"minimum_level": 4}, "minimum_level is 4; use 1..3"),
        (DetectionConfig, {"minimum_distance_diameters": -1}, "must not be negative"),
        (PatchConfig, {"size_px": 63}, "patch size is 63; use an even number"),
        (PatchConfig, {"size_px": 8}, "patch size is 8"),
        (PatchConfig, {"particle_diameter_px": 1}, "at least 4"),
        (SelectionConfig, {"labels": "maybe"}, "'maybe'; use one of confidence, levels, deviation, truth"),
        (SelectionConfig, {"positive_sigma_px": -1}, "positive_sigma_px is -1; it must not be negative"),
        (SelectionConfig, {"negative_level": 0}, "negative_level is 0; use 1, 2 or 3"),
        (SelectionConfig, {"positive_mean_quantile": 1}, "positive_mean_quantile is 1"),
        (SelectionConfig, {"background_share": 1.0}, "background_share is 1.0"),
        (SelectionConfig, {"positive_quantile": -0.1}, "positive_quantile is -0.1"),
        (DatasetConfig, {**FACTS, "if_missing": "download"}, "'download'; use 'error' or 'simulate'"),
        (DatasetConfig, {**FACTS, "particle_diameter": 0}, "give it in Angstrom"),
        (DatasetConfig, {**FACTS, "test": ["a", "b"], "train": ["b"]}, r"\['b'\] are both for test and for training"),
        (DatasetConfig, {**FACTS, "test": ["a"], "validation": ["a"]}, "both for test and for training"),
    ],
)
def test_values_that_cannot_work_are_refused_in_words(cls, values, message):
    with pytest.raises(InputError, match=message):
        cls(**values)


def test_parameters_cannot_be_changed_afterwards():
    for made in (PreprocessConfig(), DetectionConfig(), PatchConfig(), SelectionConfig(), DatasetConfig(**FACTS)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, dataclasses.fields(made)[0].name, None)


def test_every_option_is_used_somewhere(repository):
    used = set()
    for path in (repository / "drpnet").rglob("*.py"):
        if path.name != "config.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for cls in (PreprocessConfig, DetectionConfig, PatchConfig, SelectionConfig, DatasetConfig):
        unused = {item.name for item in dataclasses.fields(cls)} - used
        assert not unused, f"{cls.__name__}: {unused}"


def test_every_option_is_explained(repository):
    tree = ast.parse((repository / "drpnet" / "config.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for here, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(here, ast.AnnAssign) and here.target.id not in ("name", "root"):
                    assert isinstance(after, ast.Expr), f"{node.name}.{here.target.id} has no docstring"


def test_the_presets_rise():
    assert list(PRESETS) == ["recall", "balanced", "precise"]
    assert sorted(PRESETS.values()) == list(PRESETS.values())
    assert all(0 < value < 1 for value in PRESETS.values())


@pytest.mark.parametrize(
    ("group", "cls"),
    [("preprocess", PreprocessConfig), ("detection", DetectionConfig), ("selection", SelectionConfig)],
)
def test_every_profile_in_conf_is_valid(repository, group, cls):
    files = sorted((repository / "conf" / group).glob("*.yaml"))
    assert {path.stem for path in files} >= {"default", "paper", "released"}
    for path in files:
        values = OmegaConf.to_container(OmegaConf.load(path))
        values.pop("defaults", None)
        assert dataclasses.asdict(cls(**values)).items() >= values.items()


def test_the_module_holds_only_frozen_dataclasses():
    classes = [
        value for value in vars(config).values() if isinstance(value, type) and value.__module__ == config.__name__
    ]
    assert len(classes) >= 5
    assert all(dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen for cls in classes)
