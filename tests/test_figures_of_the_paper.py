"""experiments/figure2 and experiments/figures3to5_picks on small simulated micrographs with the shipped weights."""

import functools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drpnet.cascade import Picker
from drpnet.config import PRESETS, SelectionConfig
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import score_micrographs
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import write_autopick_star
from drpnet.mining import Mined, mine_samples
from drpnet.model import CASCADE, load_model
from drpnet.simulation.parameters import SimulationParameters
from experiments.figure2 import __main__ as figure2
from experiments.figure2 import draw as drawing
from experiments.figure2 import sources
from experiments.figure2.page import picture_of, save_compact
from experiments.figure2.parts import TARGET, drawn, parts, seen, typical_particle
from experiments.figure2.sources import Shown, Source, simulated, trpv1
from experiments.figures3to5_picks import __main__ as figures3to5
from experiments.figures3to5_picks import scenes
from experiments.figures3to5_picks.draw import draw, letter
from experiments.figures3to5_picks.panels import Panel, caption, panel, panels, rule_in_words
from experiments.figures3to5_picks.scenes import Scene, best_on, scene

SMALL = SimulationParameters(
    structures=["trpv1"], height=300, width=320, pixel_size=6.0, particles_per_micrograph=14, snr_range=[0.1, 0.1],
    carbon_probability=0, contamination_probability=0, seed=4,
)  # fmt: skip


@functools.cache
def micrographs() -> tuple[Shown, ...]:
    return simulated(SMALL, range(2))


@functools.cache
def picker() -> Picker:
    return Picker(load_model(CASCADE))


def source() -> Source:
    return Source("simulated TRPV1", 173.0, True, micrographs())


@functools.cache
def shown():
    return parts(picker(), source(), tiles=5)


@pytest.fixture
def quick(monkeypatch):
    """Stand-ins are the two small micrographs, whatever is asked for."""
    asked = []

    def cached(parameters, indices):
        asked.append((parameters, indices))
        return micrographs()[: len(indices)]

    for module in (sources, scenes):
        monkeypatch.setattr(module, "simulated", cached)
    monkeypatch.setattr(scenes, "log_candidates", lambda *_: (np.array([[50.0, 60]]), np.ones(1)))
    return asked


def words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text")))


def test_the_particle_shown_stands_alone_and_is_of_median_height():
    centres = np.array([[100.0, 100], [100, 200], [100, 300], [200, 100], [205, 112], [300, 300], [3, 3]])
    heights = np.zeros((400, 400))
    for (y, x), height in zip(centres.astype(int), [0.1, 0.9, 0.5, 0.4, 0.45, 0.3, 0.2], strict=True):
        heights[y, x] = height
    micrograph = Shown("m", np.zeros((400, 400)), 2.0, centres)
    # alone: the first three and the sixth, .1 .9 .5 .3; the last is too near an edge, the others touch
    assert typical_particle(micrograph, heights, centres, 40.0) == 5
    with pytest.raises(InputError, match="m has no labelled particle to show"):
        typical_particle(Shown("m", np.zeros((400, 400)), 2.0, centres[6:]), heights, centres, 40.0)
    with pytest.raises(InputError, match="no labelled particle"):
        typical_particle(Shown("m", np.zeros((400, 400)), 2.0, None), heights, centres, 40.0)


def test_the_maps_shown_are_the_target_and_the_prediction_around_the_particle():
    one, view = micrographs()[0], shown()
    detection = picker().detect(one.image, one.pixel_size, 173.0)
    centre = view.centre / one.pixel_size - 0.5
    assert np.hypot(*(one.centres - centre).T).min() < 1e-9
    y, x = np.floor(detection.frame.from_micrograph(centre[None])[0] + 0.5).astype(int)
    reach = view.target.image.shape[0] // 2
    window = (slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1))
    np.testing.assert_array_equal(view.predicted.image, detection.distance_map[window])
    frame = detection.frame
    whole = TARGET(frame.image.shape, frame.from_micrograph(one.centres), frame.particle_diameter_px)
    np.testing.assert_array_equal(view.target.image, whole[window])
    assert view.target.image[reach, reach] > 0.9 and view.target.image[0].max() == 0
    # dark in its middle, as the field is wide: both views span two diameters
    middle = view.particle.image.shape[0] // 2
    assert view.particle.image[middle - 5 : middle + 6, middle - 5 : middle + 6].mean() < view.particle.image.mean()
    for part in (view.particle, view.target):
        assert part.image.shape[0] * part.pixel_size == pytest.approx(2 * 173, rel=0.05)


