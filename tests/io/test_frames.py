"""Frames settled by the pictures: particles are darker than random places; read upside down or as corners, they are not."""

import numpy as np
import pytest

from drpnet.io.coordinates import read_coordinate_set, read_coordinates, upside_down
from drpnet.io.micrographs import read_micrograph

pytestmark = pytest.mark.real

FIRST, MANUAL = "Falcon_2012_06_12-14_33_35_0", "Falcon_2012_06_12-14_57_34_0"
PEERS = ("crYOLO", "topaz", "deepPicker")
RIGHT, WRONG = 0.7, 0.3
"""Right readings measure 1.0 (DeepPicker, half of whose picks are none) to 3.2 standard deviations, wrong ones up to 0.2."""


@pytest.fixture(scope="module")
def mrc_frame(shared_real, smoothed):
    """Two micrographs of EMPIAR-10017 turned back to the rows of the .mrc files."""
    folder = shared_real / "empiar10017" / "images"
    return {stem: smoothed(read_micrograph(folder / f"{stem}.jpg")[0][::-1], 50) for stem in (FIRST, MANUAL)}


def flip(centres, height=4096):
    return centres * [-1, 1] + [height - 1, 0]


def test_random_places_have_no_contrast(mrc_frame):
    places = np.random.default_rng(0).uniform(100, 3996, (3000, 2))
    assert abs(mrc_frame[FIRST].contrast(places)) < 0.08


@pytest.mark.parametrize("tool", PEERS)
def test_box_is_a_corner_in_the_rows_of_the_mrc(shared_real, mrc_frame, tool):
    centres = read_coordinates(shared_real / "empiar10017" / "peers" / tool / f"{FIRST}.box").centres
    assert mrc_frame[FIRST].contrast(centres) > RIGHT
    wrong = flip(centres), centres[:, ::-1], centres - 90, centres + 90
    assert max(mrc_frame[FIRST].contrast(other) for other in wrong) < WRONG


@pytest.mark.parametrize("stem", [FIRST, MANUAL])
def test_stars_of_the_released_code_are_binned_counted_from_1_and_not_flipped(shared_real, mrc_frame, stem):
    written = read_coordinate_set(shared_real / "empiar10017" / "drpnet2019")[stem].centres
    centres = (written - 1) * 3 + 1
    assert mrc_frame[stem].contrast(centres) > RIGHT
    assert max(mrc_frame[stem].contrast(other) for other in (flip(centres), written, centres[:, ::-1])) < WRONG


def test_manual_star_of_relion_is_in_the_rows_of_the_mrc(shared_real, mrc_frame):
    centres = read_coordinate_set(shared_real / "empiar10017" / "empiar_manual")[MANUAL].centres
    assert mrc_frame[MANUAL].contrast(centres) > RIGHT
    assert mrc_frame[MANUAL].contrast(flip(centres)) < WRONG


def test_cryoppp_csv_counts_from_the_last_row_of_the_mrc(shared_real, mrc_frame):
    published = read_coordinate_set(shared_real / "empiar10017" / "cryoppp")[FIRST]
    assert mrc_frame[FIRST].contrast(upside_down(published, 4096).centres) > RIGHT
    assert mrc_frame[FIRST].contrast(published.centres) < WRONG


def test_cs_of_the_same_particles_arrives_in_the_rows_of_the_mrc(shared_real, mrc_frame, tmp_path):
    """CryoPPP's numbers are cryoSPARC's: fractions of the micrograph times its size."""
    published = read_coordinate_set(shared_real / "empiar10017" / "cryoppp")[FIRST].centres
    names = "location/center_y_frac", "location/center_x_frac"
    table = np.zeros(len(published), dtype=[("location/micrograph_shape", "<u4", (2,)), *((name, "<f4") for name in names)])
    table["location/micrograph_shape"] = 4096
    for name, values in zip(names, published.T, strict=True):
        table[name] = values / 4096
    with (tmp_path / "picks.cs").open("wb") as file:
        np.save(file, table)
    centres = read_coordinates(tmp_path / "picks.cs", micrograph_shape=(4096, 4096)).centres
    assert mrc_frame[FIRST].contrast(centres) > RIGHT
    np.testing.assert_allclose(centres, flip(published) + [1, 0], atol=0.01)


@pytest.mark.parametrize(("entry", "width", "least"), [("empiar10028", 26, 1.5), ("empiar10059", 18, 0.2)])
def test_truth_of_the_other_entries_is_in_the_rows_of_their_pictures(shared_real, smoothed, entry, width, least):
    folder = shared_real / entry
    for path in sorted(folder.glob("truth/*.csv"))[:2]:
        image = read_micrograph(folder / "images" / f"{path.stem}.png")[0]
        picture, centres = smoothed(image, width), read_coordinates(path).centres
        assert picture.contrast(centres) > least and picture.contrast(flip(centres, len(image))) < min(least, 0.2)
