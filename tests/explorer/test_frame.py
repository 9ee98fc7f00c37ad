"""What stands around every page, in a browser."""


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