def test_the_samples_shown_are_those_that_were_selected():
    fields = [Mined(one.image, one.pixel_size) for one in micrographs()]
    selected = mine_samples(picker(), fields, 173.0, SelectionConfig(), 0)
    view = shown()
    np.testing.assert_array_equal(view.samples.patches, selected.patches)
    for chosen, label in ((view.positives, 1), (view.negatives, 0)):
        assert len(set(chosen.tolist())) == len(chosen) == min(5, (selected.labels == label).sum())
        assert set(selected.labels[chosen]) == {label}
    everyone = drawn(selected, 1, 10**6, np.random.default_rng(0))
    assert sorted(everyone) == np.flatnonzero(selected.labels == 1).tolist()


def test_the_page_of_figure2(monkeypatch):
    pages = []
    mosaic = drawing.mosaic
    monkeypatch.setattr(drawing, "mosaic", lambda patches, levels: pages.append(patches) or mosaic(patches, levels))
    view = shown()
    text = words(drawing.draw(view, figure2.title(source(), "w"), 173.0))
    assert "simulated TRPV1" in text and "weights w" in text
    counts = [int((view.samples.labels == label).sum()) for label in (1, 0)]
    assert f"positive samples: {len(view.positives)} of {counts[0]}" in text
    assert f"negative samples: {len(view.negatives)} of {counts[1]}" in text
    assert text.count("50 \N{ANGSTROM SIGN}") >= 3 and text.count("500 \N{ANGSTROM SIGN}") == 2
    diameter_px = 173.0 / view.patch_pixel_size
    for page, chosen in zip(pages, (view.positives, view.negatives), strict=True):
        np.testing.assert_allclose(page, seen(view.samples.patches[chosen], diameter_px), rtol=1e-6)


def test_mosaic_lays_the_tiles_in_rows():
    patches = np.arange(9, dtype=float)[:, None, None] * np.ones((9, 4, 4))
    page = drawing.mosaic(patches, (0.0, 8.0))
    assert page.shape == (2 * 4 + 3, 8 * 4 + 7 * 3)
    assert page[0, 7] == 1 / 8 and page[7, 0] == 1.0 and page[0, 5] == 1.0 and page[10, 40] == 1.0


