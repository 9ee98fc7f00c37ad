"""The pages of families, in a browser."""

from explorable import EVIL, LONG


def names_of(page):
    links = page.locator("table.families td:first-child a")
    return [text.strip() for text in links.all_inner_texts()]


def test_families_are_listed_and_lead_to_their_pages(page):
    page.goto("/families")
    page.locator("table.families tbody tr").nth(1).wait_for()
    assert names_of(page) == [LONG.strip(), "horse, saddle"]
    assert "by chance 1.50, at most 2.50" in page.locator(".facts").first.inner_text()
    page.get_by_role("link", name="horse, saddle").click()
    page.get_by_role("heading", level=1, name="horse, saddle").wait_for()
    assert page.url.endswith("/family/0")


def test_the_list_is_filtered_and_sorted_and_the_address_keeps_it(page):
    page.goto("/families")
    page.locator("table.families tbody tr").nth(1).wait_for()
    assert names_of(page)[1] == "horse, saddle"  # the smaller
    page.get_by_role("button", name="Members").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending]").inner_text() == "R"
    page.get_by_label("Label").fill("HORSE")
    assert names_of(page) == ["horse, saddle"]
    assert page.get_by_role("status").filter(has_text="1 of 2 families").count() == 1
    page.reload()
    page.locator("table.families tbody tr").first.wait_for()
    assert names_of(page) == ["horse, saddle"]
    assert page.url.endswith("/families?q=HORSE&sort=ratio")
    page.get_by_label("Label").fill("")
    page.get_by_label("Members at least").fill("4")
    assert len(names_of(page)) == 1


def test_the_ratio_comes_after_the_list_and_can_be_filtered_by(page, client):
    ratios = client.get("/api/families/ratios").json()
    page.goto("/families")
    page.locator("table.families td", has_text=f"{ratios[1]:.1f}").first.wait_for()
    page.get_by_label("R at least").fill(str(max(ratio or 0 for ratio in ratios) + 1))
    assert names_of(page) == []


def test_each_family_leads_to_a_search_from_it_and_to_a_slider(page):
    page.goto("/families")
    links = page.get_by_role("link", name="Use in search")
    links.first.wait_for()
    assert links.evaluate_all("all => all.map(one => one.getAttribute('href'))") == [
        "/search?family=1", "/search?family=0",
    ]  # fmt: skip
    page.goto("/family/1")
    page.get_by_role("link", name="Use as a slider").click()
    page.get_by_role("searchbox", name="What to search for").fill("text 7")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=text+7&w=f1:80*")


def test_a_family_is_shown_with_labels_as_text(page):
    page.goto("/family/0")
    page.get_by_role("heading", name="Members (3)").wait_for()
    assert page.locator(".tree .name").all_inner_texts()[:2] == ["horse, saddle", EVIL]
    assert page.get_by_role("link", name="Search from this family").get_attribute("href") == (
        "/search?family=0"
    )
    assert page.locator(".documents > li").count() == 12
    page.get_by_role("img", name="On together: 3 by 3 features").wait_for()
    assert page.locator("canvas").count() == 2


def test_the_tree_opens_and_closes_by_keys(page):
    page.goto("/family/1")
    page.get_by_role("heading", name="Members (4)").wait_for()
    page.get_by_role("button", name="Close all").click()
    assert page.locator(".tree .name:visible").count() == 1
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".tree .name:visible").count() == 2  # 9, and 11 below it
    page.keyboard.press("Tab")  # the link of 9
    page.keyboard.press("Tab")  # the branch of 11
    page.keyboard.press("Space")
    assert page.locator(".tree .name:visible").count() == 4
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/feature/11")


def test_a_member_below_two_parents_stands_once_and_says_so(page, opened):
    page.goto("/family/1")
    page.get_by_role("heading", name="Members (4)").wait_for()
    assert page.locator(".tree .node").count() == 4
    chip = page.locator(".tree .chip", has_text="+1 parent")
    other = 9 if opened.density[9] > opened.density[11] else 11
    label = opened.labels.name.get(other, f"feature {other}").strip()
    assert chip.get_attribute("title").split() == f"Also below {label}".split()


