from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf

from drpnet.config import DatasetConfig
from drpnet.datasets import open_dataset
from drpnet.errors import InputError
from drpnet.io.micrographs import write_micrograph
from drpnet.schema import build, compose_config
from drpnet.simulation.dataset import simulate_dataset
from drpnet.simulation.parameters import SimulationParameters

IMAGE = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)


def data_set(tmp_path, micrographs, labels, **facts) -> DatasetConfig:
    for name in micrographs:
        write_micrograph(tmp_path / "mics" / name, IMAGE, 3.0)
    for name, text in labels.items():
        path = tmp_path / "labels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    facts = {"micrographs": "mics/**/*.mrc", "coordinates": "labels", **facts}
    return DatasetConfig(name="mine", root=str(tmp_path), particle_diameter=30, **facts)


def test_names_with_dots_and_an_unlabelled_micrograph(tmp_path):
    labels = {"a.1.b.csv": "x,y\n1,2\n", "a.2.csv": "x,y\n"}
    config = data_set(tmp_path, ["a.1.b.mrc", "a.2.mrc", "a.mrc"], labels, test=["a.2"], unpaired="leave_out")
    found = open_dataset(config)
    assert [m.stem for m in found.train] == ["a.1.b"] and [m.stem for m in found.test] == ["a.2"]
    assert found.train[0].centres.tolist() == [[2, 1]] and found.test[0].centres.shape == (0, 2)


def test_one_name_in_two_folders(tmp_path):
    labels = {"p/m.csv": "x,y\n1,2\n", "q/m.csv": "x,y\n3,4\n", "q/n.csv": "x,y\n5,6\n"}
    found = open_dataset(data_set(tmp_path, ["p/m.mrc", "q/m.mrc", "q/n.mrc"], labels, test=["mics/q/m"]))
    assert [m.stem for m in found.test] == ["mics/q/m"] and found.test[0].centres.tolist() == [[4, 3]]
    everything = {m.stem: m.centres.tolist() for m in found.train + found.validation}
    assert everything == {"mics/p/m": [[2, 1]], "n": [[6, 5]]}


def test_labels_that_do_not_say_for_which_of_two(tmp_path):
    with pytest.raises(InputError, match="several micrographs are called 'm'"):
        open_dataset(data_set(tmp_path, ["p/m.mrc", "q/m.mrc"], {"m.csv": "x,y\n1,2\n"}))


def test_coordinates_outside_are_named(tmp_path):
    config = data_set(tmp_path, ["a.mrc", "b.mrc"], {"a.csv": "x,y\n45,45\n", "b.csv": "x,y\n45,30\n"})
    found = {m.stem: m for part in (open_dataset(config).train, open_dataset(config).validation) for m in part}
    with pytest.raises(InputError, match=r"a\.mrc.*x 45, y 45.*40 x 50.*another micrograph"):
        found["a"].read()
    assert found["b"].read()[1] == 3.0


def test_an_incomplete_data_set_is_an_error_whatever_if_missing_says(tmp_path):
    for lacking in ("mics", "labels"):
        root = tmp_path / lacking
        config = data_set(root, ["a.mrc"], {"a.csv": "x,y\n1,2\n"}, if_missing="simulate", simulation=small())
        (root / lacking).rename(root / "gone")
        with pytest.raises(InputError, match="incomplete"):
            open_dataset(config)


def test_micrographs_without_labels_and_labels_without_micrographs_are_an_error_unless_left_out(tmp_path, caplog):
    """As an interrupted download leaves them: neither may shrink the training set unseen."""
    facts = {"if_missing": "simulate", "simulation": small()}
    labels = {f"{name}.csv": "x,y\n1,2\n" for name in ("a", "b", "y", "z")}
    config = data_set(tmp_path, ["a.mrc", "b.mrc", "c.mrc"], labels, **facts)
    both = r"1 of 3 micrographs have no labels \(such as c.mrc\) and 2 of 4 labelled micrographs are missing \(such as y, z\)"
    with pytest.raises(InputError, match=f"{tmp_path} exists but {both}.*incomplete.*dataset.unpaired=leave_out"):
        open_dataset(config)
    found = open_dataset(replace(config, unpaired="leave_out"))
    assert {m.stem for m in found.train + found.validation} == {"a", "b"} and not found.simulated
    assert "1 of 3 micrographs" in caplog.text and "2 of 4" in caplog.text
    (tmp_path / "mics" / "c.mrc").unlink()
    with pytest.raises(InputError, match="exists but 2 of 4 labelled micrographs are missing"):
        open_dataset(config)
    for name in ("y", "z"):
        (tmp_path / "labels" / f"{name}.csv").unlink()
    assert {m.stem for m in open_dataset(config).train} == {"a"}
    with pytest.raises(InputError, match="dataset.unpaired is 'skip'"):
        replace(config, unpaired="skip")


