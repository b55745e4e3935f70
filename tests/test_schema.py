import dataclasses

import pytest
from hydra import compose, initialize_config_dir

from drpnet.config import DatasetConfig, DetectionConfig, PatchConfig, PreprocessConfig, SelectionConfig
from drpnet.errors import InputError
from drpnet.schema import build, clear_errors, compose_config, pick_settings, register, stand_in_suffix, train_settings
from drpnet.simulation.parameters import SimulationParameters


def composed(repository, name, *overrides):
    register()
    with initialize_config_dir(str(repository / "conf"), version_base="1.3"), clear_errors():
        return compose(name, overrides=list(overrides))


MINE = ["dataset.root=my_data", "dataset.particle_diameter=180"]
OWN = {
    "relion_particles": ["dataset.star=Select/job012/particles.star", "dataset.particle_diameter=180"],
    "own": MINE,
    "finetune": MINE,
}
"""What only the user knows."""


@pytest.mark.parametrize("group", ["experiment", "dataset"])
def test_every_file_of_a_group_gives_valid_settings(repository, group):
    for path in sorted((repository / "conf" / group).glob("*.yaml")):
        if path.stem.endswith("_pick"):
            assert isinstance(pick_settings(composed(repository, "pick", f"{group}={path.stem}")).dataset, DatasetConfig)
            continue
        settings = train_settings(composed(repository, "train", f"{group}={path.stem}", *OWN.get(path.stem, [])))
        assert isinstance(settings.dataset, DatasetConfig) and isinstance(settings.preprocess, PreprocessConfig)
        assert isinstance(settings.detection, DetectionConfig) and isinstance(settings.patches, PatchConfig)
        assert isinstance(settings.selection, SelectionConfig)
        assert settings.dataset.simulation is None or isinstance(settings.dataset.simulation, SimulationParameters)


def test_overrides_arrive_with_their_types(repository):
    config = composed(
        repository, "train", "preprocess.particle_diameter_px=30", "preprocess.standardise=no", "seed=7",
        "dataset.simulation.snr_range=[1,2]", "dataset.test=[]", "selection.labels=deviation",
    )  # fmt: skip
    settings = train_settings(config)
    assert settings.preprocess.particle_diameter_px == 30.0 and settings.preprocess.standardise is False
    assert settings.seed == 7 and settings.selection.labels == "deviation"
    assert settings.dataset.simulation.snr_range == [1.0, 2.0]


@pytest.mark.parametrize("profile", ["default", "paper", "released"])
def test_every_profile_picks(repository, profile):
    arguments = ["micrographs=m", "out=o", "particle_diameter=180", f"profile={profile}"]
    settings = pick_settings(composed(repository, "pick", *arguments))
    assert isinstance(settings.preprocess, PreprocessConfig) and isinstance(settings.detection, DetectionConfig)
    plain = pick_settings(composed(repository, "pick", *arguments[:3]))
    assert plain.preprocess is None and plain.particle_diameter == 180.0 and plain.pixel_size is None


@pytest.mark.parametrize(
    ("name", "override", "named"),
    [
        ("train", "preprocess.particle_diametr_px=3", "particle_diametr_px"),
        ("train", "detection.levels=many", "many"),
        ("train", "selektion.labels=truth", "selektion"),
        ("train", "dataset=nowhere", "nowhere"),
        ("train", "trainer.max_epochz=3", "max_epochz"),
        ("pick", "diameter=3", "diameter"),
        ("pick", "particle_diameter=wide", "wide"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(repository, name, override, named):
    with pytest.raises(InputError, match=named) as caught:
        composed(repository, name, override)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"levels": 0}, "levels is 0"),
        ({"levels": "many"}, "many"),
        ({"level": 2}, "level"),
        ({"threshold": None}, "threshold"),
    ],
)
def test_build_refuses_in_one_line(values, message):
    with pytest.raises(InputError, match=message) as caught:
        build(DetectionConfig, values)
    assert "\n" not in str(caught.value)


