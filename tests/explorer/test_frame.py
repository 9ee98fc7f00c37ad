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
