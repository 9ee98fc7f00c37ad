"""What pages show where something is missing, lost, or has changed."""

import json
import shutil

import pytest
from explorable import PlantedEncoder, make_explorable, open_run, served, until
from searchable import make_run

from sae_jax.errors import UsageError


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A run that was encoded and no more: no labels, no families, no tables, no encoder."""
    folder = tmp_path_factory.mktemp("bare")
    run = make_run(folder)
    shutil.rmtree(run / "features")
    shutil.rmtree(run / "families")
    return run


@pytest.fixture
def own(tmp_path):
    """A run of this test alone, to change."""
    return make_explorable(tmp_path)


@pytest.fixture
def look(browser):
    """Opens a page of another server than the shared one."""
    contexts = []

    def at(address: str):
        context = browser.new_context(base_url=address)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        return page

    yield at
    for context in contexts:
        context.close()


def test_a_run_without_anything_says_how_to_make_it_and_searches(bare, look):
    with served(open_run(bare)) as address:
        page = look(address)
        page.goto("/search")
        page.get_by_text("No feature has a label yet. Run `sae-jax label").wait_for()
        page.get_by_text("No question can be searched for by meaning").wait_for()
        page.get_by_text("no text encoder is known for").wait_for()
        page.goto("/search?row=5")
        page.locator(".status", has_text="exact").wait_for()
        assert page.locator(".hit").count() == 10
        page.goto("/search?q=text")
        page.locator(".failed", has_text="no text encoder is known").wait_for()


def test_meta_says_what_is_missing_and_how_to_make_it(bare):
    opened = open_run(bare)
    assert "sae-jax families" in opened.missing_families()
    assert "sae-jax encode" in opened.missing_pages()
    assert "no text encoder" in opened.missing_encoder()


def test_a_corpus_without_texts_is_searched_by_its_rows(tmp_path, look):
    run = make_run(tmp_path)
    (tmp_path / "rows" / "texts.jsonl").unlink()
    with served(open_run(run)) as address:
        page = look(address)
        page.goto("/search?row=5")
        page.locator(".hit").first.wait_for()
        assert page.locator(".hit .open").first.inner_text() == "row 5"
        assert page.locator("option[value=words]").is_disabled()


def test_a_server_that_is_gone_is_said_and_found_again(opened, look):
    with served(opened) as address:
        page = look(address)
        page.goto("/search?q=text+12")
        page.locator(".page.search[data-block]").wait_for()
        before = page.locator(".hit").all_inner_texts()
    port = int(address.rsplit(":", 1)[1])
    page.get_by_role("button", name="Compare").click()  # needs no server
    page.locator(".sliders input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    page.locator("#banner", has_text="Lost the server at 127.0.0.1").wait_for()
    with served(opened, port=port):
        until(lambda: not page.locator("#banner p").count())
        page.locator(".status", has_text="exact").wait_for()
        page.get_by_role("button", name="Reset").click()
        until(lambda: "w=" not in page.url)
        page.get_by_role("button", name="Compare").click()
        until(lambda: page.locator(".hit").all_inner_texts() == before)


def test_what_is_typed_stays_when_the_server_is_back(opened, look):
    with served(opened) as address:
        page = look(address)
        page.goto("/feature/3")
        page.locator("#copy").wait_for()
        page.get_by_label("Test a text").fill("not sent yet")
    page.get_by_role("button", name="Full texts").click()
    page.locator("main", has_text="does not answer").first.wait_for()
    with served(opened, port=int(address.rsplit(":", 1)[1])):
        page.locator(".examples .full").first.wait_for()  # without being asked to
        assert not page.locator("#banner p, .failed").count()
        assert page.get_by_label("Test a text").input_value() == "not sent yet"


def test_another_run_at_the_same_port_is_loaded_anew(opened, look):
    with served(opened) as address:
        page = look(address)
        page.goto("/feature/3")
        page.locator("#copy").wait_for()
        page.evaluate("document.body.dataset.kept = 'yes'")
    page.get_by_role("button", name="Full texts").click()
    page.locator("#banner p").wait_for()
    page.route(
        "**/api/meta",
        lambda route: route.fulfill(json={**route.fetch().json(), "fingerprint": "other"}),
    )
    with served(opened, port=int(address.rsplit(":", 1)[1])):
        until(lambda: not page.locator("body[data-kept]").count())


def test_labels_made_meanwhile_are_said_and_read_again(own, look):
    opened = open_run(own, encoder=PlantedEncoder())
    with served(opened) as address:
        page = look(address)
        page.goto("/search?q=text+5")
        page.locator("footer .run").wait_for()
        path = opened.features / "labels.jsonl"
        of = {"run_fingerprint": opened.stored.manifest.run_fingerprint}
        found = [{"latent": i, "state": "ok", "text": f"new {i}"} | of for i in range(64)]
        path.write_text("".join(json.dumps(one) + "\n" for one in found))
        page.locator("#banner", has_text="The run changed on disk").wait_for()
        page.get_by_role("button", name="Reload").click()
        page.locator(".slider .name", has_text="new ").first.wait_for()
        assert not page.locator("#banner p").count()
        assert page.url.endswith("/search?q=text+5")  # by the encoder that it was opened with


def test_codes_of_other_weights_are_refused_when_it_starts(own):
    manifest = next(own.glob("codes/*/manifest.json"))
    content = json.loads(manifest.read_text()) | {"run_fingerprint": "0" * 64}
    manifest.write_text(json.dumps(content))
    with pytest.raises(Exception, match="sae-jax encode") as error:
        open_run(own)
    assert not isinstance(error.value, UsageError | AssertionError)


def test_a_feature_that_is_never_on_is_said(opened, client, monkeypatch):
    highest = opened.dictionary.highest.copy()
    highest[7] = 0
    monkeypatch.setitem(vars(opened.dictionary), "highest", highest)
    for asked in ("feature=7", "row=5&w=7:100"):
        answer = client.get(f"/api/search?{asked}")
        assert answer.status_code == 400
        assert "latent 7 is never on in this corpus" in answer.json()["error"]
