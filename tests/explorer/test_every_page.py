"""What holds on every page, in both themes and on a narrow screen."""

import pathlib

import pytest
from explorable import until

PAGES = {
    "start": "/search",
    "search": "/search?q=text+12&w=3:120,f1:60&compare=1",
    "words": "/search?q=text&by=words",
    "features": "/features",
    "feature": "/feature/3",
    "feature of another script": "/feature/11",
    "families": "/families",
    "family": "/family/1",
    "map": "/map",
    "document": "/document/7",
    "runs": "/runs",
    "api": "/api",
    "nowhere": "/feature/999",
}
LOOK = (pathlib.Path(__file__).parent / "looked_at.js").read_text()


def wrong(page, what: str) -> list[str]:
    return page.evaluate(f"{LOOK.rstrip()}.{what}()")


def settle(page) -> None:
    """Until nothing is loading."""
    page.locator("footer .run, main.api").first.wait_for()
    until(lambda: not page.locator("[aria-busy=true]").count())
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("name", PAGES)
def test_controls_are_named_and_texts_can_be_read_in_both_themes(page, name, pictures):
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.goto(PAGES[name])
        settle(page)
        assert wrong(page, "faint") == []
        assert wrong(page, "unnamed") == []
        assert page.locator("main script, main img").count() == 0  # texts are no HTML
        if pictures:
            page.screenshot(path=pictures / f"{name}-{theme}.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_screen_shows_all_without_scrolling_sideways(page, name, pictures):
    page.set_viewport_size({"width": 420, "height": 800})
    page.goto(PAGES[name])
    settle(page)
    assert wrong(page, "wider") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if pictures:
        page.screenshot(path=pictures / f"{name}-420.png", full_page=True)