def test_figure2_takes_the_entry_that_is_on_disk_and_else_a_stand_in(tmp_path, monkeypatch, quick):
    stand_in = trpv1(tmp_path, 2)
    assert stand_in.simulated and "simulated" in stand_in.title and len(stand_in.micrographs) == 2
    ((parameters, indices),) = quick
    assert parameters.structures == ["trpv1"] and indices == range(18, 20)  # of those that training never sees
    root, stem = tmp_path / "empiar10005", "stack_0001_2x_SumCorr"
    write_micrograph(root / "data/micrographs/summed_frames" / f"{stem}.mrc", micrographs()[0].image, 1.2156)
    labels = root / "data/TRPV1_coords_88915" / f"coordinate_{stem}_bin3.dat"
    labels.parent.mkdir(parents=True)
    labels.write_text("0 0 4 1230\n")
    found = trpv1(tmp_path, 4)
    assert not found.simulated and found.title == "EMPIAR-10005 (TRPV1)"
    assert [one.name for one in found.micrographs] == [stem] and len(found.micrographs[0].centres) == 1
    monkeypatch.setattr(sys, "argv", ["figure2", "--data-root", str(tmp_path), "--weights", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="error: no weights"):
        figure2.main()


def stand_in(**changes) -> Scene:
    one, other = micrographs()
    rng = np.random.default_rng(0)
    peer = np.concatenate([one.centres[:6] + 1, rng.uniform(0, 300, (5, 2))])
    facts = {"title": "a simulated stand-in", "border": 0.0, "peers": {"peer": peer}, "other": other, **changes}
    return Scene(3, simulated=True, micrograph=one, particle_diameter=173.0, **facts)


def test_numbers_in_the_captions_are_the_scores():
    here = stand_in()
    figure = panels(here, picker(), None)
    assert [one.name for one in figure] == ["DRPnet", "peer"] and figure[0].threshold is not None
    radius = 173.0 / 6.0 / 2
    for one in figure:
        result = score_micrographs({"m": (one.picks, None, here.micrograph.centres, radius)})
        numbers = re.fullmatch(r".*: (\d+) picks, P (\S+), R (\S+), F (\S+)", caption(one))
        assert numbers is not None
        expected = (result["picks"], result["precision"], result["recall"], result["f_measure"])
        assert tuple(map(float, numbers.groups())) == pytest.approx(expected, abs=6e-4)
        assert len(one.hit) + len(one.missed) == len(here.micrograph.centres)
        assert len(one.hit) + len(one.false) == len(one.picks)
    assert figure[0].scores["f_measure"] > 0.6 > 0.5 > figure[1].scores["precision"] - 0.2
    text = words(draw(here, figure, "w"))
    assert "simulated" in text and "weights w" in text and all(caption(one) in text for one in figure)
    assert "another simulated micrograph, simulated_0002" in text and "missed (dashed square)" in text
    record = figures3to5.record(here, figure, "w")
    assert record["panels"][0]["f_measure"] == figure[0].scores["f_measure"] and record["simulated"] is True


def test_thresholds():
    here = stand_in()
    found = picker().pick(here.other.image, 6.0, 173.0)
    best = best_on(here.other, 173.0, found.centres, found.figure_of_merit)
    tried = {}
    for value in [best, *found.figure_of_merit[::4]]:
        kept = found.centres[found.figure_of_merit >= value]
        tried[value] = score_micrographs({"m": (kept, None, here.other.centres, 173 / 12)})["f_measure"]
    assert tried[best] == max(tried.values()) > min(tried.values())
    assert panels(here, picker(), None)[0].threshold == best
    assert panels(here, picker(), 0.9)[0].threshold == 0.9
    assert panels(stand_in(other=None), picker(), None)[0].threshold == PRESETS["balanced"]
    assert best_on(here.other, 173.0, np.empty((0, 2)), np.empty(0)) == float("inf")


def test_the_border_does_not_count_and_no_labels_give_no_score():
    picks = np.array([[10.0, 10], [210, 200], [240, 260]])
    one = Shown("m", micrographs()[0].image, 6.0, np.array([[12.0, 10], [212, 200]]))
    here = Scene(5, "t", False, one, 173.0, 50.0, {})
    scored = panel(here, "p", picks)
    assert scored.scores == {"precision": 0.5, "recall": 1.0, "f_measure": pytest.approx(2 / 3), "picks": 2, "truth": 1}
    assert scored.hit.tolist() == [[210, 200]] and scored.false.tolist() == [[240, 260]]
    assert "within 50 px of an edge does not count" in rule_in_words(here, None, "w")
    text = words(draw(here, [scored], "w"))
    assert "in the border: not counted" in text and "simulated" not in text
    bare = Scene(4, "t", False, Shown("m", one.image, 6.0, None), 173.0, 0.0, {})
    unscored = panel(bare, "p", picks)
    assert unscored.scores is None and caption(unscored) == "p: 3 picks, no labels"
    text = words(draw(bare, [unscored, Panel("q", picks, picks, picks, picks, None)], "w"))
    assert "no labels, so nothing is scored" in text and "missed" not in text and "B  q" in text
    assert [letter(i, 3) for i in range(3)] == ["A", "B1", "B2"] and letter(1, 2) == "B"


def test_the_real_picture_and_its_peers_are_found(tmp_path):
    real, image = tmp_path / "real" / "empiar10017", micrographs()[0].image
    for stem in ("a", "b"):
        write_micrograph(real / "micrographs" / f"{stem}.mrc", image, 1.77)
        write_autopick_star(real / "truth" / f"{stem}.star", np.array([[200.0, 210]]), np.ones(1))
    (real / "peers" / "topaz").mkdir(parents=True)
    (real / "peers" / "topaz" / "b.box").write_text("100 150 20 20 0.5\n")
    here = scene(5, tmp_path, [])
    assert not here.simulated and here.border == 120 and here.title.endswith("denoised upstream: b")
    assert list(here.peers) == ["topaz"] and here.peers["topaz"].tolist() == [[160, 110]]
    given = tmp_path / "mine"
    write_autopick_star(given / "a_autopick.star", np.array([[5.0, 6]]), np.ones(1))
    here = scene(5, tmp_path, [given])
    assert here.micrograph.name == "a" and here.peers["mine"].tolist() == [[5, 6]]
    with pytest.raises(InputError, match="no micrograph has picks in all of"):
        scene(5, tmp_path, [given, real / "peers" / "topaz"])


def test_an_entry_without_labels(tmp_path):
    folder = tmp_path / "empiar10061" / "data" / "Micrographs"
    write_micrograph(folder / "EMD-2984_0001.mrc", micrographs()[0].image, 0.3185)
    here = scene(4, tmp_path, [])
    assert here.micrograph.centres is None and here.micrograph.pixel_size == 0.3185 and not here.simulated
    (folder / "EMD-2984_0001.mrc").unlink()
    with pytest.raises(InputError, match="incomplete data set"):
        scene(4, tmp_path, [])


def test_stand_ins_differ_and_say_so(tmp_path, quick):
    for figure, number in ((3, 10005), (4, 10061), (5, 10017)):
        here = scene(figure, tmp_path, [])
        assert here.simulated and f"simulated stand-in for EMPIAR-{number}" in here.title
        assert here.other is micrographs()[1] and list(here.peers) == [scenes.LOG]
    parameters, indices = zip(*quick, strict=True)
    assert [one.structures for one in parameters] == [["trpv1"], ["beta_galactosidase"], ["beta_galactosidase"]]
    assert parameters[1].pixel_size != parameters[2].pixel_size
    assert indices == (range(16, 18), range(2), range(2))


def test_the_command_writes_pictures_and_their_numbers(tmp_path, monkeypatch, quick):
    compact, out = tmp_path / "compact", tmp_path / "out"
    options = ["--data-root", tmp_path, "--out", out, "--compact", compact, "--figures", 4]
    monkeypatch.setattr(sys, "argv", ["figures3to5_picks", *map(str, options)])
    monkeypatch.setattr(figures3to5, "picture_of", lambda figure, dpi: picture_of(figure, 30))
    figures3to5.main()
    result = json.loads((compact / "result.json").read_text())["figure4"]
    assert result["simulated"] and [row["name"] for row in result["panels"]] == ["DRPnet", scenes.LOG]
    assert (compact / "figure4.jpg").is_file() and (out / "figure4.png").is_file()


def test_a_compact_picture_fits_and_keeps_its_shape(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (100, 200, 3), dtype=np.uint8)
    path = save_compact(Image.fromarray(noise), tmp_path / "n.jpg", limit=4_000)
    assert path.stat().st_size < 4_000
    width, height = Image.open(path).size
    assert width / height == pytest.approx(2, rel=0.02) and width < 200


@pytest.mark.parametrize("folder", ["figure2", "figures3to5_picks"])
def test_committed_pictures_are_small(repository: Path, folder):
    pictures = list((repository / "experiments" / folder).glob("*.jpg"))
    assert pictures and all(path.stat().st_size < 250_000 for path in pictures)


def test_the_readme_has_the_numbers_of_the_committed_result(repository: Path):
    folder = repository / "experiments" / "figures3to5_picks"
    readme = (folder / "README.md").read_text()
    for name, figure in json.loads((folder / "result.json").read_text()).items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| {name[-1]}, "))
        assert all(f"{one['f_measure']:.3f}" in row for one in figure["panels"])
        assert ("simulated" in row) is figure["simulated"]
