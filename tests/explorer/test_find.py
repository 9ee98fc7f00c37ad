"""What the box in the header is offered."""

import pytest
from explorable import EVIL, IDEOGRAPHS, RIGHT_TO_LEFT, SLASHED

from sae_jax.explorer import find

LABELS = {
    1: "seahorse", 2: "horse, saddle", 3: "a horse", 4: "horse", 5: "cat",
    6: "saddles for a horse",
}  # fmt: skip


def test_a_label_that_begins_with_the_query_comes_before_one_that_holds_it():
    assert find.ranked("horse", LABELS.items()) == [4, 2, 3, 6, 1]


def test_words_in_any_order_are_found_after_the_phrase():
    assert find.ranked("horse, sad", LABELS.items()) == [2, 6]
    assert find.ranked("SADDLE HOR", LABELS.items()) == [2, 6]


def test_nothing_but_signs_finds_nothing():
    assert find.ranked(" ,;", LABELS.items()) == []


def test_features_are_found_by_label(client, opened):
    found = client.get("/api/find?q=horse").json()
    assert found["features"] == [opened.feature(3)]
    assert found["n_features"] == 1


@pytest.mark.parametrize(
    ("label", "latent"), [(EVIL, 5), (RIGHT_TO_LEFT, 11), (IDEOGRAPHS[:2], 12)]
)
def test_labels_of_all_scripts_are_found(client, label, latent):
    found = client.get("/api/find", params={"q": label}).json()
    assert [one["latent"] for one in found["features"]] == [latent]


def test_families_are_found_by_the_label_of_their_parent(client):
    found = client.get("/api/find?q=saddle").json()
    assert [one["number"] for one in found["families"]] == [0]
    assert found["families"][0]["n_members"] == 3
    assert client.get("/api/find?q=twenty").json()["families"] == []


def test_documents_are_found_by_their_words_and_counted(client):
    found = client.get("/api/find?q=words").json()
    assert len(found["documents"]) == 6
    assert found["n_documents"] == 1_497
    assert found["ranked"] is True


def test_documents_with_a_very_common_word_are_the_first_by_row(client, monkeypatch):
    monkeypatch.setattr(find, "MOST_RANKED", 100)
    found = client.get("/api/find?q=words").json()
    assert found["ranked"] is False
    assert [one["row"] for one in found["documents"]] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("query", ["12", "#12"])
def test_a_number_names_a_feature_and_a_document(client, opened, query):
    found = client.get("/api/find", params={"q": query}).json()["go"]
    assert [(one["kind"], one.get("latent", one.get("row"))) for one in found] == [
        ("feature", 12), ("document", 12),
    ]  # fmt: skip
    assert opened.feature(12).items() <= found[0].items()


def test_a_number_beyond_the_features_names_a_document_alone(client):
    found = client.get("/api/find?q=1000").json()["go"]
    assert [one["kind"] for one in found] == ["document"]
    assert client.get("/api/find?q=99999999999").json()["go"] == []


def test_a_number_that_is_no_row_is_looked_up_as_an_id(client, opened, monkeypatch):
    asked = {"20150611": 44}
    monkeypatch.setattr(type(opened.documents), "row_of", lambda self, name: asked.get(name))
    found = client.get("/api/find?q=20150611").json()["go"]
    assert [(one["kind"], one["row"]) for one in found] == [("document", 44)]


def test_an_id_names_its_document(client):
    found = client.get("/api/find", params={"q": SLASHED}).json()["go"]
    assert [(one["kind"], one["row"]) for one in found] == [("document", 12)]


def test_names_and_documents_can_be_asked_for_apart(client):
    params = {"q": "12"}
    every = client.get("/api/find", params=params).json()
    names = client.get("/api/find", params=params | {"of": "names"}).json()
    documents = client.get("/api/find", params=params | {"of": "documents"}).json()
    assert names | documents == every
    assert "documents" not in names
    assert "features" not in documents


def test_an_empty_query_finds_nothing(client):
    found = client.get("/api/find?q=").json()
    assert found["features"] == found["families"] == found["documents"] == found["go"] == []


def test_a_run_without_texts_labels_and_families_finds_numbers(bare_client):
    found = bare_client.get("/api/find?q=12").json()
    assert [one["kind"] for one in found["go"]] == ["feature", "document"]
    assert found["features"] == found["families"] == found["documents"] == []
