"""Plots under the strict policy, and the page of a run that is of no sweep."""

DRAWN = ".plot .main-svg .scatterlayer .trace"


def test_plots_are_drawn_under_the_policy_without_an_error(page):
    """The fixture fails on what the console says of a style or script that was refused."""
    answer = page.goto("/runs")
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    page.locator(DRAWN).first.wait_for()
    said = page.locator(".plot .chart").first.get_attribute("aria-label")
    assert said.startswith("fvu (held out) .")
    # Its own styles hold: without them the parts of a plot stand below one another.
    top = page.locator(".plot .main-svg").first
    assert top.evaluate("own => getComputedStyle(own).position") == "absolute"
    # Hovering draws labels, and zooming drags a box: they too are made of styles.
    box = page.locator(".plot .chart").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(
        box["x"] + box["width"] / 2 + 90, box["y"] + box["height"] / 2 + 40, steps=4
    )
    page.mouse.up()


def test_a_run_alone_says_that_it_is_of_no_sweep(page):
    page.goto("/runs")
    page.get_by_text("This run is of no sweep.").wait_for()
    assert page.locator("tr.current th").inner_text().split() == ["run", "open", "here"]
    page.get_by_text("A law needs finished runs of two sizes").wait_for()
    page.get_by_text("have not been matched").wait_for()
