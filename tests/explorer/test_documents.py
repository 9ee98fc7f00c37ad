"""What the server says of documents."""

import urllib.parse

import numpy as np
import pytest
from explorable import EVIL, N_ROWS, SLASHED, copy_of, open_run
from starlette.testclient import TestClient
from tiny import planted_rows

from sae_jax.analysis import encode
from sae_jax.data.shards import open_shards
from sae_jax.explorer.app import create_app
from sae_jax.notebook import load

ROW = 40


@pytest.fixture(scope="module")
def found(client):
    return client.get(f"/api/document/{ROW}").json()


@pytest.fixture(scope="module")
def rows():
    return planted_rows(N_ROWS).astype(np.float16).astype(np.float64)


def test_a_document_is_whole_with_all_its_fields(found):
    assert found["document"] == {
        "row": 40, "id": "n40", "title": "Title 40", "text": "text 40 of words",
        "url": "https://example.org/40",
        "fields": {"title": "Title 40", "year": 2000, "url": "https://example.org/40"},
    }  # fmt: skip
    assert found["n_rows"] == N_ROWS


def test_a_link_that_is_none_of_the_web_is_a_field_and_no_link(client):
    one = client.get("/api/document/7").json()["document"]
    assert one["title"] == one["text"] == EVIL
    assert one["url"] == ""
    assert one["fields"]["url"] == "javascript:alert(1)"


def test_its_features_are_those_of_its_code_strongest_first(found, opened, dense):
    on = np.flatnonzero(dense[ROW])
    expected = on[np.argsort(-dense[ROW, on])].tolist()
    assert [one["latent"] for one in found["features"]] == expected
    for one in found["features"]:
        latent = one["latent"]
        assert one["value"] == pytest.approx(dense[ROW, latent])
        assert one["percent"] == pytest.approx(
            100 * dense[ROW, latent] / dense[:, latent].max()
        )
        assert opened.feature(latent).items() <= one.items()


def test_the_features_explain_what_the_reconstruction_has_beyond_the_bias(
    found, opened, dense, rows
):
    x, own = rows[ROW], opened.dictionary
    x_hat = dense[ROW] @ own.W_dec + own.b_dec
    length = np.linalg.norm
    made = found["reconstruction"]
    expected = {
        "n_on": np.count_nonzero(dense[ROW]),
        "cosine": x @ x_hat / length(x) / length(x_hat),
        "explained": 1 - (length(x - x_hat) / length(x - own.b_dec)) ** 2,
        "missing_norm": length(x - x_hat) / length(x),
        "bias_cosine": x @ own.b_dec / length(x) / length(own.b_dec),
        "bias_norm": length(own.b_dec),
        "norm": length(x),
    }
    assert made == pytest.approx(expected, rel=1e-4)  # float32
    assert 0 < made["explained"] < 1


def nearest(vectors):
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    scores = unit @ unit[ROW]
    scores[ROW] = -np.inf
    order = np.lexsort((np.arange(len(scores)), -scores))[:10]
    return order.tolist(), scores[order]


@pytest.mark.parametrize("way", ["dense", "code"])
def test_the_nearest_are_those_of_the_highest_cosine(way, found, dense, rows):
    order, scores = nearest(rows if way == "dense" else dense)
    near = found["near"][way]
    np.testing.assert_allclose([one["score"] for one in near], scores, rtol=1e-5)
    assert [one["row"] for one in near] == order
    assert near[0]["text"] == f"text {order[0]} of words"


def test_a_document_is_found_by_an_id_of_any_characters(client):
    for name, row in (("n41", 41), (SLASHED, 12), ("12", 12)):
        answer = client.get(f"/api/document/{urllib.parse.quote(name, safe='')}")
        assert answer.json()["document"]["row"] == row
    answer = client.get("/api/document/nowhere")
    assert answer.status_code == 404
    assert "there is no document 'nowhere'" in answer.json()["error"]


def test_several_are_read_in_the_order_asked_for(client, opened):
    found = client.get("/api/documents?rows=12,3,12").json()
    assert found == opened.shown([12, 3, 12])
    assert client.get("/api/documents?rows=").json() == []


def test_too_many_and_rows_that_are_not_there_are_said(client):
    answer = client.get("/api/documents?rows=" + ",".join(["1"] * 201))
    assert answer.status_code == 400
    assert "expected 200 at most" in answer.json()["error"]
    assert client.get("/api/documents?rows=1,1500").status_code == 404


def test_rows_are_found_by_keywords(client):
    found = client.get("/api/keywords?q=text words&k=3").json()
    assert found["n"] == N_ROWS - 3  # all but those of other texts
    assert found["ranked"] is True
    assert len(found["documents"]) == 3
    (one,) = client.get("/api/keywords?q=WORD 77").json()["documents"]
    assert one["row"] == 77
    assert client.get("/api/keywords?q=").json() == {"documents": [], "n": 0, "ranked": True}
    assert client.get("/api/keywords?q=a&k=0").status_code == 400


def test_keywords_in_a_very_common_word_are_not_ranked(client, monkeypatch):
    from sae_jax.explorer import documents

    monkeypatch.setattr(documents, "MOST_RANKED", 100)
    found = client.get("/api/keywords?q=text&k=3").json()
    assert found["ranked"] is False
    assert [one["row"] for one in found["documents"]] == [0, 1, 2]


def test_without_texts_a_document_is_its_row_and_features(bare_client, found):
    bare = bare_client.get(f"/api/document/{ROW}").json()
    assert bare["document"] == {"row": ROW, "id": str(ROW)}
    assert [one["value"] for one in bare["features"]] == [
        one["value"] for one in found["features"]
    ]
    assert [one["row"] for one in bare["near"]["code"]] == [
        one["row"] for one in found["near"]["code"]
    ]
    answer = bare_client.get("/api/keywords?q=horse")
    assert answer.status_code == 404
    assert "has no texts" in answer.json()["error"]


def small_corpus(folder, vectors):
    folder.mkdir()
    np.save(folder / "a.npy", vectors.astype(np.float16))
    return folder


def client_of(run, shards):
    run = copy_of(run, shards.parent)  # others count the corpora that it has codes of
    sae, reader = load(run), open_shards(shards)
    encode.encode_corpus(sae, reader, out=encode.folder_for(run, reader))
    opened = open_run(run, shards=str(shards))
    return TestClient(create_app(opened), base_url="http://127.0.0.1")


def test_a_corpus_of_one_document_has_no_neighbours(explorable, tmp_path):
    client = client_of(explorable, small_corpus(tmp_path / "one", planted_rows(1)))
    found = client.get("/api/document/0").json()
    assert found["near"] == {"dense": [], "code": []}
    assert found["features"][0]["percent"] == 100
    assert client.get("/api/document/1").status_code == 404


def test_a_row_of_zeros_is_near_to_nothing_and_has_no_cosine(explorable, tmp_path):
    vectors = np.concatenate([np.zeros((1, 16)), planted_rows(3)])
    client = client_of(explorable, small_corpus(tmp_path / "zero", vectors))
    found = client.get("/api/document/0").json()
    assert found["near"]["dense"] == []
    assert found["reconstruction"]["cosine"] is None
    assert found["reconstruction"]["missing_norm"] is None
