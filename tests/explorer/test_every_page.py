"""What holds on every page, in both themes and on a narrow screen."""

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
# Ratio of luminances of each text to what is behind it, as WCAG 2 computes it.
FAINT = """() => {
  const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const own = numbers(getComputedStyle(at).backgroundColor);
      if (own.length < 4 || own[3] > 0.99) return own;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    const text = walk.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest(".unseen, noscript, svg, :disabled, option")) continue;
    const [one, other] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
}"""
UNNAMED = """() => [...document.querySelectorAll("input, select, textarea, button, a[href], summary, meter, [role=img]")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.getAttribute("aria-label") || one.labels?.length || one.textContent.trim() || one.getAttribute("aria-labelledby")))
  .map((one) => one.outerHTML.slice(0, 120))"""
WIDER = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && one.checkVisibility())
  .filter((one) => { for (let at = one.parentElement; at; at = at.parentElement) if (getComputedStyle(at).overflowX !== "visible") return false; return true; })
  .map((one) => one.outerHTML.slice(0, 120))"""


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
        assert page.evaluate(FAINT) == []
        assert page.evaluate(UNNAMED) == []
        if pictures:
            page.screenshot(path=pictures / f"{name}-{theme}.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_screen_shows_all_without_scrolling_sideways(page, name, pictures):
    page.set_viewport_size({"width": 420, "height": 800})
    page.goto(PAGES[name])
    settle(page)
    assert page.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if pictures:
        page.screenshot(path=pictures / f"{name}-420.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_of_the_corpus_is_taken_for_html(page, name):
    page.goto(PAGES[name])
    settle(page)
    assert page.locator("main script, main img").count() == 0
    assert "stolen" not in page.title().split("·")[0] or "<script>" in page.title()
