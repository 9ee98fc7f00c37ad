"""The runs of a sweep in a browser: the table, curves that go on, differences, a law."""

import json

import pytest
from explorable import open_run, served
from explored_sweep import make_sweep

DRAWN = ".plot .main-svg .scatterlayer .trace"


@pytest.fixture(scope="module")
def grid(explorable, tmp_path_factory):
    return make_sweep(tmp_path_factory.mktemp("sweep") / "grid", run=explorable)


@pytest.fixture(scope="module")
def address(grid):
    """Of a server of the sweep, in place of that of the run alone."""
    with served(open_run(grid / "n_latents=64")) as address:
        yield address


def test_runs_in_all_states_are_listed_also_on_a_telephone(page, pictures):
    page.goto("/runs")
    page.locator(DRAWN).first.wait_for()
    assert page.locator("main tbody").first.locator("tr").count() == 7
    notes = page.locator(".note").all_inner_texts()
    assert any("failed failed. the loss was not finite at step 8." in note for note in notes)
    assert any("unfinished unfinished. At step 8 of 40 (20 %)." in note for note in notes)
    assert any("has not the files that training writes" in note for note in notes)
    assert any("later not begun. It was not begun." in note for note in notes)
    page.set_viewport_size({"width": 420, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.wait_for_function("() => document.querySelector('.plot .main-svg').clientWidth <= 420")
    if pictures:
        page.screenshot(path=pictures / "runs-420.png", full_page=True)


def test_the_table_sorts_and_the_address_keeps_it(page):
    def names():
        return page.locator("main tbody").first.locator("th .mono").all_inner_texts()

    page.goto("/runs")
    page.get_by_role("button", name="fvu", exact=True).click()
    assert names()[:3] == ["n_latents=128", "n_latents=64", "n_latents=32"]
    assert page.evaluate("document.activeElement.id") == "sort-fvu"
    page.keyboard.press("Enter")
    assert names()[:3] == ["n_latents=32", "n_latents=64", "n_latents=128"]
    assert "sort=-fvu" in page.url
    page.reload()
    page.locator("th[aria-sort=descending]").wait_for()
    assert names()[:3] == ["n_latents=32", "n_latents=64", "n_latents=128"]


def test_curves_of_chosen_runs_are_drawn_and_follow_address_and_theme(page):
    page.goto("/runs")
    first = page.locator(".chart").first
    first.locator(".scatterlayer .trace").nth(1).wait_for()
    assert first.locator(".scatterlayer .trace").count() == 2  # held out and train
    page.get_by_label("Curves of unfinished").check()
    first.locator(".scatterlayer .trace").nth(2).wait_for()
    assert page.url.count("show=") == 2
    page.reload()
    first.locator(".scatterlayer .trace").nth(2).wait_for()
    said = first.get_attribute("aria-label")
    assert "unfinished: fvu (train) 1.000 at step 4, .500 at step 8." in said
    before = first.locator(".js-line").first.evaluate("own => own.style.stroke")
    page.keyboard.press("t")
    page.wait_for_function(
        "old => document.querySelector('.plot .js-line').style.stroke != old", arg=before
    )


def test_what_an_unfinished_run_writes_is_shown_without_a_reload(page, grid):
    path = grid / "unfinished" / "metrics.jsonl"
    before = path.read_text()
    path.write_text(before)  # now: it is not an old one
    page.goto("/runs?show=unfinished")
    page.locator(DRAWN).first.wait_for()
    with path.open("a") as file:
        file.write(json.dumps({"step": 20, "split": "train", "fvu": 0.123, "l0": 3.0}) + "\n")
    try:
        page.get_by_text("At step 20 of 40 (50 %).").wait_for()
        page.get_by_text("fvu (train) 1.000 at step 4, .123 at step 20.").first.wait_for()
        shown = "document.querySelector('.chart')._fullLayout.xaxis.range[1]"
        page.wait_for_function(f"() => {shown} > 19")
    finally:
        path.write_text(before)


def test_two_runs_are_compared_and_a_law_is_drawn(page):
    page.goto("/runs")
    page.get_by_label("Other").select_option("n_latents=32")
    page.get_by_role("row", name="sae.n_latents 64 32").wait_for()
    assert "one=n_latents%3D64&other=n_latents%3D32" in page.url
    scaling = page.locator(".scaling")
    scaling.locator(".scatterlayer .trace").nth(1).wait_for()
    assert "with the exponent .368 at k 3." in scaling.locator("figcaption").inner_text()
    cells = scaling.locator("tbody tr").first.inner_text().split("\t")
    assert cells[0] == "3"
    assert cells[1].startswith(".368 (")