def large_family(opened):
    """As the server describes a family of a hundred, all below its parent."""
    members = [opened.feature(3)] + [opened.feature(4) | {"latent": i} for i in range(100, 199)]
    edges = [[3, one["latent"]] for one in members[1:]]
    return {
        "number": 0, "parent": members[0], "n_members": 100, "highest": 1.0, "n_families": 1,
        "members": members, "edges": edges, "shared": {}, "rows": [], "note": "",
        "matrix_unasked": False,
    }  # fmt: skip


def test_a_large_family_is_a_tree_and_shows_the_rest_and_the_matrix_when_asked(page, opened):
    page.route("**/api/family/0", lambda route: route.fulfill(json=large_family(opened)))
    page.goto("/family/0")
    more = page.get_by_role("button", name="Show 39 more")
    more.focus()
    assert page.locator(".tree .name").count() == 61
    page.keyboard.press("Enter")
    assert page.locator(".tree .name").count() == 100
    assert page.evaluate("document.activeElement.textContent") == "feature 160"
    assert page.locator("canvas").count() == 0
    page.get_by_role("button", name="Count them").press("Enter")
    page.locator("canvas").nth(1).wait_for()


def test_members_are_filtered_by_label(page):
    page.goto("/family/0")
    box = page.get_by_label("Filter members")
    box.fill("saddle")
    assert page.locator(".tree .name:visible").all_inner_texts() == ["horse, saddle"]
    box.fill("nothing of the kind")
    page.get_by_text("No member of this label.").wait_for()


def test_a_matrix_is_read_cell_by_cell_with_the_arrow_keys(page, client):
    found = client.get("/api/family/0/matrix").json()
    page.goto("/family/0")
    page.get_by_role("img", name="On together").focus()
    said = page.locator(".matrix .readout").first
    page.keyboard.press("ArrowDown")
    assert said.inner_text() == "horse, saddle · itself: 1.00"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    name = found["latents"][2]["label"] or f"feature {found['latents'][2]['latent']}"
    value = f"{found['overlap'][2][0]:.2f}".removeprefix("0")
    assert said.text_content() == f"{name} · horse, saddle: {value}"
    page.keyboard.press("ArrowDown")  # there is no cell beyond
    assert said.text_content() == f"{name} · horse, saddle: {value}"


def test_the_next_family_is_a_key_away(page):
    page.goto("/family/0")
    page.get_by_role("heading", name="Members (3)").wait_for()
    page.keyboard.press("]")
    page.get_by_role("heading", name="Members (4)").wait_for()
    assert page.url.endswith("/family/1")


def test_a_family_that_is_not_there_is_said(page):
    page.goto("/family/77")
    page.get_by_role("alert").get_by_text("there is no family '77'").wait_for()


def test_without_families_both_pages_say_how_to_make_them(bare_page):
    for path in ("/families", "/family/0"):
        bare_page.goto(path)
        bare_page.get_by_role("note").get_by_text("Run `sae-jax families").wait_for()


def test_where_none_was_found_it_is_said_and_how_they_are_made(page):
    none = {"families": [], "method": "ours", "metrics": {}, "note": "A note."}
    bounds = {"least_share": 0.4, "least_ratio": 2.0, "least_members": 4}
    page.route("**/api/families", lambda route: route.fulfill(json=none | {"bounds": bounds}))
    page.goto("/families")
    page.get_by_text("No family was found").wait_for()
    page.get_by_text("How these families were made").click()
    page.get_by_text("on at least 40 % of its own documents").wait_for()


def test_pages_fit_a_narrow_window_in_both_themes(page, pictures):
    page.set_viewport_size({"width": 420, "height": 900})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for path, wait in (("/families", "table.families a"), ("/family/1", "canvas")):
            page.goto(path)
            page.locator(wait).first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if pictures:
                name = path.strip("/").replace("/", "-")
                page.screenshot(path=pictures / f"{name}-{theme}.png", full_page=True)


def test_the_filter_of_members_is_in_the_address(page):
    page.goto("/family/0")
    page.get_by_label("Filter members").fill("horse")
    page.wait_for_url("**/family/0?q=horse")
    page.reload()
    page.locator(".tree.flat li").first.wait_for()
    assert page.get_by_label("Filter members").input_value() == "horse"
    assert page.locator(".tree.flat li").count() == 1
