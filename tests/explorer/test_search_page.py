"""The search page in a browser: a slider is dragged, the list follows, and comes back."""

import re

import pytest
from explorable import until

QUESTION = "/search?q=text+12"
ROWS = "[...document.querySelectorAll('.hits .hit')].map((hit) => Number(hit.dataset.row))"


def listed(page) -> list[int]:
    return page.evaluate(ROWS)


def arrive(page, path: str = QUESTION) -> list[int]:
    """Waits for the exact answer and the block."""
    page.goto(path)
    page.locator(".status", has_text="exact").wait_for()
    page.locator(".page.search[data-block]").wait_for()
    return listed(page)


def drag(page, slider, *, to: float) -> None:
    """With the mouse, in steps, to this percentage; not let go."""
    box = slider.bounding_box()
    start, end = (
        box["x"] + box["width"] * (p + 100) / 400 for p in (float(slider.input_value()), to)
    )
    page.mouse.move(start, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(end, box["y"] + box["height"] / 2, steps=12)


def test_a_question_is_typed_and_answered(page, opened):
    page.goto("/search")
    page.get_by_label("What to search for").fill("text 12")
    page.keyboard.press("Enter")
    page.locator(".status", has_text="exact").wait_for()
    expected = [hit.row for hit in opened.search.hits(opened.search.text("text 12"))]
    assert listed(page) == expected
    assert page.url.endswith("/search?q=text+12")


def test_dragging_reorders_the_list_before_the_server_is_asked_and_reset_restores_it(page):
    before = arrive(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    slider = page.locator(".sliders input[type=range]").first
    page.route("**/api/search?*", lambda route: None)  # the exact answer never comes
    drag(page, slider, to=-100)
    page.locator(".status", has_text="preview").wait_for()
    assert listed(page) != before
    page.unroute("**/api/search?*")
    page.mouse.up()
    page.locator(".status", has_text="exact").wait_for()
    page.get_by_role("button", name="Reset").click()
    until(lambda: listed(page) == before)
    assert page.url.endswith("/search?q=text+12")


def test_the_preview_is_the_exact_list(page, opened):
    """Of a corpus this small the block holds what may come up."""
    arrive(page)
    slider = page.locator(".sliders input[type=range]").first
    name = int(slider.get_attribute("data-slider"))
    page.route("**/api/search?*", lambda route: None)
    drag(page, slider, to=200)
    page.locator(".status", has_text="preview").wait_for()
    page.wait_for_timeout(100)
    shown, value = listed(page), float(slider.input_value())
    query = opened.search.text("text 12")
    steered = opened.search.steer(query, {name: round(value)})
    assert shown == [hit.row for hit in opened.search.hits(steered)]
    said = page.locator(".gauge .mono").inner_text()
    assert float(said) == pytest.approx(steered.fidelity, abs=0.006)


def test_the_address_restores_all_in_another_browser(page, browser, address):
    arrive(page)
    slider = page.locator(".sliders input[type=range]").first
    slider.focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.locator(".status", has_text="exact").wait_for()
    page.get_by_role("button", name="Compare").click()
    page.locator(".compared").wait_for()
    rows, value, link = listed(page), slider.input_value(), page.url
    assert "w=" in link
    assert "compare=1" in link
    other = browser.new_context(base_url=address).new_page()
    other.goto(link)
    other.locator(".compared").wait_for()
    assert listed(other) == rows
    again = other.locator(f"[data-slider='{slider.get_attribute('data-slider')}']")
    assert float(again.input_value()) == pytest.approx(float(value), abs=0.06)
    other.context.close()


def test_sixty_movements_are_sixty_repaints(page):
    arrive(page)
    slider = page.locator(".sliders input[type=range]").first
    slider.hover()
    page.locator(".page.search").evaluate(
        """async (root) => {
            const slider = root.querySelector(".sliders input[type=range]");
            slider.dispatchEvent(new PointerEvent("pointerdown"));
            performance.clearMeasures("repaint");
            for (let i = 0; i < 60; i += 1) {
                slider.value = -100 + 6 * i;
                slider.dispatchEvent(new Event("input"));
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
            }
        }"""
    )
    taken = page.evaluate("performance.getEntriesByName('repaint').map((one) => one.duration)")
    assert len(taken) == 60


def test_all_by_the_keyboard(page):
    before = arrive(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("Number(document.activeElement.dataset.row)") == before[1]
    page.keyboard.press("x")
    page.locator(f".hit[data-row='{before[1]}'] .parts").wait_for()
    slider = page.locator(".sliders input[type=range]").first
    slider.focus()
    natural = float(slider.input_value())
    page.keyboard.press("ArrowRight")
    assert float(slider.input_value()) == pytest.approx(round(natural) + 5, abs=0.6)
    page.keyboard.press("Delete")
    assert float(slider.input_value()) == 0
    assert "0 percent of maximum, natural" in slider.get_attribute("aria-valuetext")
    page.keyboard.press("0")
    until(lambda: "w=" not in page.url)
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("reset all sliders").wait_for()


def test_undo_takes_back_one_movement(page):
    arrive(page)
    slider = page.locator(".sliders input[type=range]").first
    drag(page, slider, to=150)
    page.mouse.up()
    until(lambda: "w=" in page.url)
    page.get_by_role("button", name="Undo").click()
    until(lambda: "w=" not in page.url)
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_the_parts_of_a_score_are_shown_and_add_up(page):
    arrive(page)
    hit = page.locator(".hit").first
    hit.get_by_role("button", name=re.compile("How its score")).click()
    numbers = hit.locator(".parts tbody tr td:last-child").all_inner_texts()
    total = sum(float(one.replace("−", "-").replace("+", "")) for one in numbers)
    said = float(hit.locator(".score").inner_text())
    assert total == pytest.approx(said, abs=0.0006 * len(numbers))


def test_more_like_a_hit_sets_sliders(page):
    arrive(page)
    page.locator(".hit").nth(3).get_by_role("button", name="More like this").click()
    until(lambda: "w=" in page.url)
    until(lambda: page.locator(".slider.moved").count() == 3)


def test_modes_change_the_list_or_say_why_not(page):
    before = arrive(page)
    page.get_by_label("What becomes of the rest of the question").select_option("only")
    until(lambda: listed(page) != before)
    assert "mode=only" in page.url


def test_an_error_of_the_server_is_said_and_can_be_tried_again(page):
    page.goto("/search?feature=999")
    said = page.locator(".failed")
    said.wait_for()
    assert "there is no feature '999'" in said.inner_text()


def test_a_search_begins_from_a_feature_and_from_a_document(page):
    assert len(arrive(page, "/search?feature=3")) == 10
    assert arrive(page, "/search?row=5")[0] == 5


def test_html_in_texts_and_labels_is_shown_as_text(page):
    arrive(page, "/search?row=7&k=20&w=5:100")
    assert page.locator(".hit[data-row='7']").inner_text().count("<script>") >= 1
    assert page.locator(".slider[data-name='5']").inner_text().count("<script>") == 1
    assert page.locator(".hit[data-row='7'] .source").count() == 0  # javascript: is no link


def test_a_link_of_another_run_is_said(page):
    page.goto(f"{QUESTION}&run=other")
    page.get_by_text("This link was made on another run").wait_for()


def test_what_is_said_of_a_feature_follows_its_slider(page):
    """Though its panel stays in place while the hand is on it."""
    arrive(page)
    item = page.locator(".slider").first
    before = item.locator(".about").inner_text()
    drag(page, item.locator("input[type=range]"), to=250)
    page.mouse.up()
    until(lambda: item.locator(".about").inner_text() != before)


def test_a_block_of_one_mode_is_not_used_in_another(page):
    arrive(page)
    page.route("**/api/search/block?*", lambda route: None)  # the new one never comes
    before = page.locator(".sliders").first.element_handle()
    page.get_by_label("What becomes of the rest of the question").select_option("only")
    until(lambda: not before.evaluate("own => own.isConnected"))  # the answer has come
    page.route("**/api/search?*", lambda route: None)
    drag(page, page.locator(".sliders input[type=range]").first, to=200)
    page.wait_for_timeout(300)
    page.mouse.up()
    assert "preview" not in page.locator(".status").inner_text()


def test_sliders_that_wait_for_a_question_are_shown_and_kept(page):
    page.goto("/search?w=3:150,f1:60")
    page.get_by_text("2 sliders wait for your question").wait_for()
    page.get_by_role("link", name="horse, saddle").first.wait_for()
    page.locator(".start a").first.click()
    page.locator(".status", has_text="exact").wait_for()
    assert "w=3:150,f1:60" in page.url
    page.goto("/search?w=3:150")
    page.get_by_text("1 slider waits for your question").wait_for()
    page.get_by_role("button", name="Remove").click()
    until(lambda: page.url.endswith("/search"))


def test_a_box_shows_the_value_that_is_in_force_and_each_is_undone_alone(page):
    arrive(page)
    first, second = (page.locator(".slider .exact").nth(i) for i in (0, 1))
    first.fill("900")
    first.press("Enter")
    assert first.input_value() == "300"
    until(lambda: ":300" in page.url)
    second.fill("150")
    second.press("Enter")
    until(lambda: ":150" in page.url)
    page.get_by_role("button", name="Undo").click()
    until(lambda: ":150" not in page.url)
    assert ":300" in page.url


def test_the_focus_stays_on_the_slider_that_goes_back(page):
    arrive(page)
    slider = page.locator(".sliders input[type=range]").first
    name = slider.get_attribute("data-slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    until(lambda: "w=" in page.url)
    page.keyboard.press("0")
    until(lambda: "w=" not in page.url)
    page.locator(".status", has_text="exact").wait_for()
    until(lambda: page.evaluate("document.activeElement.dataset.slider") == name)


def test_a_feature_is_added_by_its_number_and_not_one_of_other_words(page):
    arrive(page)
    box = page.get_by_label("Add a feature by its label or number")
    box.fill("horse")
    page.locator(".found button").first.wait_for()
    box.fill("20")
    box.press("Enter")  # before the answer: nothing of the old list is added
    assert "w=" not in page.url
    page.locator(".found", has_text="twenty").wait_for()
    box.press("Enter")
    until(lambda: "w=20:100" in page.url)


def test_a_list_stays_where_the_exact_answer_fails(page):
    arrive(page)
    page.route("**/api/search?*", lambda route: route.abort())
    drag(page, page.locator(".sliders input[type=range]").first, to=200)
    page.mouse.up()
    page.locator(".results .failed").wait_for()
    assert len(listed(page)) == 10
    assert "not confirmed" in page.locator(".status").inner_text()


def test_words_show_more_and_have_no_filters(page):
    page.goto("/search?q=words&by=words&where=year:2015")
    page.get_by_text("10 of 1,497 documents that hold these words").wait_for()
    page.get_by_role("button", name="show more").click()
    page.get_by_text("40 of 1,497").wait_for()
    assert page.url.endswith("/search?q=words&by=words&k=40")
    assert page.title().startswith("words")


def test_no_slider_panel_says_null(page):
    arrive(page, "/search?feature=3")
    assert "null" not in page.locator(".features").inner_text()
