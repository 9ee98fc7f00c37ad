"""The page of a document, in a browser."""

import urllib.parse

from explorable import EVIL, IDEOGRAPHS, RIGHT_TO_LEFT, SLASHED


def test_a_document_shows_text_features_and_neighbours(page, client):
    found = client.get("/api/document/40").json()
    page.goto("/document/40")
    page.get_by_role("heading", level=1, name="Title 40").wait_for()
    assert page.locator(".whole").inner_text() == "text 40 of words"
    assert page.locator(".code li").count() == len(found["features"])
    explained = f"{100 * found['reconstruction']['explained']:.0f} %"
    assert page.get_by_text("of this document").locator("strong").inner_text() == explained
    assert page.locator(".near").count() == 2
    links = page.locator(".near").first.locator("a")
    assert links.evaluate_all("all => all.map(one => one.getAttribute('href'))") == [
        f"/document/{one['row']}" for one in found["near"]["dense"]
    ]


def test_it_leads_to_its_source_and_to_a_search(page):
    page.goto("/document/40")
    source = page.get_by_role("link", name="Open source")
    source.wait_for()
    assert source.get_attribute("href") == "https://example.org/40"
    assert source.get_attribute("rel") == "noopener noreferrer"
    here = page.get_by_role("link", name="Search from here")
    assert here.get_attribute("href") == "/search?row=40"


def test_html_in_a_title_is_text_and_a_javascript_address_is_no_link(page):
    page.goto("/document/7")
    page.get_by_role("heading", level=1).wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == EVIL
    assert page.locator(".whole").inner_text() == EVIL
    assert page.title().startswith("<script>")
    assert page.get_by_role("cell", name="javascript:alert(1)").count() == 1
    assert page.locator("main a[href^='javascript']").count() == 0
    assert page.locator("main :is(script, img)").count() == 0
    assert page.get_by_role("link", name="Open source").count() == 0


def test_text_runs_in_its_own_direction(page):
    for row, text, direction in ((8, RIGHT_TO_LEFT, "rtl"), (9, IDEOGRAPHS, "ltr")):
        page.goto(f"/document/{row}")
        page.locator(".whole", has_text=text).wait_for()
        found = page.locator(".whole").evaluate("one => getComputedStyle(one).direction")
        assert found == direction


def test_a_document_has_an_address_by_its_id(page):
    page.goto(f"/document/{urllib.parse.quote(SLASHED, safe='')}")
    page.get_by_role("cell", name=SLASHED).wait_for()
    page.goto(f"/document/{urllib.parse.quote(SLASHED)}")  # its slash as it is
    page.get_by_role("cell", name=SLASHED).wait_for()


def test_the_next_and_the_previous_are_a_key_away(page):
    page.goto("/document/0")
    page.get_by_role("heading", name="Document 0").wait_for()
    page.keyboard.press("]")
    page.get_by_role("heading", name="Title 1").wait_for()
    page.keyboard.press("[")
    page.get_by_role("heading", name="Document 0").wait_for()
    page.keyboard.press("[")  # there is none before it
    assert page.url.endswith("/document/0")
    page.goto("/document/1499")
    page.get_by_text("document 1,499 of 1,500").wait_for()
    assert page.locator(".steps a").count() == 1


def test_the_link_that_is_copied_names_the_run(page, opened, address):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    page.goto("/document/40")
    page.get_by_role("button", name="Copy link").click()
    page.locator("#said", has_text="link copied").wait_for(state="attached")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{address}/document/40?run={opened.fingerprint}"


def test_a_document_that_is_not_there_is_said(page):
    page.goto("/document/99999")
    page.get_by_role("alert").get_by_text("there is no document '99999'").wait_for()


def test_without_texts_it_is_said_and_features_are_shown(bare_page):
    bare_page.goto("/document/40")
    bare_page.get_by_role("note").get_by_text("has no texts").wait_for()
    bare_page.locator(".code li").first.wait_for()
    bare_page.locator(".near a", has_text="row ").first.wait_for()


def test_the_page_fits_a_narrow_window_in_both_themes(page, pictures):
    page.set_viewport_size({"width": 420, "height": 900})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.goto("/document/7")
        page.locator(".code li").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if pictures:
            page.screenshot(path=pictures / f"document-{theme}.png", full_page=True)
