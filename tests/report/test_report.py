"""The data of a page against `drpnet evaluate`, and what happens with data that are incomplete or wrong."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drpnet.cli import app
from drpnet.cut import cut
from drpnet.errors import InputError
from drpnet.evaluation.evaluate import Extras, evaluate
from drpnet.io.coordinates import read_coordinate_set
from drpnet.io.micrographs import write_micrograph
from drpnet.io.picks import Candidates, write_autopick_star, write_candidates_star
from drpnet.ledger import candidates_path, read_manifest
from drpnet.report.images import TILE, cut_out, particle_frame
from drpnet.report.particles import sample_ranks, sampled
from drpnet.report.report import Options, Report, report
from drpnet.report.thresholds import thresholds_of
from tests.report.conftest import DIAMETER_PX, NAMES, SHAPE, Scene, page_data

PLAIN = Extras(resamples=0, chance_draws=0)


def counts_at(data: dict, threshold: float, picker: int = 0) -> tuple[int, int, int]:
    """True picks, picks and labels of the labelled micrographs, as the page's script counts them."""
    hits = picks = truth = 0
    for one, found in zip(data["micrographs"], data["pickers"][picker]["found"], strict=True):
        if found is None or found["m"] is None:
            continue
        k = len(found["x"]) if found["s"] is None else sum(score >= threshold for score in found["s"])
        hits += found["m"][:k].count("t")
        picks += k - found["m"][:k].count("-")
        truth += len(one["truth"]["x"])
        assert found["m"][:k].count("t") == sum(0 <= row < k for row in found["w"]), "true picks and found labels"
    return hits, picks, truth


@pytest.mark.parametrize("border", [0.0, 30.0])
def test_every_threshold_has_the_counts_of_evaluate(scene: Scene, tmp_path: Path, border: float) -> None:
    out = tmp_path / "page.html"
    report(scene.picks, out, Options(truth=scene.truth, radius_px=12, border_px=border))
    data = page_data(out)
    assert data["labels"] == {"radius": 12, "border": border}
    for threshold in (0.0, 0.2, 0.25, 0.4, 0.7, 0.95, 1.0):
        cut(scene.picks, threshold)
        told = evaluate(scene.picks, scene.truth, radius_px=12, border_px=border, extras=PLAIN)
        hits, picks, truth = counts_at(data, threshold)
        assert (picks, truth) == (told["picks"], told["truth"])
        assert hits == sum(row["true_picks"] for row in told["per_micrograph"])
        assert hits / max(picks, 1) == pytest.approx(told["precision"])


def test_the_radius_follows_from_the_pick_or_from_the_diameter(scene: Scene, tmp_path: Path) -> None:
    for options, radius in (
        (Options(truth=scene.truth), DIAMETER_PX / 2),
        (Options(truth=scene.truth, diameter_px=20), 10),
    ):
        report(scene.picks, tmp_path / "page.html", options)
        data = page_data(tmp_path / "page.html")
        assert data["labels"]["radius"] == radius and data["micrographs"][0]["d"] == 2 * radius


def test_a_pick_folder_tells_names_threshold_scores_and_the_star(scene: Scene, tmp_path: Path) -> None:
    done = report(scene.picks, tmp_path / "page.html")
    data = page_data(tmp_path / "page.html")
    assert [one["name"] for one in data["micrographs"]] == ["a/one", "two", "b/one", "empty"]
    assert done.notes == [] and done.micrographs == 4 and done.candidates == {"picks": 222}
    assert done.size == (tmp_path / "page.html").stat().st_size
    (picker,) = data["pickers"]
    assert picker["start"] == 0.4 and picker["about"] == "classifier: none" and len(picker["values"]) == 101
    found = picker["found"][0]
    assert found["s"] == sorted(found["s"], reverse=True) and found["c"] is None
    assert found["d"] == pytest.approx(np.array(found["s"]) / 2)
    assert picker["found"][3] == {"x": [], "y": [], "s": [], "d": None, "c": None, "m": None, "w": None}
    # its rows are those of `drpnet threshold`
    cut(scene.picks, 0.6)
    expected = (scene.picks / "particles.star").read_text()
    star, rows = picker["star"], []
    for one, before, behind in zip(picker["found"], star["before"], star["behind"], strict=True):
        kept = [i for i, score in enumerate(one["s"]) if score >= 0.6]
        rows += [f"{before}\t{one['x'][i]:.9g}\t{one['y'][i]:.9g}\t{one['s'][i]:.9g}{behind}\n" for i in kept]
    head, *written = [f"{line}\n" for line in expected.removesuffix(star["foot"]).splitlines() if "mics/" in line] or [
        ""
    ]
    assert sorted(rows) == sorted([head, *written])
    assert expected.startswith(star["head"]) and expected.endswith(star["foot"])


