"""The box in the header, by keyboard alone."""

import pytest
from explorable import EVIL


@pytest.fixture
def box(page):
    page.goto("/families")
    page.locator("table.families a").first.wait_for()
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Find documents, features and families")
    assert box.evaluate("one => one === document.activeElement")
    return box


def options(page):
    return page.get_by_role("option")


def chosen(page):
    """The option that the box says is chosen."""
    return page.evaluate(
        "document.getElementById(document.activeElement.getAttribute("
        "'aria-activedescendant') ?? '')?.getAttribute('href') ?? null"
    )


def test_features_families_and_documents_are_offered_in_groups(page, box):
    page.keyboard.type("horse")
    options(page).nth(1).wait_for()
    page.get_by_role("group", name="Documents").get_by_text("none has these words").wait_for()
    assert box.get_attribute("aria-expanded") == "true"
    assert options(page).evaluate_all("all => all.map(one => one.getAttribute('href'))") == [
        "/feature/3", "/family/0",
    ]  # fmt: skip


def test_arrows_choose_and_enter_opens(page, box):
    page.keyboard.type("horse")
    page.get_by_role("group", name="Documents").get_by_text("none").wait_for()
    assert chosen(page) is None
    page.keyboard.press("ArrowDown")
    assert chosen(page) == "/feature/3"
    page.keyboard.press("ArrowDown")
    assert chosen(page) == "/family/0"
    page.keyboard.press("ArrowDown")  # the last stays chosen
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Members (3)").wait_for()
    assert page.url.endswith("/family/0")
    assert box.get_attribute("aria-expanded") == "false"


def test_enter_without_a_choice_searches_by_meaning(page, box):
    page.keyboard.type("a horse & rider")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=a+horse+%26+rider")


def test_arrow_up_goes_back_to_what_was_typed(page, box):
    page.keyboard.type("horse")
    options(page).first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert chosen(page) is None
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=horse")


def test_escape_closes_and_then_leaves(page, box):
    page.keyboard.type("horse")
    options(page).first.wait_for()
    page.keyboard.press("Escape")
    assert box.get_attribute("aria-expanded") == "false"
    assert box.input_value() == "horse"
    page.keyboard.press("Escape")
    assert not box.evaluate("one => one === document.activeElement")
    page.keyboard.press("Control+k")
    assert box.evaluate("one => one === document.activeElement")


def test_a_number_goes_to_a_feature_or_a_document(page, box):
    page.keyboard.type("#12")
    page.get_by_role("option", name="Go to feature 12").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/document/12")


def test_labels_are_there_while_documents_are_still_looked_for(page, box):
    page.route("**/api/find?*of=documents*", lambda route: None)  # is never answered
    page.keyboard.type("horse")
    options(page).nth(1).wait_for()
    page.get_by_role("group", name="Documents").get_by_text("looking").wait_for()
    assert options(page).count() == 2


def test_what_is_typed_at_once_is_asked_once(page, box):
    asked = []
    page.on("request", lambda one: "/api/find" in one.url and asked.append(one.url))
    page.keyboard.type("words", delay=5)
    page.get_by_role("group", name="Documents, 6 of 1,497").wait_for()
    assert len(asked) == 2
    assert page.locator("#found mark").first.inner_text() == "words"


def test_an_older_question_is_given_up(page, box):
    page.route("**/api/find?q=hor&*", lambda route: None)  # is never answered
    with page.expect_event("requestfailed", lambda one: "q=hor&" in one.url):
        with page.expect_request("**/api/find?q=hor&*"):
            page.keyboard.type("hor")
        page.keyboard.type("se")
    options(page).nth(1).wait_for()


def test_html_in_a_label_is_text(page, box):
    page.keyboard.insert_text("<script>")
    page.get_by_role("option").filter(has_text=EVIL).first.wait_for()
    assert page.locator("#found :is(script, img)").count() == 0


def test_an_error_of_the_server_is_said(page, box):
    page.keyboard.insert_text("x" * 8_001)
    page.locator("#found").get_by_text("expected 8,000 at most").wait_for()


def test_without_texts_and_labels_it_says_so_in_a_line_each(bare_page):
    bare_page.goto("/families")
    bare_page.get_by_role("note").wait_for()
    bare_page.keyboard.press("/")
    bare_page.keyboard.type("horse")
    found = bare_page.locator("#found")
    found.get_by_text("this corpus has no texts to find words in").wait_for()
    found.get_by_text("no labels yet: see `sae-jax label`").wait_for()
    found.get_by_text("none were made: see `sae-jax families`").wait_for()


def test_typing_on_gives_up_the_choice(page, box):
    page.keyboard.type("horse")
    page.get_by_role("group", name="Documents").get_by_text("none").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("s")
    assert chosen(page) is None
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=horses")
