"""What stands around every page, in a browser."""

from explorable import until


def test_the_frame_says_which_run_this_is(page, opened):
    page.goto("/search")
    page.get_by_text("n_latents").or_(page.locator("footer .run")).first.wait_for()
    assert page.locator("footer .run").inner_text() == opened.options.run.name


def test_the_theme_changes_and_is_kept(page):
    page.goto("/search")
    page.locator("footer .run").wait_for()
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("t")
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before
    page.reload()
    page.locator("footer .run").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_a_link_does_not_take_the_focus_from_a_box_that_its_page_has_put_it_into(page):
    held = []
    page.route("**/api/start", lambda route: held.append(route))
    page.goto("/families")
    page.locator("table.families a").first.wait_for()
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_role("searchbox", name="What to search for").press_sequentially("te")
    held[0].continue_()
    page.get_by_text("Start from a feature").wait_for()
    page.keyboard.type("xt 7")
    assert page.get_by_role("searchbox", name="What to search for").input_value() == "text 7"


def focused(page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.tagName")


def scrolled(page) -> int:
    return page.evaluate("Math.round(scrollY)")


def test_back_finds_the_place_that_was_left(page):
    page.set_viewport_size({"width": 1280, "height": 400})
    page.goto("/feature/3")
    page.locator("#copy").wait_for()
    page.evaluate("scrollTo(0, 300)")
    page.locator("a[href='/feature/4']").first.evaluate("one => one.click()")
    page.locator("h1", has_text="#4").wait_for()
    assert scrolled(page) == 0
    page.evaluate("scrollTo(0, 200)")
    until(lambda: page.evaluate("history.state?.scroll") == 200)
    page.go_back()
    page.locator("h1", has_text="#3").wait_for()
    until(lambda: scrolled(page) == 300)
    page.go_forward()
    page.locator("h1", has_text="#4").wait_for()
    until(lambda: scrolled(page) == 200)
    page.keyboard.press("e")  # another address of the same entry
    page.wait_for_url("**text=full")
    page.reload()
    page.locator("#copy").wait_for()
    until(lambda: scrolled(page) == 200)


def test_the_focus_goes_to_a_page_when_it_comes_and_not_later(page):
    held = []
    page.route("**/api/families*", lambda route: held.append(route))
    page.goto("/runs")
    page.locator("table").first.wait_for()
    with page.expect_request("**/api/families*"):
        page.get_by_role("link", name="Families", exact=True).click()
    until(lambda: focused(page) == "page")
    page.locator("#theme").focus()
    held[0].continue_()
    page.locator("table.families a").first.wait_for()
    assert focused(page) == "theme"


def test_keys_and_questions_leave_the_focus_on_the_page(page):
    page.goto("/runs")
    page.locator("table").first.wait_for()
    page.keyboard.type("ga")
    page.locator("table.families a").first.wait_for()
    assert focused(page) == "page"
    page.keyboard.press("/")
    page.keyboard.type("text 5")
    page.keyboard.press("Enter")
    page.locator(".hit").first.wait_for()
    assert focused(page) != "BODY"


def test_the_skip_link_leads_to_the_page_that_is_there(page):
    page.goto("/families")
    page.locator("table.families a").first.wait_for()
    page.locator("#page > .page").evaluate("one => (one.dataset.kept = 'yes')")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert focused(page) == "page"
    assert page.url.endswith("/families")
    assert page.locator("[data-kept]").count() == 1


def test_no_key_reaches_the_page_behind_a_dialog(page):
    page.goto("/families")
    page.locator("table.families a").first.wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.type("?gr")
    assert page.get_by_role("dialog").count() == 1
    assert page.url.endswith("/families")
    page.keyboard.press("Escape")
    page.keyboard.type("gr")
    page.wait_for_url("**/runs")


def test_a_run_in_the_address_stays_there(page):
    for path in ("/map", "/runs"):
        page.goto(f"{path}?run=other")
        page.get_by_text("made on another run").wait_for()
        page.locator("canvas[data-painted], .runs table").first.wait_for()
        if path == "/map":
            page.get_by_label("Find", exact=True).fill("horse")
            page.wait_for_url("**find=horse*")
        else:
            page.locator("#sort-k").click()
            page.wait_for_url("**sort=k*")
        assert "run=other" in page.url
