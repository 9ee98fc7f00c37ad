"""Whose requests are taken: the explorer's own pages, and no other site's."""

import pytest
from explorable import open_run
from starlette.testclient import TestClient

from sae_jax.explorer.app import STATIC, create_app

OWN = {"origin": "http://127.0.0.1", "content-type": "application/json"}


def reload(client, **headers):
    return client.post("/api/reload", content=b"{}", headers=OWN | headers)


def test_a_write_of_an_own_page_is_taken(client):
    assert reload(client).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"origin": "http://evil.example"}, 403, "own pages only"),
        ({"origin": "http://127.0.0.1:9999"}, 403, "own pages only"),
        ({"origin": "null"}, 403, "own pages only"),
        ({"sec-fetch-site": "cross-site"}, 403, "own pages only"),
        ({"sec-fetch-site": "same-site"}, 403, "own pages only"),
        # What a form of another page can send without asking first.
        ({"content-type": "text/plain"}, 415, "expected a body of application/json"),
        ({"content-length": "100000"}, 413, "at most"),
        ({"transfer-encoding": "chunked"}, 411, "whose length is stated"),
    ],
)
def test_a_write_of_another_page_is_refused(client, headers, status, said):
    answer = reload(client, **headers)
    assert answer.status_code == status
    assert said in answer.json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1"])
def test_a_loopback_server_answers_under_its_own_names_only(client, host):
    answer = client.get("/api/meta", headers={"host": host})
    assert answer.status_code == 421
    assert "start it with --host" in answer.json()["error"]


@pytest.mark.parametrize("own", ["127.0.0.2", "LOCALHOST", "Localhost", "::1"])
def test_all_addresses_of_this_machine_alone_are_guarded(opened, own):
    client = TestClient(create_app(opened, host=own), base_url="http://evil.example")
    assert client.get("/api/meta").status_code == 421
    assert client.get("/api/meta", headers={"host": "127.0.0.2:80"}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "[::1]:7860", "LOCALHOST:1"])
def test_its_own_names_are_these(client, host):
    assert client.get("/api/meta", headers={"host": host}).status_code == 200


def test_a_server_for_others_answers_under_any_name(opened):
    client = TestClient(create_app(opened, host="0.0.0.0"), base_url="http://demo.example")
    assert client.get("/api/meta").status_code == 200


def test_a_server_that_is_read_only_takes_no_writes(explorable):
    opened = open_run(explorable, read_only=True)
    client = TestClient(create_app(opened), base_url="http://127.0.0.1")
    answer = client.post("/api/feature/3/label", content=b'{"text": "a"}', headers=OWN)
    assert answer.status_code == 403
    assert "--read_only" in answer.json()["error"]
    assert opened.labels.of(3)[-1].source != "you"
    assert reload(client).status_code == 200  # it writes nothing of the run's
    assert reload(client, origin="http://evil.example").status_code == 403
    assert client.get("/api/meta").json()["read_only"] is True


@pytest.mark.parametrize("path", ["/search", "/api/meta", "/api/nothing", "/static/main.js"])
def test_all_answers_forbid_what_is_not_the_page_s_own(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]


def test_a_defect_is_an_answer_with_the_same_headers(opened, monkeypatch, capsys):
    monkeypatch.setattr(type(opened), "is_stale", lambda self: 1 / 0)
    client = TestClient(
        create_app(opened), base_url="http://127.0.0.1", raise_server_exceptions=False
    )
    answer = client.get("/healthz")
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.json()["error"]
    assert answer.json()["request_id"] in capsys.readouterr().err
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "%2e%2e%2fapp.py"]
)
def test_files_outside_the_pages_are_not_served(client, path):
    assert (STATIC.parent / "app.py").exists()
    assert client.get(f"/static/{path}").status_code == 404
