"""The doctor on real micrographs: every trap that the data hold, and no correct set accused."""

from dataclasses import replace

import numpy as np
import pytest

from drpnet.doctor.examine import examine
from drpnet.doctor.findings import sentence
from drpnet.frames.contrast import block_size, darkness_of_image, shrink
from drpnet.frames.diagnosis import diagnose
from drpnet.frames.evidence import Case, Evidence
from drpnet.frames.transforms import IDENTITY, Transform
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import read_micrograph

pytestmark = pytest.mark.real

PEERS = ("crYOLO", "topaz", "deepPicker")
ENTRIES = {"empiar10017": 108.0, "empiar10028": 56.0, "empiar10059": 35.0, "empiar10146": 65.0}
"""Particle diameter in px of the pictures."""
SIDE = 4096


@pytest.fixture(scope="module")
def cases(shared_real):
    """Makes the evidence for coordinates of an entry; pictures of EMPIAR-10017 are turned to the rows of the .mrc."""
    maps = {}

    def read(entry, stem):
        if (entry, stem) not in maps:
            path = next((shared_real / entry / "images").glob(f"{stem}.*"))
            image = read_micrograph(path)[0]
            image = image[::-1] if entry == "empiar10017" else image
            block = block_size(ENTRIES[entry])
            maps[entry, stem] = (image.shape, darkness_of_image(shrink(image, block), ENTRIES[entry] / block), block)
        return maps[entry, stem]

    return lambda entry, sets: Evidence([Case(stem, centres, *read(entry, stem)) for stem, centres in sets.items()])


def centres(folder):
    return {stem: found.centres for stem, found in read_coordinate_set(folder).items()}


def truth(shared_real, entry):
    found = dict(list(centres(shared_real / entry / "truth").items())[:5])
    return {s: c * [-1, 1] + [SIDE - 1, 0] for s, c in found.items()} if entry == "empiar10017" else found


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_truth_is_right_and_wrong_when_turned_binned_or_lost(shared_real, cases, entry):
    right, diameter = truth(shared_real, entry), ENTRIES[entry]
    evidence = cases(entry, right)
    found = diagnose(evidence, diameter)
    assert found.kind == "right" and not found.against
    shape = tuple(evidence.shapes[0])
    for done in (Transform(flip_y=True), Transform(scale=(3.0, 3.0))):
        found = diagnose(cases(entry, {stem: done.inverse(c, shape) for stem, c in right.items()}), diameter)
        assert found.kind == "wrong" and replace(found.found.transform, first=0) == done
    rng = np.random.default_rng(0)
    lost = {stem: rng.uniform(0, np.array(shape) - 1, c.shape) for stem, c in right.items()}
    assert diagnose(cases(entry, lost), diameter).kind == "nothing"


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_truth_is_not_accused_where_contrast_is_inverted(shared_real, cases, entry):
    right, diameter = truth(shared_real, entry), ENTRIES[entry]
    shape = tuple(cases(entry, right).shapes[0])
    for done in (IDENTITY, Transform(flip_y=True)):
        evidence = cases(entry, {stem: done.inverse(c, shape) for stem, c in right.items()})
        inverted = Evidence([replace(case, darkness=-case.darkness) for case in evidence.cases])
        found = diagnose(inverted, diameter)
        if done == IDENTITY:
            assert found.kind == "bright" and found.found.z < -20 and found.found.transform == IDENTITY
        assert found.kind == "unknown" or found.kind == "bright" and found.found.transform.flip_y == done.flip_y


@pytest.mark.parametrize(("entry", "diameter_px"), [("empiar10017", 10.8), ("empiar10059", 7.0), ("empiar10059", 12.0)])
def test_a_diameter_that_is_much_too_small_accuses_nobody(shared_real, entry, diameter_px):
    found = examine(
        str(shared_real / entry / "images"), shared_real / entry / "truth", diameter_px=diameter_px, pixel_size=1.77, most=2
    )
    assert found.healthy and found.doubted_px == diameter_px, sentence(found)


@pytest.mark.parametrize("entry", ENTRIES)
def test_angstrom_are_told_by_name(shared_real, cases, entry):
    written = {stem: 1.77 * c for stem, c in truth(shared_real, entry).items()}
    found = diagnose(cases(entry, written), ENTRIES[entry], 1.77).found.transform
    assert found.words() == "in Angstrom" and found.scale == (1 / 1.77, 1 / 1.77)


@pytest.mark.parametrize("tool", PEERS)
def test_box_is_right_as_we_read_it_and_wrong_as_numbers(shared_real, cases, tool):
    picks = centres(shared_real / "empiar10017" / "peers" / tool)
    assert diagnose(cases("empiar10017", picks), 108).kind == "right"
    corners = {stem: found - 90 for stem, found in picks.items()}
    found = diagnose(cases("empiar10017", corners), 108)
    assert found.kind == "wrong"
    np.testing.assert_allclose(found.found.transform.offset, 90, atol=6)


def test_the_authors_stars_are_binned(shared_real, cases):
    """Counted from 1, too, but that is 3 px: less than the pickers on these micrographs are off centre by themselves."""
    found = diagnose(cases("empiar10017", centres(shared_real / "empiar10017" / "drpnet2019")), 108)
    assert found.kind == "wrong" and found.found.transform == Transform(scale=(3.0, 3.0))
    assert found.found.better_in == 2 and found.gain > 10


def test_cryoppp_counts_from_the_last_row(shared_real, cases):
    found = diagnose(cases("empiar10017", centres(shared_real / "empiar10017" / "cryoppp")), 108)
    assert found.kind == "wrong" and found.found.transform == Transform(flip_y=True)


def test_the_manual_star_is_right(shared_real, cases):
    found = diagnose(cases("empiar10017", centres(shared_real / "empiar10017" / "empiar_manual")), 108)
    assert found.kind == "right" and found.found.transform == IDENTITY


def test_micrographs_without_particles_have_nothing(shared_real):
    rng = np.random.default_rng(0)
    for path in sorted((shared_real / "particle_free").rglob("*.png"))[:8]:
        image = read_micrograph(path)[0]
        darkness = darkness_of_image(shrink(image, 4), 8)
        picks = rng.uniform(0, np.array(image.shape) - 1, (150, 2))
        found = diagnose(Evidence([Case(path.stem, picks, image.shape, darkness, 4)]), 32)
        assert found.found.transform == IDENTITY and found.kind in ("nothing", "unknown"), path