def test_build_fills_in_the_defaults_and_asks_for_facts():
    assert build(PreprocessConfig, None) == PreprocessConfig()
    assert dataclasses.asdict(build(PatchConfig, {"size_px": 48}))["size_px"] == 48
    with pytest.raises(InputError, match="of DatasetConfig is missing"):
        build(DatasetConfig, {"name": "x"})


def test_only_simulated_runs_are_called_so(tmp_path):
    there, gone = str(tmp_path), str(tmp_path / "gone")
    assert stand_in_suffix(there, "simulate", False) == stand_in_suffix(there, "error", False) == ""
    assert stand_in_suffix(gone, "error", False) == ""
    assert stand_in_suffix(gone, "simulate", False) == stand_in_suffix(there, "error", True) == "_simulated"


def test_a_stray_argument_of_a_class_is_one_line_but_a_bug_is_not_hidden():
    with pytest.raises(InputError, match="max_epochz"), clear_errors():
        raise TypeError("Trainer.__init__() got an unexpected keyword argument 'max_epochz'")
    with pytest.raises(TypeError, match="NoneType"), clear_errors():
        raise TypeError("unsupported operand type(s) for +: 'int' and 'NoneType'")


HEAD = b"# @package _global_\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + b"name: x\n\ttrainer: y\n", r"mine.yaml, line 3, column 1 .*'\\t'.*; indent with spaces"),
        (HEAD + b"trainer:\n  max_epochs: 3\n   devices: 2\n", r"mine.yaml, line 4, column 11 .*; correct it there"),
        (HEAD + b"name: {x\ntrainer:\n  y: 3\n", r"mine.yaml, line 3, column 8 .*begins in line 2"),
        (HEAD + b"name: 'x\n", r"mine.yaml, .*quoted scalar that begins in line 2"),
        (HEAD + b"name: x\nname: y\n", r"mine.yaml, line 3, .*duplicate key name"),
        (HEAD + b"name: *x\n", r"mine.yaml, line 2, .*undefined alias"),
        (HEAD + b"# caf\xe9\nname: x\n", r"mine.yaml is not UTF-8 .*save it as UTF-8"),
        (HEAD + b"- name\n- seed\n", r"experiment/mine.yaml .*KEY: VALUE"),
        (HEAD + b"defaults: x\n", r"experiment/mine.yaml.*- override /dataset: NAME"),
        (HEAD + b"defaults:\n  - override /dataset: nowhere\n", r"no dataset/nowhere; choose from empiar10005, "),
        (b"name: x\n", r"experiment/mine.yaml lacks .*begin it with # @package _global_"),
    ],
)
def test_a_broken_file_of_the_user_is_one_line_with_its_place(repository, tmp_path, content, said):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        composed(repository, "train", f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    assert "\n" not in str(caught.value)


def test_an_unknown_experiment_shows_which_there_are(repository, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_bytes(HEAD)
    with pytest.raises(InputError, match="no experiment/mone; choose from .*mine, .*trpv1_fcrn"):
        composed(repository, "train", f"hydra.searchpath=[file://{tmp_path}]", "experiment=mone")


def test_a_choice_of_nothing_says_how_to_take_it_away(repository):
    with pytest.raises(InputError, match="^dataset@also=null: .* write ~dataset@also$"):
        composed(repository, "train", "experiment=general_model", "dataset@also=null")
    assert composed(repository, "train", "experiment=general_model", "~dataset@also").also is None


def test_errors_that_are_no_files_of_the_configuration_pass():
    for error in (ValueError("Invalid number"), UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid start byte")):
        with pytest.raises(type(error)), clear_errors():
            raise error


@pytest.mark.parametrize(("name", "read"), [("train", train_settings), ("pick", pick_settings)])
def test_a_setting_that_nothing_reads_is_an_error(name, read):
    words = ["model=fcrn"] if name == "train" else ["micrographs=m", "out=o", "particle_diameter=180"]
    with pytest.raises(InputError, match="nothing reads the setting seeds; did you mean seed"):
        read(compose_config(name, [*words, "+seeds=3"]))
