"""The map in a browser: looking around, finding, selecting, by mouse and by keys."""

import pytest

PAINTED = "canvas[data-painted]"


def shown(page, path="/map"):
    page.goto(path)
    page.wait_for_selector(PAINTED)
    return page.locator(".map canvas")


def n_painted(page):
    return int(page.locator(PAINTED).get_attribute("data-painted"))


def test_all_points_are_painted_and_what_is_shown_is_said(page, opened):
    page.on("request", lambda one: pytest.fail(one.url) if "plotly" in one.url else None)
    canvas = shown(page)
    assert n_painted(page) == opened.n_latents
    said = canvas.get_attribute("aria-label")
    assert said.startswith("All 64 features, by their directions in the decoder. PCA: the two")
    assert "of the variance" in said
    assert page.get_by_text(said).count() == 1
    page.locator(".nearest li").nth(7).wait_for()


def test_the_canvas_has_a_pixel_for_each_of_the_screen(browser, address):
    context = browser.new_context(base_url=address, device_scale_factor=2)
    page = context.new_page()
    canvas = shown(page)
    wide, css = canvas.evaluate("own => [own.width, own.clientWidth]")
    context.close()
    assert wide == 2 * css


def test_the_wheel_the_keys_and_the_buttons_zoom_and_the_address_keeps_it(page, opened):
    canvas = shown(page)
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Zoom in (+)").click()
    canvas.hover()
    page.mouse.wheel(0, -200)
    page.wait_for_url("**view=*")
    page.wait_for_function(
        f"() => document.querySelector('canvas').dataset.painted < {opened.n_latents}"
    )
    painted, kept = n_painted(page), page.url
    page.goto(kept)
    page.wait_for_selector(PAINTED)
    assert n_painted(page) == painted
    page.get_by_role("button", name="See all (0)").click()
    page.wait_for_function(
        f"() => document.querySelector('canvas').dataset.painted == {opened.n_latents}"
    )
    page.wait_for_url(lambda url: "view=" not in url)


def test_enter_opens_the_point_nearest_to_the_centre(page):
    shown(page).focus()
    nearest = page.locator(".nearest a").first
    href = nearest.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{href}")


def test_pointing_at_a_feature_names_it_and_a_click_opens_it(page, client):
    found = client.get("/api/map").json()
    # Latent 5 has a label that is a script; it is text here as everywhere.
    page.goto(f"/map?view={place(found, 5)},300")
    page.wait_for_selector(PAINTED)
    box = page.locator(".map canvas").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    assert page.locator(".tip strong").inner_text().startswith("<script>document.title")
    page.mouse.click(*middle)
    page.wait_for_url("**/feature/5")


def place(found, i):
    """Of a point, from the middle of the map."""
    ends = (found["x"], found["y"])
    away = [own[i] - (min(own) + max(own)) / 2 for own in ends]
    return ",".join(f"{one:.5f}" for one in away)


def test_what_is_looked_for_is_counted_and_kept_in_the_address(page):
    shown(page)
    page.get_by_label("Find", exact=True).fill("HORSE")
    page.get_by_text("1 of 64 match").wait_for()
    assert "find=HORSE" in page.url
    page.reload()
    page.get_by_text("1 of 64 match").wait_for()


@pytest.mark.parametrize("colour", ["density", "f1", "family", "state"])
def test_each_colour_has_a_legend(page, colour):
    shown(page, f"/map?colour={colour}")
    legend = page.locator(".legend")
    expected = {"density": "%", "f1": "no label", "family": "horse, saddle", "state": "alive"}
    assert expected[colour] in legend.inner_text()
    page.get_by_label("Colour").select_option("family")
    page.wait_for_url("**colour=family**")
    assert "horse, saddle" in legend.inner_text()


def test_a_box_of_documents_lists_their_features_and_leads_to_a_search(page, client):
    canvas = shown(page, "/map?of=documents")
    box = canvas.bounding_box()
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 20, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.locator(".found tbody tr").first.wait_for()
    said, url = page.locator(".inside p").first.inner_text(), page.url
    query = url.partition("?")[2].replace("colour=feature&", "")
    told = client.get(f"/api/map/selection?{query}").json()
    assert said == f"{told['n_inside']} of the 1,500 documents shown are inside."
    assert page.locator(".found tbody tr").count() == len(told["features"])
    page.goto(url)
    page.get_by_text(said).wait_for()
    latents = [one["feature"]["latent"] for one in told["features"][:3]]
    href = page.get_by_text("Search with the first 3").get_attribute("href")
    assert href == "/search?w=" + "%2C".join(f"{latent}%3A50" for latent in latents)
    page.get_by_role("button", name="Clear the selection").click()
    page.get_by_text("Select documents to see").wait_for()
    assert "x=" not in page.url


def test_a_selection_needs_no_mouse(page):
    shown(page)
    page.get_by_role("button", name="Select all in sight").press("Enter")
    page.get_by_text("64 of the 64 features shown are inside.").wait_for()


def test_the_map_changes_with_the_theme_and_fits_a_telephone(page, pictures):
    page.set_viewport_size({"width": 420, "height": 900})
    canvas = shown(page, "/map?of=documents&colour=feature")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    swatch = page.locator(".swatch").first
    before = swatch.evaluate("own => getComputedStyle(own).backgroundColor")
    if pictures:
        page.screenshot(path=pictures / "map-420.png", full_page=True)
    page.get_by_role("button", name="Change between light and dark").click()
    page.wait_for_function(
        "old => getComputedStyle(document.querySelector('.swatch')).backgroundColor != old",
        arg=before,
    )
    assert canvas.is_visible()


def test_without_families_the_page_says_how_to_make_them(page, client):
    meta = client.get("/api/meta").json()
    lacking = meta | {"missing": meta["missing"] | {"families": "Run `sae-jax families`."}}
    page.route("**/api/meta", lambda route: route.fulfill(json=lacking))
    shown(page)
    assert page.get_by_text("Run `sae-jax families`.").count() == 0
    page.get_by_label("Colour").select_option("family")
    page.get_by_text("Run `sae-jax families`.").wait_for()


def test_an_error_is_said_and_can_be_tried_again(page):
    page.route(
        "**/api/map?*", lambda route: route.fulfill(status=500, json={"error": "Broken."})
    )
    page.goto("/map")
    page.get_by_text("Broken.").wait_for()
    page.unroute("**/api/map?*")
    page.get_by_role("button", name="Retry").click()
    page.wait_for_selector(PAINTED)