def test_empiar10005_half_downloaded(tmp_path):
    """With the facts of conf/dataset/empiar10005.yaml: coordinates of a micrograph that did not come."""
    root, name = tmp_path / "empiar10005", "stack_{}_2x_SumCorr"
    config = compose_config("train", ["experiment=trpv1_fcrn", f"data_root={tmp_path}", "dataset.limit=0"]).dataset
    config = build(DatasetConfig, {**OmegaConf.to_container(config, resolve=True), "simulation": None})
    for number in ("0002", "0003"):
        path = root / config.micrographs.replace("stack_*_2x_SumCorr", name.format(number))
        write_micrograph(path, IMAGE, 1.2156)
        dat = root / config.coordinates / f"coordinate_{name.format(number)}_bin3.dat"
        dat.parent.mkdir(parents=True, exist_ok=True)
        dat.write_text("0 0 4 1230\n")
    assert len(open_dataset(config).train + open_dataset(config).validation) == 2
    path.unlink()  # a subset of the entry: its other labels are left out, but the micrographs must be as many as asked for
    enough = replace(config, first=0, limit=1)
    assert [micrograph.stem for micrograph in open_dataset(enough).train] == [name.format("0002")]
    with pytest.raises(InputError, match="1 labelled micrographs, too few for .*limit=2.*drpnet download empiar10005"):
        open_dataset(replace(enough, limit=2))


def test_a_missing_data_set_is_an_error_or_loudly_simulated(tmp_path, caplog):
    facts = {"name": "real", "root": str(tmp_path / "real"), "particle_diameter": 171.0, "simulation": small()}
    with pytest.raises(InputError, match="real is not at .*if_missing=simulate"):
        open_dataset(DatasetConfig(**facts))
    found = open_dataset(DatasetConfig(**facts, if_missing="simulate", download="drpnet download real"))
    assert found.simulated and found.name == "real_simulated" and (tmp_path / "real_simulated").is_dir()
    assert "SIMULATED" in caplog.text and "drpnet download real" in caplog.text


def small(**changes) -> SimulationParameters:
    facts = {"structures": ["trpv1"], "particle_diameter": 171.0, "micrographs": 3, "height": 96, "width": 96,
             "pixel_size": 12.0, "particles_per_micrograph": 4}  # fmt: skip
    return SimulationParameters(**{**facts, **changes})


def test_an_empty_simulated_micrograph_is_labelled_with_no_particles(tmp_path):
    parameters = small(empty_probability=0.5, micrographs=6)
    simulate_dataset(parameters, tmp_path / "sim")
    found = open_dataset(DatasetConfig(name="sim", root=str(tmp_path / "sim"), particle_diameter=171.0))
    counts = [len(m.centres) for m in found.train + found.validation]
    assert len(counts) == 6 and 0 in counts and max(counts) > 0


def test_a_split_names_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match="dataset.test names 'z'"):
        open_dataset(data_set(tmp_path, ["a.mrc"], {"a.csv": "x,y\n1,2\n"}, test=["z"]))


def test_labels_that_count_rows_from_the_last_one(tmp_path):
    """CryoPPP's .csv beside .mrc files: 40 rows here."""
    labels = {"a.csv": "X-Coordinate,Y-Coordinate,Diameter\n7,0,5\n8,39,5\n"}
    as_written = open_dataset(data_set(tmp_path, ["a.mrc"], labels)).train[0].centres
    turned = open_dataset(data_set(tmp_path, ["a.mrc"], labels, coordinates_upside_down=True)).train[0].centres
    assert as_written.tolist() == [[0, 7], [39, 8]] and turned.tolist() == [[39, 7], [0, 8]]


def test_the_coordinates_of_empiar10005(tmp_path):
    name = "stack_0002_2x_SumCorr"
    write_micrograph(tmp_path / "mics" / f"{name}.mrc", np.zeros((3710, 50), np.float32) + IMAGE[:1], 3.0)
    labels = {f"coordinate_{name}_bin3.dat": "1 1 10 1236\n", "coordinate_stack_0003_2x_SumCorr_bin3.dat": "1 1 2 3\n"}
    found = open_dataset(data_set(tmp_path, [], labels, unpaired="leave_out")).train
    assert [m.stem for m in found] == [name] and found[0].centres.tolist() == [[1, 31]]


def test_a_data_set_without_labels_says_so(tmp_path):
    with pytest.raises(InputError, match="mine has no labels .*dataset.coordinates"):
        open_dataset(data_set(tmp_path, ["a.mrc"], {}, coordinates=""))
