"""conf/experiment: the paper's experiments compose, take their facts from conf/dataset and say what is simulated."""

import pytest
from omegaconf import OmegaConf

from drpnet.errors import InputError
from drpnet.io.coordinates import read_coordinate_set
from drpnet.pick import of_dataset, pick
from drpnet.schema import compose_config, pick_settings, train_settings

PICKS = {"trpv1_pick": "empiar10005", "bgal10061_pick": "empiar10061", "bgal10017_pick": "empiar10017"}


def settings(*words):
    return pick_settings(compose_config("pick", list(words)))


def test_every_experiment_names_its_command_first(repository):
    files = sorted((repository / "conf" / "experiment").glob("*.yaml"))
    assert {path.stem for path in files} >= {*PICKS, "trpv1_fcrn", "trpv1_classifier"}
    for path in files:
        first = path.read_text().splitlines()[1]
        script = "pick.py" if path.stem.endswith("_pick") else "train.py"
        assert first.startswith(f"# python {script} experiment={path.stem}"), path.name


@pytest.mark.parametrize(("experiment", "dataset"), PICKS.items())
def test_a_picking_experiment_takes_its_facts_from_the_data_set(experiment, dataset, monkeypatch):
    monkeypatch.setenv("DRPNET_DATA", "elsewhere")
    facts = train_settings(compose_config("train", ["model=fcrn", f"dataset={dataset}"])).dataset
    found = settings(f"experiment={experiment}")
    assert found.micrographs == f"elsewhere/{dataset}/{facts.micrographs}"
    assert (found.particle_diameter, found.pixel_size) == (facts.particle_diameter, facts.pixel_size)


def test_paper_and_release_have_settings_for_each_entry():
    """4.3.1 to 4.3.3 and the released scripts, in units of a map of 0..1."""
    expected = {
        ("paper", "paper"): (9, 5 / 255, 2, True), ("paper", "paper_10017"): (7, 7 / 255, 2, True),
        ("paper", "paper_10061"): (1, 0.01, 1, False), ("released", "released"): (4, 4 / 255, 1, True),
        ("released", "released_10005"): (6, 3 / 255, 1, True), ("released", "released_10061"): (6, 3 / 255, 1, True),
    }  # fmt: skip
    for (profile, name), (sigma, threshold, level, normalised) in expected.items():
        found = settings("experiment=bgal10017_pick", f"profile={profile}", f"detection={name}").detection
        assert (found.smoothing_sigma_px, found.minimum_level, found.normalise_map) == (sigma, level, normalised)
        assert found.threshold == pytest.approx(threshold, abs=1e-4)
    for name, (positive, negative) in {"paper": (9, 9), "paper_10017": (16, 12.5)}.items():
        words = ["experiment=trpv1_classifier", f"selection={name}"]
        chosen = train_settings(compose_config("train", words)).selection
        assert (chosen.labels, chosen.positive_sigma_px, chosen.negative_sigma_px) == ("levels", positive, negative)


def test_an_entry_that_is_missing_names_its_download(tmp_path, monkeypatch):
    monkeypatch.setenv("DRPNET_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"empiar10017 is not at .*drpnet download empiar10017"):
        pick(settings("experiment=bgal10017_pick"))


def test_a_stand_in_is_picked_where_it_is_asked_for_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DRPNET_DATA", str(tmp_path))
    small = [f"dataset.simulation.{key}={value}" for key, value in
             {"micrographs": 1, "height": 200, "width": 200, "particles_per_micrograph": 5}.items()]  # fmt: skip
    asked = ["experiment=bgal10017_pick", "dataset.if_missing=simulate", *small]
    given = settings(*asked)
    assert given.out == "outputs/bgal10017_pick_simulated"
    given.out, given.classifier = str(tmp_path / "picks"), False
    result = pick(given)
    assert "SIMULATED STAND-IN" in caplog.text and not result.failures
    assert list(read_coordinate_set(tmp_path / "picks")) == ["simulated_0001"]


def test_without_an_experiment_there_is_no_data_set():
    given = settings("micrographs=a", "out=b", "particle_diameter=3")
    assert given.dataset is None and of_dataset(given) is given


def test_a_profile_and_a_detection_may_be_named_together():
    config = compose_config("pick", ["micrographs=a", "out=b", "particle_diameter=3", "profile=paper", "detection=released"])
    assert config.detection.even_kernel and config.preprocess.particle_diameter_px == 47.4
    assert OmegaConf.is_missing(config.dataset, "name")
