"""The page in a real browser: what the slider changes, what is saved, and that nothing is asked from the network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import starfile

from drpnet.cut import cut
from drpnet.evaluation.evaluate import Extras, evaluate
from drpnet.io.coordinates import read_coordinate_set
from drpnet.report.report import Options, report
from tests.report.conftest import Scene
from tests.report.test_report import foreign, of_all

PLAIN = Extras(resamples=0, chance_draws=0)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """The system's Chromium, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


class Open:
    """A page with what went wrong in it and what it asked for."""

    def __init__(self, browser, path: Path, **context) -> None:
        self.context = browser.new_context(viewport={"width": 1300, "height": 900}, **context)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("#view-0 image")

    def numbers(self, which: int = 0) -> dict[str, str]:
        """What stands beside a slider, once the frame that draws it has passed."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shown = self.page.locator(f"#numbers-{which} [data-number]")
        return {one.get_attribute("data-number"): one.inner_text() for one in shown.all()}

    def marks(self, kind: str, place: str = "#view-0") -> int:
        """How many marks of a kind are drawn."""
        path = self.page.locator(f"{place} path.{kind}")
        return path.get_attribute("d").count("M") if path.count() else 0


@pytest.fixture
def open_page(browser) -> Iterator:
    opened = []

    def run(path: Path, **context) -> Open:
        opened.append(Open(browser, path, **context))
        return opened[-1]

    yield run
    for one in opened:
        assert one.problems == []
        assert [url for url in one.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        one.context.close()


def test_the_slider_shows_what_evaluate_says(scene: Scene, tmp_path: Path, open_page) -> None:
    report(scene.picks, tmp_path / "page.html", Options(truth=scene.truth))
    shown = open_page(tmp_path / "page.html")
    assert shown.page.locator("#slider-0").input_value() == "40"
    for threshold in (0.4, 0.0, 0.07, 0.55, 0.83, 1.0):
        shown.page.locator("#slider-0").fill(str(round(threshold * 100)))
        cut(scene.picks, threshold)
        told = evaluate(scene.picks, scene.truth, diameter_px=24, extras=PLAIN)
        hits = sum(row["true_picks"] for row in told["per_micrograph"])
        assert shown.numbers() == {
            "picks": str(told["picks"]), "true": str(hits), "false": str(told["picks"] - hits),
            "missed": str(told["truth"] - hits), "precision": f"{told['precision']:.3f}",
            "recall": f"{told['recall']:.3f}", "F": f"{told['f_measure']:.3f}",
        }  # fmt: skip
        first = next(row for row in told["per_micrograph"] if row["micrograph"] == "a/one")
        drawn = [shown.marks(kind) for kind in ("true", "false", "missed")]
        right = first["true_picks"]
        assert drawn == [right, first["picks"] - right, first["truth"] - right]
    assert f"AP {evaluate_all(scene):.3f}" in shown.page.locator("#charts").inner_html()


def evaluate_all(scene: Scene) -> float:
    cut(scene.picks, 0.0)
    return evaluate(scene.picks, scene.truth, diameter_px=24, extras=PLAIN)["average_precision"]


def test_the_saved_star_is_that_of_drpnet_threshold(scene: Scene, tmp_path: Path, open_page) -> None:
    report(scene.picks, tmp_path / "page.html")
    shown = open_page(tmp_path / "page.html")
    shown.page.locator("#at-0").fill("0.555")
    shown.page.locator("#at-0").press("Enter")
    with shown.page.expect_download() as waiting:
        shown.page.locator("#save-0").click()
    saved = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    assert saved.name == "picks_at_0.555.star"
    cut(scene.picks, 0.555)
    blocks, expected = starfile.read(saved), starfile.read(scene.picks / "particles.star")
    order = ["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY"]
    for name in ("optics", "particles"):
        assert list(blocks[name].columns) == list(expected[name].columns)
    one, two = (table["particles"].sort_values(order).reset_index(drop=True) for table in (blocks, expected))
    assert one.equals(two) and len(one) == int(shown.numbers()["picks"]) > 20
    assert blocks["optics"].equals(expected["optics"])
    ours = read_coordinate_set(saved)
    assert set(ours) == {"mics/a/one", "two", "mics/b/one"} and min(ours["two"].scores) >= 0.555
    for threshold in (2, None):  # nothing, and all
        if threshold is None:
            shown.page.locator("#slider-0").fill("0")
        else:
            shown.page.locator("#at-0").fill(str(threshold))
            shown.page.locator("#at-0").press("Enter")
        with shown.page.expect_download() as waiting:
            shown.page.keyboard.press("s") if threshold is None else shown.page.locator("#save-0").click()
        waiting.value.save_as(saved)
        assert len(starfile.read(saved, always_dict=True)["particles"]) == (0 if threshold else 222)


def test_the_keys_move_everything(scene: Scene, tmp_path: Path, open_page) -> None:
    report(scene.picks, tmp_path / "page.html", Options(truth=scene.truth))
    shown = open_page(tmp_path / "page.html", color_scheme="dark")
    page, title = shown.page, shown.page.locator("#viewer-title")
    before = int(shown.numbers()["picks"])
    page.locator("#slider-0").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#at-0").input_value() == "0.39" and int(shown.numbers()["picks"]) >= before
    page.keyboard.press("]")
    page.keyboard.press("]")
    shown.numbers()
    assert page.locator("#at-0").input_value() == "0.41"
    page.keyboard.press("n")
    assert title.inner_text() == "two"
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert title.inner_text() == "empty"
    page.keyboard.press("n")
    assert shown.marks("rejected") == 0
    page.keyboard.press("r")
    kept, every = page.locator("#views figcaption").inner_text().split(" candidates")[0].split(" of ")
    assert shown.marks("rejected") == int(every) - int(kept)
    whole = page.locator("#view-0").get_attribute("viewBox")
    page.keyboard.press("+")
    assert page.locator("#view-0").get_attribute("viewBox") != whole
    page.keyboard.press("0")
    assert page.locator("#view-0").get_attribute("viewBox") == whole
    page.keyboard.press("i")
    assert page.locator("#view-0 .marks path").count() == 0
    page.locator("#slider-0").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_the_table_begins_with_doubt_and_opens_micrographs(scene: Scene, tmp_path: Path, open_page) -> None:
    report(scene.picks, tmp_path / "page.html", Options(truth=scene.truth))
    page = open_page(tmp_path / "page.html").page
    doubts = [float(text) for text in page.locator("tbody tr td:nth-child(5)").all_inner_texts() if text != "–"]
    assert len(doubts) == 3 and doubts == sorted(doubts, reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("doubt")
    page.get_by_role("button", name="picks", exact=True).click()
    picks = [int(text) for text in page.locator("tbody tr td:nth-child(3)").all_inner_texts()]
    assert picks == sorted(picks, reverse=True)
    page.locator("tbody button", has_text="b/one").click()
    assert page.locator("#viewer-title").inner_text() == "b/one"
    page.locator(".tile").first.click()
    assert float(page.locator("#view-0").get_attribute("viewBox").split()[2]) == 8 * 24


def test_particles_and_means_follow_the_threshold(scene: Scene, tmp_path: Path, open_page) -> None:
    report(scene.picks, tmp_path / "page.html", Options(truth=scene.truth))
    shown = open_page(tmp_path / "page.html")
    for threshold in (0.4, 0.8):
        shown.page.locator("#slider-0").fill(str(round(100 * threshold)))
        shown.page.locator("#slider-0").dispatch_event("change")
        numbers = shown.numbers()
        captions = shown.page.locator("#means figcaption").all_inner_texts()
        told = [
            f"{word} ({numbers[key]})"
            for word, key in (("picks", "picks"), ("true picks", "true"), ("false picks", "false"))
        ]
        assert captions == [
            *told,
            f"missed particles ({numbers['missed']})",
            f"rejected ({222 - int(numbers['picks'])})",
        ]
        rejected = shown.page.locator("h3:has-text('Rejected') + .tiles .tile span").all_inner_texts()
        assert max(float(text.split()[0]) for text in rejected) < threshold


def test_a_click_on_a_mark_tells_its_scores(scene: Scene, tmp_path: Path, open_page) -> None:
    report(scene.picks, tmp_path / "page.html")
    shown = open_page(tmp_path / "page.html")
    star = read_coordinate_set(scene.picks / "candidates")["a/one"]
    y, x = star.centres[np.argmax(star.scores)]
    box = shown.page.locator("#view-0").bounding_box()
    shown.page.mouse.click(box["x"] + (x + 0.5) / 340 * box["width"], box["y"] + (y + 0.5) / 260 * box["height"])
    said = shown.page.locator("#particle").inner_text()
    assert f"figure of merit {star.scores.max():.3g}" in said and "detection score" in said and "pick" in said
    assert shown.page.locator("#view-0 .here").count() == 1


def test_two_pickers_have_a_threshold_each(scene: Scene, tmp_path: Path, open_page) -> None:
    other = foreign(tmp_path / "other", of_all(3))
    report(scene.picks, tmp_path / "page.html", Options(truth=scene.truth, also={"Other": other}))
    shown = open_page(tmp_path / "page.html")
    assert shown.page.locator("#views svg").count() == 2 and shown.numbers(1)["picks"] == "48"
    first = shown.numbers(0)
    shown.page.locator("#slider-1").fill("75")
    assert shown.numbers(0) == first and int(shown.numbers(1)["picks"]) < 48
    shown.page.locator("#picker").select_option("1")
    shown.numbers(1)
    assert sum(int(text) for text in shown.page.locator("tbody tr td:nth-child(3)").all_inner_texts()) == int(
        shown.numbers(1)["picks"]
    )


def test_two_pickers_are_compared_where_both_picked(scene: Scene, tmp_path: Path, open_page) -> None:
    other = foreign(tmp_path / "other", {name: rows for name, rows in of_all(3).items() if name != "a/two"})
    report(scene.picks, tmp_path / "page.html", Options(truth=scene.truth, also={"Other": other}))
    shown = open_page(tmp_path / "page.html")
    cut(scene.picks, 0.4)
    extras = Extras(resamples=0, chance_draws=0, also={"Other": other})
    told = evaluate(scene.picks, scene.truth, diameter_px=24, extras=extras)["comparison"]
    for which, row in enumerate(told["rows"]):
        assert [shown.numbers(which)[key] for key in ("precision", "recall", "F")] == [
            f"{row[key]:.3f}" for key in ("precision", "recall", "f_measure")
        ]


def test_picks_without_scores_can_be_looked_at_and_saved(scene: Scene, tmp_path: Path, open_page) -> None:
    other = foreign(tmp_path / "other", of_all(2))
    report(other, tmp_path / "page.html", Options(str(scene.micrographs), scene.truth, diameter_px=24))
    shown = open_page(tmp_path / "page.html")
    assert shown.page.locator("#slider-0").is_disabled() and shown.numbers()["picks"] == "48"
    with shown.page.expect_download() as waiting:
        shown.page.locator("#save-0").click()
    waiting.value.save_as(tmp_path / "saved.star")
    saved = read_coordinate_set(tmp_path / "saved.star")
    assert sum(len(one.centres) for one in saved.values()) == 48
    assert all(one.scores is None for one in saved.values())


def test_pictures_far_away_are_not_decoded(scene: Scene, tmp_path: Path, open_page) -> None:
    report(scene.picks, tmp_path / "page.html")
    page = open_page(tmp_path / "page.html").page
    page.set_viewport_size({"width": 400, "height": 300})
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_function("document.querySelectorAll('.thumb image').length === 0")
    page.locator(".thumb").first.scroll_into_view_if_needed()
    page.wait_for_selector(".thumb image", state="attached")
