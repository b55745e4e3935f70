"""Labels from RELION's particles: refined centres of both conventions, at any scale of extraction; RELION recentres alike."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drpnet.datasets import open_dataset
from drpnet.errors import InputError
from drpnet.io.micrographs import write_micrograph
from drpnet.io.particle_labels import read_particle_labels
from drpnet.io.star import read_star, write_star
from drpnet.schema import compose_config, train_settings

MICS = ("Micrographs/a/one.mrc", "Micrographs/b/one.mrc", "Micrographs/b/two.mrc")
SHAPE, PIXEL_SIZE = (200, 260), 2.5
shifts = st.integers(-40, 40)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for name in MICS:
        write_micrograph(folder / name, image, PIXEL_SIZE)
    return folder


def particles(star: Path, rows, version: str, binning: float = 1.0, pixel_size: float | None = PIXEL_SIZE) -> Path:
    """A star of `rows` (micrograph, x, y, offset x and y in Angstrom), extracted binned, as that version writes it."""
    names, x, y, dx, dy = (list(column) for column in zip(*rows, strict=True))
    table = {"rlnMicrographName": names, "rlnCoordinateX": np.array(x, float), "rlnCoordinateY": np.array(y, float)}
    image_size = PIXEL_SIZE * binning
    if version == "3.0":
        table |= {"rlnOriginX": np.array(dx) / image_size, "rlnOriginY": np.array(dy) / image_size}
        table |= {"rlnMagnification": [10000.0] * len(x), "rlnDetectorPixelSize": [image_size] * len(x)}
        write_star(star, {"": table})
    else:
        optics = {"rlnOpticsGroupName": ["o1"], "rlnOpticsGroup": [1], "rlnImagePixelSize": [image_size]}
        if pixel_size is not None:
            optics["rlnMicrographPixelSize"] = [pixel_size]
        table |= {"rlnOriginXAngst": np.array(dx, float), "rlnOriginYAngst": np.array(dy, float)}
        write_star(star, {"optics": optics, "particles": {**table, "rlnOpticsGroup": [1] * len(x)}})
    return star


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(MICS), st.integers(20, 180), st.integers(20, 180), shifts, shifts), min_size=1),
    binning=st.sampled_from([1.0, 2.0, 3.5]),
)
def test_both_conventions_give_the_same_centres_at_every_scale(project, rows, binning):
    for version in ("3.0", "3.1"):
        found = read_particle_labels(particles(project / "Select" / "p.star", rows, version, binning))
        assert [labels.name for labels in found] == list(dict.fromkeys(row[0] for row in rows))
        for labels in found:
            expected = [(y - dy / PIXEL_SIZE, x - dx / PIXEL_SIZE) for name, x, y, dx, dy in rows if name == labels.name]
            np.testing.assert_allclose(labels.centres, expected, atol=1e-5)
            assert labels.path == project / labels.name and labels.pixel_size == PIXEL_SIZE


def test_where_the_pixel_size_comes_from(project, tmp_path):
    """Given, else the optics', else the header's: the offset of 10 Angstrom follows it."""
    rows = [(MICS[0], 100, 100, 10, 0)]
    for given_size, optics_size, offset in ((5.0, 4.0, 2.0), (None, 4.0, 2.5), (None, None, 4.0)):
        star = particles(project / "p.star", rows, "3.1", 2, optics_size)
        (labels,) = read_particle_labels(star, given_size)
        np.testing.assert_allclose(labels.centres, [[100, 100 - offset]])
        assert labels.pixel_size == (given_size or optics_size or PIXEL_SIZE)
        assert type(labels.pixel_size) is float  # a number of numpy would reach the network as a tensor
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    write_micrograph(tmp_path / "Micrographs" / "x.mrc", image, 1.0)  # 1 counts as unknown
    rows = [("Micrographs/x.mrc", 100, 100, 10, 0)]
    for version in ("3.0", "3.1"):
        with pytest.raises(InputError, match=r"neither its optics nor the header of Micrographs/x\.mrc.*dataset\.pixel_size"):
            read_particle_labels(particles(tmp_path / "p.star", rows, version, 2, None))


def test_centres_over_the_edge_are_left_out_and_another_frame_is_an_error(project, caplog):
    rows = [(MICS[0], 100 + i, 100, 0, 0) for i in range(20)]
    (labels,) = read_particle_labels(particles(project / "p.star", [*rows, (MICS[0], 3, 100, 20, 0)], "3.1"))
    assert len(labels.centres) == 20 and "1 of 21 refined centres" in caplog.text
    with pytest.raises(InputError, match=r"one\.mrc: 5 of 25 centres.*outside the 200 x 260"):
        read_particle_labels(particles(project / "p.star", [*rows, *[(MICS[0], 800, 900, 0, 0)] * 5], "3.1"))


def test_users_mistakes(project):
    with pytest.raises(InputError, match=r"1 of 2 micrographs do not exist, first gone\.mrc.*dataset\.root"):
        read_particle_labels(particles(project / "p.star", [(MICS[0], 1, 1, 0, 0), ("gone.mrc", 1, 1, 0, 0)], "3.1"))
    write_star(project / "p.star", {"": {"rlnCoordinateX": [1.0], "rlnCoordinateY": [1.0]}})
    with pytest.raises(InputError, match="does not name its micrographs"):
        read_particle_labels(project / "p.star")
    write_star(project / "p.star", {"": {"rlnMicrographName": [MICS[0]]}})
    with pytest.raises(InputError, match="no columns rlnCoordinateX"):
        read_particle_labels(project / "p.star")
    base = ["model=fcrn", "dataset=relion_particles", f"dataset.root={project}", "dataset.particle_diameter=60"]
    with pytest.raises(InputError, match=r"relion_particles names no micrographs; give its particles \.star in dataset\.star"):
        train_settings(compose_config("train", base))
    with pytest.raises(InputError, match=r"nothing\.star does not exist; name it in dataset\.star"):
        open_dataset(train_settings(compose_config("train", [*base, "dataset.star=nothing.star"])).dataset)
    with pytest.raises(InputError, match="leave dataset.coordinates_upside_down"):
        train_settings(compose_config("train", [*base, "dataset.star=p.star", "dataset.coordinates_upside_down=true"]))


def test_training_takes_its_data_set_from_the_star(project):
    """The configuration of the documentation, from the console to the labelled micrographs."""
    rows = [(name, 100, 50, 5, -2.5) for name in MICS]
    particles(project / "Select" / "job012" / "particles.star", rows, "3.1", 4)
    words = ["model=fcrn", "dataset=relion_particles", "dataset.star=Select/job012/particles.star"]
    words += [f"dataset.root={project}", "dataset.particle_diameter=60", "dataset.test=[Micrographs/a/one]"]
    found = open_dataset(train_settings(compose_config("train", words)).dataset)
    assert [m.stem for m in found.test] == ["Micrographs/a/one"] and not found.simulated
    assert sorted(m.stem for m in found.train + found.validation) == ["Micrographs/b/one", "two"]
    image, pixel_size = found.test[0].read()
    assert image.shape == SHAPE and pixel_size == PIXEL_SIZE
    np.testing.assert_allclose(found.test[0].centres, [[51, 98]])


def test_what_a_select_job_left_out_is_known_to_be_none(project, caplog):
    """Kept: one a micrograph, re-centred by 5 Angstrom. A duplicate of it 20 Angstrom away is no bad particle."""
    caplog.set_level("INFO")
    kept = particles(project / "Select" / "kept.star", [(name, 100, 50, 5, 0) for name in MICS[:2]], "3.1")
    every = [(name, x, y, 0, 0) for name in MICS for x, y in ((100, 50), (108, 50), (180, 120), (30, 140))]
    particles(project / "Extract" / "all.star", every, "3.1")
    words = ["model=fcrn", "dataset=relion_particles", "dataset.star=Select/kept.star", f"dataset.root={project}"]
    words += ["dataset.particle_diameter=60", "dataset.selected_from=Extract/all.star", "dataset.train=[Micrographs/a/one]"]
    words += ["dataset.validation=[Micrographs/b/one,two]"]
    found = open_dataset(train_settings(compose_config("train", words)).dataset)
    assert "8 particles were rejected" in caplog.text
    for one in found.train + found.validation:
        if f"{one.stem}.mrc" == Path(MICS[2]).name or one.path == project / MICS[2]:
            assert len(one.centres) == 0  # all of them were rejected
            assert one.rejected.tolist() == [[50, 100], [50, 108], [120, 180], [140, 30]]
        else:
            np.testing.assert_allclose(one.centres, [[50, 98]])
            assert one.rejected.tolist() == [[120, 180], [140, 30]]
    assert kept.is_file()
    particles(project / "Extract" / "other.star", [row for row in every if row[0] == MICS[1]], "3.1")
    with pytest.raises(InputError, match=r"1 of 2 micrographs of Select/kept\.star.*are not in Extract/other\.star"):
        open_dataset(train_settings(compose_config("train", [*words, "dataset.selected_from=Extract/other.star"])).dataset)
    with pytest.raises(InputError, match=r"none\.star does not exist; name it in dataset\.selected_from"):
        open_dataset(train_settings(compose_config("train", [*words, "dataset.selected_from=none.star"])).dataset)
    with pytest.raises(InputError, match=r"dataset\.selected_from is 'x\.star'.*in dataset\.star"):
        train_settings(compose_config("train", ["experiment=trpv1_fcrn", "dataset.selected_from=x.star"]))


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_preprocess") is None, reason="RELION's programs are not installed")
def test_relion_recentres_to_the_same_pixels(project, monkeypatch):
    """Re-extraction of 3.1.3 with recentring moves each particle by its offset, in whole pixels: ours to half of one."""
    monkeypatch.chdir(project)
    rng = np.random.default_rng(5)
    rows = [(name, *rng.integers(60, 140, 2), *rng.uniform(-30, 30, 2).round(2)) for name in MICS for _ in range(8)]
    star = particles(project / "Refine3D" / "run_data.star", rows, "3.1", 2)
    blocks = read_star(star)
    zeros = dict.fromkeys(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), [0.0] * len(rows))
    names = [f"{i + 1:06d}@Extract/old.mrcs" for i in range(len(rows))]
    lens = {"rlnVoltage": [300.0], "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1]}
    optics = {**blocks["optics"].to_dict("list"), **lens, "rlnImageSize": [32], "rlnImageDimensionality": [2]}
    write_star(star, {"optics": optics, "particles": {**blocks["particles"].to_dict("list"), **zeros, "rlnImageName": names}})
    table = {"rlnMicrographName": list(MICS), "rlnOpticsGroup": [1] * 3}
    own = {"rlnOpticsGroupName": ["o1"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL_SIZE], **lens}
    write_star(Path("micrographs.star"), {"optics": own, "micrographs": table})
    words = ["relion_preprocess", "--i", "micrographs.star", "--reextract_data_star", star, "--recenter", "--part_star",
             "Extract/job2/particles.star", "--part_dir", "Extract/job2/", "--extract", "--extract_size", "32"]  # fmt: skip
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    theirs = {labels.name: labels.centres for labels in read_particle_labels(Path("Extract/job2/particles.star"))}
    before = {name: np.array([(y, x) for other, x, y, *_ in rows if other == name]) for name in MICS}
    for labels in read_particle_labels(star):
        np.testing.assert_allclose(theirs[labels.name], labels.centres, atol=1e-3)
        assert np.abs(labels.centres - before[labels.name]).max() > 5
    whole = read_star(Path("Extract/job2/particles.star"))["particles"]
    assert np.abs(whole[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy(float)).max() <= 0.5 * PIXEL_SIZE + 1e-3