def test_pictures_and_particles_are_where_they_should_be(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(0, 1, (300, 400)).astype(np.float32)
    y, x = np.mgrid[:300, :400]
    image[np.hypot(y - 100, x - 250) < 40] -= 8
    frame = particle_frame(image, 80)
    (tile,) = cut_out(frame, np.array([[100.0, 250.0]]))
    darkest = np.argwhere(tile < tile.min() / 2).mean(axis=0)
    assert tile.shape == (TILE, TILE) and np.abs(darkest - TILE // 2).max() < 1.5
    small = particle_frame(image, 8)  # nothing is enlarged before it is cut out
    assert small.image.shape == image.shape and cut_out(small, np.array([[2.0, 3.0]])).shape == (1, TILE, TILE)


def test_the_page_holds_a_picture_of_every_micrograph(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    report(scene.picks, out)
    text = out.read_text()
    for number in range(4):
        jpeg = text.split(f'id="picture-{number}">')[1].split("<")[0]
        with Image.open(io.BytesIO(base64.b64decode(jpeg))) as picture:
            assert picture.format == "JPEG" and picture.size == SHAPE[::-1]
    assert text.count("http://") == text.count("http://www.w3.org/2000/svg") and "https://" not in text


def test_a_file_name_cannot_end_the_data(scene: Scene, tmp_path: Path) -> None:
    manifest = read_manifest(scene.picks)
    manifest["note"] = "</script><script>alert(1)</script>"
    (scene.picks / "run.json").write_text(json.dumps(manifest))
    report(scene.picks, tmp_path / "page.html")
    assert "<script>alert" not in (tmp_path / "page.html").read_text()
    assert page_data(tmp_path / "page.html")["pickers"][0]["about"] == manifest["note"]


def test_the_sample_has_the_best_and_the_rest_evenly() -> None:
    assert sample_ranks(5, 10).tolist() == [0, 1, 2, 3, 4]
    ranks = sample_ranks(1000, 100, 10)
    assert len(ranks) == 100 and ranks[:10].tolist() == list(range(10)) and ranks[-1] == 999
    scores = [np.array([0.9, 0.1]), np.empty(0), np.array([0.8, 0.7, 0.2])]
    assert [rows.tolist() for rows in sampled(scores, 10)] == [[0, 1], [], [0, 1, 2]]


@pytest.mark.parametrize(
    ("scores", "ends", "decimals"),
    [([0.1, 0.9], (0, 1), 2), ([], (0, 1), 2),
     ([0.5, 0.5], (0, 1), 2), ([-5.2, 3.1], (-5.2, 3.2), 1), ([700, 700], (700, 707), 0),
     ([1.00001, 1.00002], (1.00001, 1.000021), 7)],
)  # fmt: skip
def test_the_slider_begins_with_all_picks_and_ends_with_none(scores: list, ends: tuple, decimals: int) -> None:
    found = thresholds_of(np.array(scores, float))
    assert found.values[0] == pytest.approx(ends[0], abs=1e-9) and found.values[-1] == pytest.approx(ends[1], rel=0.02)
    assert (np.diff(found.values) > 0).all() and found.start == found.values[0] and found.decimals == decimals
    if scores:
        assert found.values[0] <= min(scores) and (found.values[-1] > max(scores) or found.values[-1] == 1)


# --------------------------------------------------------------------------------------------------- incomplete data


def write(scene: Scene, tmp_path: Path, **options) -> tuple[Report, dict]:
    done = report(scene.picks, tmp_path / "page.html", Options(**options))
    return done, page_data(tmp_path / "page.html")


def test_truth_for_half_the_micrographs(scene: Scene, tmp_path: Path) -> None:
    for name in ("a/two", "b/empty"):
        (scene.truth / f"{name}.star").unlink()
    done, data = write(scene, tmp_path, truth=scene.truth)
    assert "labels are there for 2 of 4 micrographs" in done.notes[0]
    assert [one["truth"] is not None for one in data["micrographs"]] == [True, False, True, False]
    assert data["pickers"][0]["found"][1]["m"] is None


def test_one_name_in_two_folders_is_told_apart_or_left_unlabelled(scene: Scene, tmp_path: Path) -> None:
    for name in ("a/one", "b/one"):
        (scene.truth / f"{name}.star").rename(scene.truth / f"{name[0]}.star")
    (scene.truth / "a.star").rename(scene.truth / "one.star")
    done, data = write(scene, tmp_path, truth=scene.truth)
    assert any("several folders have the name: one" in note for note in done.notes)
    assert [one["truth"] is not None for one in data["micrographs"]] == [False, True, False, True]
    for name in ("a/two", "b/empty"):
        (scene.truth / f"{name}.star").unlink()
    (scene.truth / "b.star").unlink()
    with pytest.raises(InputError, match="micrograph one is in several folders"):
        write(scene, tmp_path, truth=scene.truth)


def test_labels_without_a_particle(scene: Scene, tmp_path: Path) -> None:
    for name in NAMES:
        write_autopick_star(scene.truth / f"{name}.star", np.empty((0, 2)), None)
    done, data = write(scene, tmp_path, truth=scene.truth)
    assert "the labels hold no particle: every pick is false, and without a pick all numbers are 1" in done.notes
    assert counts_at(data, 0.0) == (0, 222, 0)


def foreign(folder: Path, picks: dict[str, np.ndarray]) -> Path:
    """One .csv a micrograph from rows (n, 2) x, y or (n, 3) x, y, score."""
    for name, rows in picks.items():
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "x,y,score"[: 3 if rows.shape[1] == 2 else None]
        np.savetxt(path, rows, delimiter=",", header=head, comments="", fmt="%.6f")
    return folder


def of_all(columns: int, scores: float | None = None) -> dict[str, np.ndarray]:
    rows = np.random.default_rng(1).uniform(20, 200, (4, 12, columns))
    if scores is not None:
        rows[..., 2] = scores
    return dict(zip(NAMES, rows, strict=True))


def test_no_pick_at_all(scene: Scene, tmp_path: Path) -> None:
    picks = foreign(tmp_path / "other", {name: np.empty((0, 3)) for name in NAMES})
    options = Options(str(scene.micrographs), scene.truth, diameter_px=DIAMETER_PX)
    done = report(picks, tmp_path / "page.html", options)
    assert done.notes == ["other has not one pick on its 4 micrographs"]
    assert counts_at(page_data(tmp_path / "page.html"), 0.0) == (0, 0, 90)


def test_picks_without_scores(scene: Scene, tmp_path: Path) -> None:
    picks = foreign(tmp_path / "other", of_all(2))
    options = Options(str(scene.micrographs), scene.truth, diameter_px=DIAMETER_PX)
    done = report(picks, tmp_path / "page.html", options)
    data = page_data(tmp_path / "page.html")
    assert "the picks of other have no scores: there is no threshold to move" in done.notes
    assert data["pickers"][0]["values"] is None and data["pickers"][0]["found"][0]["s"] is None
    told = evaluate(picks, scene.truth, diameter_px=DIAMETER_PX, extras=PLAIN)
    assert counts_at(data, 0.0)[0] == sum(row["true_picks"] for row in told["per_micrograph"])
    assert "rlnAutopickFigureOfMerit" not in data["pickers"][0]["star"]["head"]


def test_scores_for_some_micrographs_only(scene: Scene, tmp_path: Path) -> None:
    picks = foreign(tmp_path / "other", {**of_all(3), "b/one": of_all(2)["b/one"]})
    done = report(picks, tmp_path / "page.html", Options(str(scene.micrographs), diameter_px=DIAMETER_PX))
    assert done.notes[0].startswith("1 of 4 micrographs of other, such as b/one, have no scores")
    assert page_data(tmp_path / "page.html")["pickers"][0]["values"] is None


def test_scores_that_are_all_equal(scene: Scene, tmp_path: Path) -> None:
    picks = foreign(tmp_path / "other", of_all(3, 7.0))
    done = report(picks, tmp_path / "page.html", Options(str(scene.micrographs), diameter_px=DIAMETER_PX))
    assert done.notes == ["all scores of other are 7: a threshold keeps all or nothing"]
    values = page_data(tmp_path / "page.html")["pickers"][0]["values"]
    assert values[0] == 7 < values[1]


def test_picks_in_another_frame_are_counted_and_labels_refused(scene: Scene, tmp_path: Path) -> None:
    rows = of_all(3)
    rows["a/two"][:5, 0] += 5000
    picks = foreign(tmp_path / "other", rows)
    done = report(picks, tmp_path / "page.html", Options(str(scene.micrographs), diameter_px=DIAMETER_PX))
    assert done.notes == ["5 picks of other lie outside their micrograph: another frame? `drpnet doctor` tells"]
    write_autopick_star(scene.truth / "a/two.star", np.array([[3000.0, 3000.0]]), None)
    with pytest.raises(InputError, match="lie outside the 260 x 340 micrograph"):
        write(scene, tmp_path, truth=scene.truth)


def test_a_micrograph_that_cannot_be_read_has_no_picture(scene: Scene, tmp_path: Path) -> None:
    (scene.micrographs / "a/two.mrc").write_bytes(b"no micrograph")
    (scene.micrographs / "b/one.mrc").unlink()
    done, data = write(scene, tmp_path)
    assert len(data["micrographs"]) == 4
    assert done.notes[0] == "1 micrographs, such as b/one, are no longer where they were: no picture"
    assert any("no picture:" in note and "two.mrc" in note for note in done.notes)


def test_a_micrograph_that_cannot_be_read_counts_wherever_it_was_looked_for(scene: Scene, tmp_path: Path) -> None:
    """With --micrographs, too: its picks are known, only its picture is not."""
    _, whole = write(scene, tmp_path, truth=scene.truth, radius_px=12)
    path = scene.micrographs / "a/two.mrc"
    path.write_bytes(path.read_bytes()[:2000])
    done, data = write(scene, tmp_path, truth=scene.truth, radius_px=12, micrographs=str(scene.micrographs))
    assert counts_at(data, 0.4) == counts_at(whole, 0.4)
    assert any("two.mrc" in note for note in done.notes)


def test_boxes_that_leave_the_micrograph_are_no_candidates(scene: Scene, tmp_path: Path) -> None:
    manifest = read_manifest(scene.picks)
    (scene.picks / "run.json").write_text(json.dumps({**manifest, "box_size": 40}))
    done, data = write(scene, tmp_path)
    kept = cut(scene.picks, 0.0).picks
    assert [len(found["x"]) for found in data["pickers"][0]["found"]] == list(kept.values())
    assert "candidates whose box of 40 px leaves the micrograph are left out" in done.notes[0]


def test_two_pickers_on_the_same_micrographs(scene: Scene, tmp_path: Path) -> None:
    rows = of_all(3)
    del rows["a/two"]
    picks = foreign(tmp_path / "topaz", rows)
    done, data = write(scene, tmp_path, truth=scene.truth, also={"Topaz": picks})
    assert [one["name"] for one in data["pickers"]] == ["picks", "Topaz"]
    assert data["pickers"][1]["found"][1] is None and data["pickers"][1]["merit"] == "score"
    (note,) = done.notes
    assert note.startswith("Topaz has no picks file for 1 of 4 micrographs") and note.endswith("that both pickers have")
    told = evaluate(picks, scene.truth, radius_px=12, extras=PLAIN)
    hits, count, truth = counts_at(data, -10, 1)
    assert (hits, count, truth) == (
        sum(row["true_picks"] for row in told["per_micrograph"]),
        told["picks"],
        told["truth"],
    )


def test_the_run_of_a_training(scene: Scene, tmp_path: Path) -> None:
    run = tmp_path / "run1"
    (run / "curves").mkdir(parents=True)
    (run / "config.yaml").write_text("seed: 3\n")
    (run / "metrics.json").write_text('{"dataset": "trpv1", "seed": 3, "scores": {}}')
    (run / "curves" / "metrics.csv").write_text("epoch,step,train_loss,val_f\n0,9,0.5,\n0,9,,0.7\n1,19,0.4,\n")
    _, data = write(scene, tmp_path, run=run)
    curves = (
        {"name": "train_loss", "epochs": [1, 2], "values": [0.5, 0.4]},
        {"name": "val_f", "epochs": [1], "values": [0.7]},
    )
    assert data["training"]["curves"] == list(curves)
    assert data["training"]["facts"] == {"dataset": "trpv1", "seed": 3} and data["training"]["config"] == "seed: 3\n"
    (run / "metrics.json").write_text("{")
    with pytest.raises(InputError, match="run1 holds a damaged record"):
        write(scene, tmp_path, run=run)


# --------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truth": "truth", "radius_px": 0}, "the matching radius is 0.*give pixels above 0"),
        ({"truth": "truth", "diameter_px": -3}, "the particle diameter is -3 px"),
        ({"truth": "truth", "radius_px": float("nan")}, "the matching radius is nan"),
        ({"radius_px": 10}, "--radius-px is for comparing with labels"),
        ({"truth": "truth", "border_px": 130}, "the border of 130 px leaves nothing"),
        ({"truth": "truth", "border_px": -1}, "the border is -1"),
        ({"truth": "nowhere"}, "nowhere does not exist"),
        ({"micrographs": "nowhere"}, "nowhere does not exist"),
        ({"run": "truth"}, "holds no config.yaml"),
        ({"also": {"picks": "picks"}}, "two pickers are called picks"),
        ({"also": {"x": "picks", "y": "picks"}}, "the page compares two pickers"),
    ],
)
def test_mistakes_end_in_one_line(scene: Scene, tmp_path: Path, options: dict, message: str) -> None:
    root = scene.picks.parent
    for key in ("truth", "run"):
        if key in options:
            options = {**options, key: root / options[key]}
    if "also" in options:
        options = {"also": {name: root / path for name, path in options["also"].items()}}
    with pytest.raises(InputError, match=message) as error:
        write(scene, tmp_path, **options)
    assert "\n" not in str(error.value) and not (tmp_path / "page.html").exists()


def test_picks_of_another_program_need_micrographs_and_a_diameter(scene: Scene, tmp_path: Path) -> None:
    picks, out = foreign(tmp_path / "other", of_all(3)), tmp_path / "page.html"
    with pytest.raises(InputError, match="give their folder with --micrographs"):
        report(picks, out)
    with pytest.raises(InputError, match="give it with --diameter-px"):
        report(picks, out, Options(str(scene.micrographs)))
    with pytest.raises(InputError, match=r"ends in \.html"):
        report(picks, tmp_path / "page.pdf", Options(str(scene.micrographs), diameter_px=9))


def test_coordinates_that_are_nan(scene: Scene, tmp_path: Path) -> None:
    rows = of_all(3)
    rows["a/two"][3, 1] = np.nan
    with pytest.raises(InputError, match="two.csv line 5"):
        report(foreign(tmp_path / "other", rows), tmp_path / "page.html", Options(str(scene.micrographs), diameter_px=9))
    bad = np.array([[3.0, np.nan], [4.0, 5.0]])
    write_candidates_star(candidates_path(scene.picks, "a", "two"), Candidates(bad, *np.zeros((3, 2))))
    with pytest.raises(InputError, match="two_candidates.star holds coordinates that are not finite"):
        write(scene, tmp_path)
    write_candidates_star(candidates_path(scene.picks, "a", "two"), Candidates(bad[1:], *np.full((3, 1), np.nan)))
    with pytest.raises(InputError, match="1 candidates without a figure of merit"):
        write(scene, tmp_path)


def test_micrographs_that_moved_or_changed(scene: Scene, tmp_path: Path) -> None:
    scene.micrographs.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="is no longer there.*give --micrographs FOLDER"):
        write(scene, tmp_path)
    _, data = write(scene, tmp_path, micrographs=str(tmp_path / "moved"))
    assert len(data["micrographs"]) == 4 and data["pickers"][0]["star"]["before"][0] == "mics/a/one.mrc"
    done, data = write(scene, tmp_path, micrographs=str(tmp_path / "moved" / "a"))
    assert len(data["micrographs"]) == 1 and "picked micrographs are not in" in done.notes[1]
    write_micrograph(tmp_path / "moved/a/two.mrc", np.random.default_rng(0).normal(size=(100, 100)).astype("f4"), 2.0)
    done, _ = write(scene, tmp_path, micrographs=str(tmp_path / "moved"))
    assert "two.mrc is 100 x 100 px, mics/a/two.mrc had 260 x 340 when it was picked" in done.notes[-1]


def test_the_console_says_what_it_wrote(scene: Scene, tmp_path: Path, capsys) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(SystemExit) as stop:
        app(["report", str(scene.picks), "--out", str(out), "--truth", str(scene.truth)])
    said = capsys.readouterr().out
    assert not stop.value.code and said.startswith(f"wrote {out}: 0.") and "222 candidates of picks" in said
    with pytest.raises(SystemExit) as stop:
        app(["report", str(scene.picks), "--out", str(out), "--truth", str(scene.truth), "--radius-px", "0"])
    assert stop.value.code == 2 and capsys.readouterr().err.startswith("error: the matching radius is 0")
    assert set(read_coordinate_set(scene.truth)) == {"a/one", "two", "b/one", "empty"}
