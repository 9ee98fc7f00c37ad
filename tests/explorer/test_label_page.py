"""Labels by hand, and what pages say of a run that lacks something, each on its own server."""

import json

import pytest
from explorable import PlantedEncoder, copy_of, open_run, served, silence

LLM = [
    {"latent": 3, "state": "ok", "text": "riding", "why": "They are about riding.",
     "model": "small", "judge_model": "large", "prompt_version": 1,
     "scores": {"n": 40, "f1": {"value": 0.7, "low": 0.6, "high": 0.8}}},
    {"latent": 22, "state": "failed", "text": "", "reason": "the endpoint answered 500"},
]  # fmt: skip


@pytest.fixture
def run(request, explorable, tmp_path):
    """A copy, without what the test names."""
    without = getattr(request, "param", "")
    run = copy_of(explorable, tmp_path)
    (folder,) = (run / "features").iterdir()
    of = json.loads((folder / "labels.jsonl").read_text().splitlines()[0])["run_fingerprint"]
    lines = (json.dumps(one | {"run_fingerprint": of}) + "\n" for one in LLM)
    (folder / "llm-labels.jsonl").write_text("".join(lines))
    for path in {
        "tables": [folder / "tables.json"],
        "labels": [folder / "labels.jsonl", folder / "llm-labels.jsonl"],
        "families": list((run / "families").iterdir()),
    }.get(without, []):
        path.unlink()
    if without == "life":
        silence(run, 20)
    return run


@pytest.fixture
def address(request, run):
    """Of a server of this run; "read_only" and "no encoder" are what they say."""
    mark = getattr(request, "param", "")
    opened = open_run(run, read_only=mark == "read_only")
    if mark != "no encoder":
        opened.search.use_encoder(PlantedEncoder())
    with served(opened) as address:
        yield address


def open_page(page, path):
    page.goto(path)
    page.locator("#copy").wait_for()


def test_a_label_by_hand_is_there_after_a_reload_with_the_others(page):
    open_page(page, "/feature/3")
    assert page.locator("h1").inner_text() == "#3 riding"
    assert page.get_by_text("They are about riding.").is_visible()
    page.get_by_role("button", name="Edit label").click()
    page.get_by_label("Label of feature 3").fill("<b>saddles</b>")
    page.keyboard.press("Enter")
    page.locator("h1", has_text="<b>saddles</b>").wait_for()
    page.reload()
    page.locator("h1", has_text="<b>saddles</b>").wait_for()
    assert page.locator(".title .chip", has_text="edited").is_visible()
    rows = page.locator(".history tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["edited", "language", "keywords"]
    assert "in use" in rows[0]
    assert "not judged" in rows[0]
    assert "judged by large" in rows[1]
    assert ".70 [.60, .80]" in rows[1]
    assert "n 40" in rows[1]
    page.goto("/features?source=you")
    page.locator("td.label", has_text="<b>saddles</b>").wait_for()


def test_an_edit_can_be_cancelled_and_taken_back(page):
    open_page(page, "/feature/12")
    before = page.locator("h1").inner_text()
    page.get_by_role("button", name="Edit label").click()
    page.get_by_label("Label of feature 12").fill("mine")
    page.keyboard.press("Escape")
    assert page.locator("h1").inner_text() == before
    assert page.locator("#edit").evaluate("one => one === document.activeElement")
    page.keyboard.press("Enter")
    page.get_by_label("Label of feature 12").fill("")
    page.keyboard.press("Enter")
    assert page.get_by_text("Expected a label.").is_visible()
    page.get_by_label("Label of feature 12").fill("mine")
    page.get_by_role("button", name="Save").click()
    page.locator("h1", has_text="mine").wait_for()
    page.get_by_role("button", name="Edit label").click()
    page.get_by_role("button", name="Take back").click()
    page.locator(".history", has_text="taken back").wait_for()
    assert page.locator("h1").inner_text() == before


@pytest.mark.parametrize("address", ["read_only"], indirect=True)
def test_a_read_only_page_has_no_way_to_edit(page):
    open_page(page, "/feature/3")
    assert page.locator("#edit").count() == 0
    assert page.locator("footer", has_text="read-only").is_visible()


def test_an_edit_that_the_server_refuses_keeps_what_was_typed(page):
    page.route("**/label", lambda route: route.fulfill(status=403, json={"error": "no."}))
    open_page(page, "/feature/3")
    page.get_by_role("button", name="Edit label").click()
    page.get_by_label("Label of feature 3").fill("mine")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("no.").wait_for()
    assert page.get_by_label("Label of feature 3").input_value() == "mine"


@pytest.mark.parametrize(
    ("latent", "said"),
    [
        (0, "This feature has no label. `sae-jax label` makes labels"),
        (21, "keywords: it is on in too few documents to judge a name"),
        (22, "language model: failed: the endpoint answered 500"),
    ],
)
def test_why_there_is_no_label_is_said(page, latent, said):
    open_page(page, f"/feature/{latent}")
    assert page.locator("h1").inner_text() == f"#{latent} feature {latent}"
    assert page.locator(".note", has_text=said).is_visible()


@pytest.mark.parametrize("run", ["life"], indirect=True)
def test_a_dead_feature_shows_what_it_nearly_responds_to(page):
    open_page(page, "/feature/20")
    assert page.get_by_text("never on in this corpus (0 of 1,500 documents)").is_visible()
    assert page.locator("#tab-near[aria-selected=true]").is_visible()
    assert page.locator(".examples li").count() == 20
    assert page.locator("#tab-top").is_disabled()
    # Nothing can be searched by a feature that has no highest value.
    assert page.get_by_role("link", name="Use in search").count() == 0
    page.goto("/features?state=dead")
    page.get_by_text("1 of 64 features").wait_for()


@pytest.mark.parametrize("run", ["tables"], indirect=True)
def test_without_tables_the_page_says_which_command_makes_them(page):
    page.goto("/feature/3")
    page.get_by_text("Run `sae-jax encode` for this run").wait_for()
    page.goto("/features")
    page.get_by_text("64 of 64 features").wait_for()


@pytest.mark.parametrize("run", ["labels"], indirect=True)
def test_without_labels_the_table_says_how_to_make_them(page, run):
    page.goto("/features")
    page.get_by_text(f"Run `sae-jax label {run}`").wait_for()
    page.locator("tbody .chip.unlabelled").first.wait_for()


@pytest.mark.parametrize("run", ["families"], indirect=True)
def test_without_families_both_pages_say_how_to_make_them(page, run):
    page.goto("/features")
    page.get_by_text(f"Run `sae-jax families {run}`").wait_for()
    assert page.get_by_label("Family").count() == 0
    page.goto("/feature/3")
    page.locator(".card", has_text="Run `sae-jax families").wait_for()


@pytest.mark.parametrize("address", ["no encoder"], indirect=True)
def test_without_an_encoder_a_test_says_how_to_name_one(page):
    open_page(page, "/feature/3?test=text+3")
    page.locator(".tester", has_text="--encoder=minilm").wait_for()
    assert page.locator(".examples li").count() == 20
