"""The page of all features, in a browser."""

import csv
import re

import pytest
from explorable import EVIL


@pytest.fixture
def table(opened):
    """What every page says of each feature."""
    return [opened.feature(latent) for latent in range(opened.n_latents)]


def open_page(page, path="/features"):
    page.goto(path)
    page.locator(".windowed tbody tr[data-place]").first.wait_for()


def numbers(page):
    """Of the features that are drawn."""
    return [int(text) for text in page.locator("tbody td.latent").all_inner_texts()]


def test_filters_and_order_are_in_the_address_and_survive_a_reload(page, table):
    open_page(page)
    page.get_by_label("F1 ≥").fill(".5")
    page.get_by_role("button", name="Density").click()
    page.get_by_label("Density ≥").fill("3")
    labelled = [one for one in table if (one["f1"] or 0) >= 0.5 and one["density"] >= 0.03]
    expected = sorted(labelled, key=lambda one: -one["density"])
    assert len(expected) > 2
    assert numbers(page) == [one["latent"] for one in expected]
    assert page.url.endswith("?f1=.5&from=3&sort=-density")
    page.reload()
    page.locator("tbody td.latent").first.wait_for()
    assert numbers(page) == [one["latent"] for one in expected]
    assert page.get_by_label("Density ≥").input_value() == "3"
    page.get_by_role("button", name="Density").click()
    assert numbers(page) == [one["latent"] for one in reversed(expected)]


def test_each_filter_leaves_what_it_says(page, table):
    for query, expected in {
        "q=saddle+HORSE": [3],
        "q=%2363": [63],
        "source=keywords&sort=-latent": [20, 12, 11, 9, 5, 3],
        "source=none&state=dense": [
            one["latent"] for one in table if one["state"] == "dense" and not one["source"]
        ],
        "family=1": [9, 11, 20, 21],
        "to=2.0": [one["latent"] for one in table if one["density"] <= 0.02],
    }.items():
        open_page(page, f"/features?{query}")
        assert expected
        assert numbers(page) == expected
        assert page.get_by_text(f"{len(expected)} of 64 features").is_visible()


def test_what_a_feature_lacks_comes_last_in_either_direction(page):
    for sort in ("label", "-label"):
        open_page(page, f"/features?sort={sort}")
        first = numbers(page)[:6]
        assert sorted(first) == [3, 5, 9, 11, 12, 20]


def test_only_rows_in_sight_are_drawn_and_all_can_be_scrolled_to(page):
    open_page(page)
    drawn = numbers(page)
    assert drawn[0] == 0
    assert len(drawn) < 64
    page.locator(".windowed").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    page.locator("td.latent", has_text="63").wait_for()
    assert page.locator("table").get_attribute("aria-rowcount") == "65"


def test_a_feature_is_chosen_and_opened_by_keys_and_found_again(page):
    open_page(page, "/features?sort=-latent")
    for key in "jjjk":
        page.keyboard.press(key)
    assert page.locator("tr[aria-current]").locator(".latent").inner_text() == "62"
    page.keyboard.press("Enter")
    page.wait_for_url("**/feature/62")
    page.go_back()
    page.locator("tr[aria-current]").wait_for()
    assert page.locator("tr[aria-current]").locator(".latent").inner_text() == "62"
    for _ in range(25):
        page.keyboard.press("j")
    assert page.locator("tr[aria-current]").locator(".latent").inner_text() == "37"
    inside = """row => row.getBoundingClientRect().bottom
        <= row.closest(".windowed").getBoundingClientRect().bottom"""
    assert page.locator("tr[aria-current]").evaluate(inside)


def test_enter_on_a_button_is_the_buttons(page):
    open_page(page)
    page.keyboard.press("j")
    page.get_by_role("button", name="Max").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=-highest*")
    assert page.locator("th[aria-sort=descending]").inner_text() == "Max ▼"


def test_interesting_is_a_set_of_filters(page, table):
    open_page(page)
    page.get_by_role("button", name="Interesting").click()
    assert page.url.endswith("?state=alive&f1=0.8&from=0.01&to=1")
    expected = [
        one["latent"]
        for one in table
        if one["state"] == "alive"
        and (one["f1"] or 0) >= 0.8
        and 1e-4 <= one["density"] <= 1e-2
    ]
    assert numbers(page) == expected == []  # none of this run is on so rarely
    assert page.get_by_text("No feature passes these filters.").is_visible()
    page.get_by_role("button", name="Clear filters").click()
    assert page.get_by_text("64 of 64 features").is_visible()
    assert (
        page.get_by_role("button", name="Interesting").get_attribute("aria-pressed") == "false"
    )


def test_a_random_feature_is_one_of_those_listed(page):
    open_page(page, "/features?source=keywords")
    page.keyboard.press(".")
    page.wait_for_url("**/feature/*")
    assert int(page.url.rsplit("/", 1)[1]) in (3, 5, 9, 11, 12, 20)


def test_the_csv_has_what_is_listed(page, table, tmp_path):
    open_page(page, "/features?source=keywords&sort=-density")
    with page.expect_download() as saving:
        page.get_by_role("button", name="CSV").click()
    saving.value.save_as(tmp_path / "saved.csv")
    with (tmp_path / "saved.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    expected = sorted((one for one in table if one["source"]), key=lambda one: -one["density"])
    assert [(int(one["latent"]), one["label"]) for one in lines] == [
        (one["latent"], one["label"]) for one in expected
    ]
    assert [one["family"] for one in lines if one["latent"] == "9"] == ["0 1"]


def test_a_label_of_markup_is_text(page):
    open_page(page, "/features?source=keywords&at=5")
    assert page.locator("tr", has_text="onerror").locator(".label").inner_text() == EVIL
    assert page.title().startswith("Features")


def test_an_address_that_makes_no_sense_is_told_and_the_rest_holds(page):
    open_page(page, "/features?state=odd&colour=red&source=keywords")
    assert page.get_by_text("state=odd, which is not known").is_visible()
    assert page.get_by_text("colour=red, which is not known").is_visible()
    assert len(numbers(page)) == 6


@pytest.mark.parametrize("width", [420, 1280])
def test_nothing_is_wider_than_the_window(page, width, pictures):
    page.set_viewport_size({"width": width, "height": 900})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        open_page(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if pictures:
            page.screenshot(path=pictures / f"features-{width}-{theme}.png")


def test_every_control_has_a_name(page):
    open_page(page)
    for control in page.locator("main :is(input, select, button)").all():
        snapshot = control.aria_snapshot()
        assert re.search(r'"[^"]+"|: \S', snapshot), snapshot


def test_what_is_focused_stays_so_when_rows_come_and_go(page):
    open_page(page)
    link = page.locator("tr[data-place='15'] td.label a")
    link.focus()
    page.locator(".windowed").evaluate("box => box.scrollBy(0, 700)")
    page.locator("td.latent", has_text="50").wait_for()
    assert page.locator("tr[data-place='0']").count() == 0
    assert link.evaluate("one => one === document.activeElement")
    page.get_by_role("button", name="Density").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=ascending]").inner_text() == "Density ▲"
