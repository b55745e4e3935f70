"""Files as real programs wrote them, in one frame: that of the deposited .mrc files."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from drpnet.io.coordinates import read_coordinate_set, read_coordinates
from drpnet.io.find import find_micrographs
from drpnet.io.micrographs import read_micrograph, read_shape

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
SOURCE = REAL / "empiar10017"
STEM = "Falcon_2012_06_12-14_33_35_0"
MANUAL = "Falcon_2012_06_12-14_57_34_0"
PEERS = ("crYOLO", "topaz", "deepPicker")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (REAL / "prepare.py").exists(), reason="the real micrographs are not in ../shared/real"
    ),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One micrograph laid out by the script that comes with the data, as .mrc and .star."""
    spec = importlib.util.spec_from_file_location("prepare", REAL / "prepare.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = tmp_path_factory.mktemp("real")
    names = [f"images/{STEM}.jpg", f"truth/{STEM}.csv", *(f"peers/{tool}/{STEM}.box" for tool in PEERS)]
    for name in names:
        link = folder / "in" / "empiar10017" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(SOURCE / name)
    script.HERE = folder / "in"
    assert script.prepare("empiar10017", folder / "out") == 1
    return folder / "out" / "empiar10017"


def offsets(picks, truth, within):
    """Offsets (k, 2) of the picks to their nearest true centre, as far as one lies `within` px."""
    distance, nearest = cKDTree(truth).query(picks)
    return (picks - truth[nearest])[distance < within]


def test_micrograph_from_mrc_is_the_picture_turned_back(prepared):
    (entry,) = find_micrographs(str(prepared / "micrographs")).entries
    image, pixel_size = read_micrograph(entry.path)
    picture, unknown = read_micrograph(SOURCE / "images" / f"{STEM}.jpg")
    assert read_shape(entry.path) == image.shape == (4096, 4096)
    assert pixel_size == 1.77 and unknown is None
    np.testing.assert_array_equal(image, picture[::-1])


@pytest.mark.parametrize("tool", PEERS)
def test_box_and_star_of_the_peers_agree(prepared, tool):
    boxes = read_coordinate_set(SOURCE / "peers" / tool)
    star = read_coordinate_set(prepared / "peers" / tool)[STEM]
    np.testing.assert_array_equal(boxes[STEM].centres, star.centres)
    np.testing.assert_allclose(boxes[STEM].scores, star.scores, atol=1e-6)
    assert len(boxes) == 7


def test_cryolo_lies_on_the_truth_in_the_mrc_frame(prepared):
    truth = read_coordinates(prepared / "truth" / f"{STEM}.star", micrograph_shape=(4096, 4096)).centres
    picks = read_coordinates(
        SOURCE / "peers" / "crYOLO" / f"{STEM}.box", micrograph_shape=(4096, 4096)
    ).centres
    near = offsets(picks, truth, 30)
    assert len(near) > 0.8 * len(picks)
    assert (np.abs(np.median(near, axis=0)) < 3).all()
    flipped = offsets(picks * [-1, 1] + [4095, 0], truth, 30)
    swapped = offsets(picks[:, ::-1], truth, 30)
    corners = offsets(picks - 90, truth, 30)
    assert max(len(flipped), len(swapped), len(corners)) < 0.5 * len(near)


def test_cryoppp_csv_is_in_the_frame_of_the_picture(prepared):
    published = read_coordinate_set(SOURCE / "cryoppp")[STEM].centres
    recovered = read_coordinates(SOURCE / "truth" / f"{STEM}.csv").centres
    truth = read_coordinates(prepared / "truth" / f"{STEM}.star").centres
    assert len(offsets(published, recovered, 5)) > 0.95 * len(published)
    np.testing.assert_allclose(truth, recovered * [-1, 1] + [4095, 0], atol=1e-9)


def test_stars_of_the_authors_are_binned_and_1_based(prepared):
    found = read_coordinate_set(SOURCE / "drpnet2019")
    assert sorted(found) == [STEM, MANUAL]
    truth = read_coordinates(prepared / "truth" / f"{STEM}.star").centres
    picks = (found[STEM].centres - 1 + 0.5) * 3 - 0.5
    near = offsets(picks, truth, 54)
    assert len(near) > 0.75 * len(picks)
    assert (np.abs(np.median(near, axis=0)) < 5).all()


def test_manual_star_without_scores():
    manual = read_coordinate_set(SOURCE / "empiar_manual")[MANUAL]
    assert manual.scores is None and manual.centres.shape[1] == 2 and len(manual.centres) > 500


@pytest.mark.parametrize(
    "dataset", ["empiar10017", "empiar10028", "empiar10059", "empiar10146", "particle_free"]
)
def test_every_picture_is_found_and_read(dataset):
    entries = find_micrographs(str(REAL / dataset)).entries
    assert len(entries) == {"empiar10017": 10, "particle_free": 8}.get(dataset, 5)
    image, pixel_size = read_micrograph(entries[0].path)
    assert image.shape == read_shape(entries[0].path) and image.std() > 0 and pixel_size is None
