"""The page of one feature, in a browser."""

import pytest
from explorable import EVIL, IDEOGRAPHS, LONG, RIGHT_TO_LEFT


def open_page(page, path):
    page.goto(path)
    page.locator("#copy").wait_for()


def test_it_says_what_the_feature_is(page, client):
    found = client.get("/api/feature/3").json()
    open_page(page, "/feature/3")
    assert page.locator("h1").inner_text() == "#3 horse, saddle"
    assert page.title().startswith("#3 horse, saddle")
    assert page.get_by_text(f"({found['n_on']} of 1,500)").is_visible()
    assert page.get_by_text("keywords .90").is_visible()
    links = page.locator(".examples li .document a")
    hrefs = [one.get_attribute("href") for one in links.all()]
    assert hrefs == [f"/document/{one['row']}" for one in found["examples"]["top"]]
    assert page.get_by_role("link", name="Use in search").get_attribute("href") == (
        "/search?feature=3"
    )
    assert page.get_by_role("link", name="Add as slider").get_attribute("href") == (
        "/search?w=3:100"
    )


def test_brackets_walk_to_the_features_beside_it(page):
    open_page(page, "/feature/3?tab=near")
    page.keyboard.press("]")
    page.wait_for_url("**/feature/4?tab=near")
    page.locator("h1", has_text="#4").wait_for()
    page.keyboard.press("[")
    page.locator("h1", has_text="#3").wait_for()
    with page.expect_response("**/api/features"):
        page.keyboard.press(".")
    page.wait_for_url("**/feature/*?tab=near")
    open_page(page, "/feature/0")
    page.keyboard.press("[")
    assert page.locator("h1").inner_text() == "#0 feature 0"


def test_examples_of_each_strength_have_their_own_address(page, client):
    found = client.get("/api/feature/3").json()["examples"]
    open_page(page, "/feature/3")
    for tab, name, rows in (
        ("near", "Near misses", found["near"]),
        ("random", "Random", found["random"]),
        ("10", "10", found["deciles"][9]),
    ):
        page.get_by_role("tab", name=name, exact=True).click()
        assert page.url.endswith(f"/feature/3?tab={tab}")
        page.reload()
        page.locator(f"#tab-{tab}[aria-selected=true]").wait_for()
        links = page.locator(".examples li .document a")
        assert [one.get_attribute("href") for one in links.all()] == [
            f"/document/{one['row']}" for one in rows
        ]
    page.locator("#tab-10").press("ArrowRight")
    assert page.locator("#tab-random[aria-selected=true]").is_visible()


def test_a_text_can_be_tested(page, client):
    asked = {"text": "text 40 of words", "latent": 3}
    told = client.get("/api/encode", params=asked).json()
    best = told["features"][0]["latent"]
    open_page(page, f"/feature/{best}")
    page.get_by_label("Test a text").fill("text 40 of words")
    page.keyboard.press("Enter")
    page.get_by_text("rank 1 of the 3 that are on").wait_for()
    assert page.url.endswith(f"/feature/{best}?test=text+40+of+words")
    page.reload()
    page.get_by_text("rank 1 of the 3 that are on").wait_for()
    open_page(page, "/feature/3?test=text+40+of+words")
    page.get_by_text(f"is rank {told['asked']['rank']}, and the 3 highest are kept").wait_for()
    links = page.locator(".tester li a")
    assert [one.get_attribute("href") for one in links.all()] == [
        f"/feature/{one['latent']}" for one in told["features"]
    ]


def test_texts_are_shown_short_or_full(page, monkeypatch):
    monkeypatch.setattr("sae_jax.explorer.opened.SNIPPET", 8)
    open_page(page, "/feature/3")
    first = page.locator(".examples .document").first
    assert first.inner_text().endswith(" …")
    page.keyboard.press("e")
    page.locator(".examples .full").first.wait_for()
    assert first.inner_text().endswith(" of words")
    assert page.url.endswith("?text=full")
    full = page.get_by_role("button", name="Full texts")
    assert full.get_attribute("aria-pressed") == "true"
    full.click()
    page.locator(".examples .short").first.wait_for()
    assert first.inner_text().endswith(" …")


