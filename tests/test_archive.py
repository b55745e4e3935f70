import dataclasses
from importlib.resources import files

import pytest

from drpnet.archive import ArchiveEntry
from drpnet.errors import InputError
from drpnet.schema import compose_config, dataset_facts

# Table 2 of the paper with sections 4.1 and 4.2: micrographs, pixel size, h x w, kV, defocus, labelled particles.
TABLE_2 = {
    "empiar10005": (871, 1.2156, [3710, 3710], 300, [1.5, 3.5], {"88915": 88915, "35645": 35645}),
    "empiar10017": (84, 1.77, [4096, 4096], 300, [1.0, 3.0], {"data": 40863}),
    "empiar10061": (1538, 0.3185, [7420, 7676], 300, [0.6, 3.0], {}),
}


def facts(name, *overrides):
    return dataset_facts(compose_config("train", [f"dataset={name}", *overrides]).dataset)


@pytest.mark.parametrize("name", TABLE_2)
def test_the_facts_are_those_of_table_2(name):
    count, pixel_size, shape, voltage, defocus, particles = TABLE_2[name]
    dataset = facts(name)
    entry = dataset.archive
    assert isinstance(entry, ArchiveEntry) and entry.entry == int(name.removeprefix("empiar"))
    assert (entry.micrograph_count, dataset.pixel_size, entry.micrograph_shape) == (count, pixel_size, shape)
    assert (entry.voltage_kv, entry.defocus_range) == (voltage, defocus) and entry.camera
    assert {folder[-5:].strip("/"): n for folder, n in entry.particle_counts.items()} == particles
    assert entry.page == f"https://ftp.ebi.ac.uk/empiar/world_availability/{entry.entry}/"
    assert dataset.coordinates in entry.coordinates or not entry.coordinates
    assert f"drpnet download {name}" in dataset.download


@pytest.mark.parametrize(("name", "circle_px"), [("empiar10005", 142), ("empiar10017", 108)])
def test_the_diameter_is_that_of_cryoppps_circles(name, circle_px):
    dataset = facts(name)
    assert dataset.particle_diameter == round(circle_px * dataset.pixel_size)


def test_one_protein_has_one_diameter():
    """CryoPPP's circles disagree: 191 and 150 Angstrom for beta-galactosidase."""
    assert facts("empiar10061").particle_diameter == facts("empiar10017").particle_diameter
    assert round(471 * facts("empiar10061").pixel_size) == 150


def test_the_training_split_is_the_released_scripts_and_the_rest_is_left_alone():
    dataset = facts("empiar10005")
    assert (dataset.first, dataset.limit, dataset.test) == (100, 50, [])
    assert dataset.download.endswith(f"micrographs:{dataset.first + dataset.limit}")
    assert all(facts(name).limit == 0 for name in ("empiar10017", "empiar10061"))


def test_the_stand_in_is_like_the_entry():
    dataset = facts("empiar10005")
    stand_in, entry = dataset.simulation, dataset.archive
    assert stand_in.pixel_size == pytest.approx(3 * dataset.pixel_size)
    assert [stand_in.height, stand_in.width] == [round(side / 3) for side in entry.micrograph_shape]
    assert stand_in.defocus_range == entry.defocus_range and stand_in.voltage_kv == entry.voltage_kv
    assert stand_in.particle_diameter == dataset.particle_diameter


def test_the_checksums_are_all_that_the_archive_publishes(request):
    lines = (files("drpnet.download") / facts("empiar10017").archive.checksums).read_text().splitlines()
    sums = dict(reversed(line.split()) for line in lines)
    stems = {name.rpartition(".")[0] for name in sums}
    assert len(sums) == 168 and len(stems) == 84 and len(set(sums.values())) == 168
    assert set(sums) == {f"{stem}.{suffix}" for stem in stems for suffix in ("mrc", "coord")}
    assert all(len(value) == 32 and set(value) <= set("0123456789abcdef") for value in sums.values())
    published = request.getfixturevalue("shared_real") / "empiar10017" / "archive_md5.txt"
    assert published.read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entry": 0}, "entry is 0"),
        ({"url": "ftp.ebi.ac.uk"}, "'ftp.ebi.ac.uk'; give an address"),
        ({"micrographs": "data/micrographs"}, "'data/micrographs' names no files"),
        ({"coordinates": {"data": "data/**/x"}}, "names no files"),
        ({"particle_counts": {"dta": 3}}, "'dta', which is no folder of archive.coordinates"),
    ],
)
def test_facts_that_cannot_be(changes, message):
    good = ArchiveEntry(10017, "data/*.mrc", {"data": "data/*.coord"}, particle_counts={"data": 3})
    with pytest.raises(InputError, match=message):
        dataclasses.replace(good, **changes)


def test_a_typo_in_the_facts_is_an_error():
    with pytest.raises(InputError, match="micrograf_count"):
        facts("empiar10017", "+dataset.archive.micrograf_count=3")
