"""The frame of the explorer: every address is answered, and errors say what to do."""

import json
import threading
import urllib.request

import pytest
from explorable import served, until

from sae_jax.explorer import routes

PAGES = (
    "/search", "/features", "/feature/3", "/families", "/family/0", "/map", "/document/3",
    "/runs",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_the_same_document(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text == client.get("/search").text


def test_the_root_leads_to_the_search(client):
    assert client.get("/", follow_redirects=False).headers["location"] == "/search"


def test_meta_says_what_run_this_is(client, opened):
    found = client.get("/api/meta").json()
    assert found["n_rows"] == 1_500
    assert found["fingerprint"] == opened.fingerprint
    assert found["missing"] == dict.fromkeys(("texts", "families", "features", "labels"))


def test_an_unknown_parameter_is_named_with_the_nearest_that_there_is(client):
    answer = client.get("/api/meta?x=1")
    assert answer.status_code == 400
    assert "no parameter 'x'" in answer.json()["error"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_an_address_that_is_not_there_is_said_in_json(client):
    answer = client.get("/api/nothing")
    assert answer.status_code == 404
    assert "'/api/nothing'" in answer.json()["error"]


def test_an_answer_that_the_browser_has_is_not_sent_again(client):
    tag = client.get("/api/meta").headers["etag"]
    assert client.get("/api/meta", headers={"if-none-match": tag}).status_code == 304
    assert client.get("/api/meta", headers={"if-none-match": '"other"'}).status_code == 200


def test_json_has_neither_nan_nor_infinity(client):
    json.loads(client.get("/api/meta").text, parse_constant=pytest.fail)


def test_files_and_health_are_answered_while_all_threads_compute(opened, monkeypatch):
    """With two threads and three slow questions, such as to an encoder far away."""
    release, running, most = threading.Event(), [], []

    def slow(opened, request):
        """Waits."""
        running.append(1)
        most.append(len(running))
        release.wait(20)
        running.pop()
        return {}

    monkeypatch.setattr(routes.documents, "keywords", slow)
    monkeypatch.setattr(routes.os, "cpu_count", lambda: 1)
    with served(opened) as address:

        def ask(path: str) -> int:
            with urllib.request.urlopen(address + path, timeout=10) as answer:
                return answer.status

        asking = [threading.Thread(target=ask, args=["/api/keywords"]) for _ in range(3)]
        for thread in asking:
            thread.start()
        until(lambda: len(running) == 2)
        assert ask("/healthz") == ask("/static/main.js") == ask("/search") == 200
        assert len(running) == 2
        release.set()
        for thread in asking:
            thread.join(timeout=20)
    assert len(most) == 3
    assert max(most) == 2