def test_a_link_is_copied_with_the_run_that_it_is_of(page, opened):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, "/feature/3?tab=near")
    page.keyboard.press("y")
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"/feature/3?tab=near&run={opened.fingerprint}")
    open_page(page, "/feature/3?run=other")
    assert page.get_by_text("made on another run").is_visible()


@pytest.mark.parametrize(
    ("latent", "label"), [(5, EVIL), (9, LONG.strip()), (11, RIGHT_TO_LEFT), (12, IDEOGRAPHS)]
)
def test_any_label_is_text_and_fits(page, latent, label):
    page.set_viewport_size({"width": 420, "height": 900})
    open_page(page, f"/feature/{latent}")
    assert page.locator("h1").inner_text() == f"#{latent} {label}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    direction = page.locator("h1 bdi").evaluate("one => getComputedStyle(one).direction")
    assert direction == ("rtl" if label == RIGHT_TO_LEFT else "ltr")


def test_a_document_of_markup_is_text(page, client, opened):
    """Row 7 has it in its title, its text and its link."""
    own = opened.stored.indices[7].tolist()
    for latent in sorted(range(64), key=lambda latent: latent not in own):
        found = client.get(f"/api/feature/{latent}").json()["examples"]
        tabs = {str(i + 1): rows for i, rows in enumerate(found.pop("deciles"))} | found
        names = [name for name, rows in tabs.items() if any(one["row"] == 7 for one in rows)]
        if names:
            break
    open_page(page, f"/feature/{latent}?tab={names[0]}&text=full")
    document = page.locator("a[href='/document/7']")
    assert document.inner_text() == f"{EVIL} {EVIL}"
    assert not page.locator("a[href^=javascript]").count()


def test_a_feature_that_is_not_there_is_said(page):
    page.goto("/feature/64")
    page.get_by_text("there is no feature '64'; expected a number from 0 to 63").wait_for()


def test_the_neighbours_lead_to_their_pages(page, client):
    found = client.get("/api/feature/3").json()
    open_page(page, "/feature/3")
    card = page.locator(".card", has_text="Nearest directions")
    assert card.locator("li:visible a").count() == 8
    card.get_by_role("button", name="8 more").click()
    assert card.locator("li:visible a").count() == 16
    card.get_by_text("Most opposite").click()
    assert card.locator("li:visible a").count() == 24
    card.locator("a").first.click()
    page.wait_for_url(f"**/feature/{found['alike'][0]['latent']}")


@pytest.mark.parametrize("width", [420, 1280])
def test_nothing_is_wider_than_the_window(page, width, pictures):
    page.set_viewport_size({"width": width, "height": 900})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        open_page(page, "/feature/9?test=text+3")
        page.locator(".tester li").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if pictures:
            page.screenshot(path=pictures / f"feature-{width}-{theme}.png", full_page=True)


def test_full_texts_leave_what_is_typed_and_the_focus(page):
    open_page(page, "/feature/3")
    page.get_by_label("Test a text").fill("not sent yet")
    page.get_by_role("button", name="Full texts").focus()
    page.keyboard.press("Enter")
    page.locator(".examples .full").first.wait_for()
    assert page.get_by_label("Test a text").input_value() == "not sent yet"
    assert page.evaluate("document.activeElement.textContent") == "Full texts"


@pytest.mark.parametrize("path", ["/feature/3", "/family/0", "/document/40"])
def test_where_nothing_can_be_copied_it_is_said(page, path):
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.goto(path)
    page.get_by_role("button", name="Copy link").dblclick()
    page.get_by_role("button", name="Not copied").wait_for()
    assert "https only" in page.locator("#said").inner_text()
    page.get_by_role("button", name="Copy link").wait_for()


def test_an_answer_that_comes_late_does_not_replace_a_later_one(page):
    held = []
    page.route("**/api/encode?text=text+40*", lambda route: held.append(route))
    open_page(page, "/feature/3")
    box = page.get_by_label("Test a text")
    box.fill("text 40 of words")
    with page.expect_request("**/api/encode*"):
        box.press("Enter")
    box.fill("text 12 of words")
    box.press("Enter")
    page.locator(".tester li").first.wait_for()
    answer = page.locator(".tester .answer").inner_text()
    with page.expect_response("**/api/encode?text=text+40*"):
        held[0].continue_()
    page.evaluate("new Promise((done) => setTimeout(done, 50))")  # to be drawn in
    assert page.locator(".tester .answer").inner_text() == answer
