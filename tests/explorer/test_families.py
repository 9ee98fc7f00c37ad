"""What the server says of families."""

import numpy as np
import pytest
from explorable import EVIL, open_run
from searchable import EDGES, METRICS

MEMBERS = [9, 11, 20, 21]


def test_all_are_listed_with_their_parents_the_first_first(client, opened):
    found = client.get("/api/families").json()
    assert [one["number"] for one in found["families"]] == [0, 1]
    assert [one["n_members"] for one in found["families"]] == [3, 4]
    assert found["families"][0]["parent"] == opened.feature(3)
    assert found["metrics"] == METRICS
    assert found["method"] == "ours"
    assert found["bounds"] == {"least_share": 0.4, "least_ratio": 2.0, "least_members": 4}
    assert "depend on how they were made" in found["note"]


def test_ratios_are_those_of_the_single_families(client):
    found = client.get("/api/families/ratios").json()
    assert found == [client.get(f"/api/family/{n}/matrix").json()["ratio"] for n in (0, 1)]
    assert found[1] > 0


def test_a_family_has_its_members_and_the_edges_between_them(client, opened):
    found = client.get("/api/family/1").json()
    assert [one["latent"] for one in found["members"]] == MEMBERS
    assert found["members"][2] == opened.feature(20)
    assert found["edges"] == [edge for edge in EDGES if 3 not in edge]
    assert found["shared"] == {"9": [0]}
    assert found["n_families"] == 2
    assert found["matrix_unasked"] is True


def test_labels_are_as_they_were_written(client):
    assert client.get("/api/family/0").json()["members"][1]["label"] == EVIL


def test_the_strongest_rows_are_those_of_the_highest_sum(client, dense):
    rows = client.get("/api/family/1").json()["rows"]
    sums = dense[:, MEMBERS].sum(axis=1)
    order = np.lexsort((np.arange(len(sums)), -sums))[: len(rows)]
    assert len(rows) == 12
    assert [one["row"] for one in rows] == order.tolist()
    np.testing.assert_allclose([one["value"] for one in rows], sums[order], rtol=1e-6)
    assert rows[0]["percent"] == pytest.approx(100)
    for one in rows:
        values = {part["latent"]: part["value"] for part in one["features"]}
        on = {i: dense[one["row"], i] for i in MEMBERS if dense[one["row"], i] > 0}
        assert one["n_on"] == len(on)
        assert list(values) == sorted(on, key=lambda i: -on[i])[:3]
        assert values == pytest.approx({i: on[i] for i in values})


def test_the_matrix_and_its_twin_are_in_one_order_the_parent_first(client, dense, opened):
    found = client.get("/api/family/1/matrix").json()
    latents = [one["latent"] for one in found["latents"]]
    assert latents[0] == 9
    assert sorted(latents) == sorted(MEMBERS)
    on = (dense[:, latents] > 0).astype(float)
    both = on.T @ on
    rarer = np.minimum.outer(on.sum(axis=0), on.sum(axis=0))
    # Four digits are kept.
    np.testing.assert_allclose(found["overlap"], both / np.maximum(rarer, 1), atol=6e-5)
    directions = opened.dictionary.W_dec[latents]
    np.testing.assert_allclose(found["cosine"], directions @ directions.T, atol=6e-5)


def test_a_family_that_is_not_there_is_said(client):
    for number in ("2", "-1", "x"):
        answer = client.get(f"/api/family/{number}")
        assert answer.status_code == 404
        assert f"there is no family '{number}'; expected a number from 0 to 1" in answer.text


def test_a_large_family_is_drawn_as_a_tree_and_its_matrix_is_of_some(explorable, monkeypatch):
    from starlette.testclient import TestClient

    from sae_jax.explorer import families
    from sae_jax.explorer.app import create_app

    monkeypatch.setattr(families, "MOST_UNASKED", 3)
    monkeypatch.setattr(families, "MOST_IN_MATRIX", 3)
    client = TestClient(create_app(open_run(explorable)), base_url="http://127.0.0.1")
    assert client.get("/api/family/0").json()["matrix_unasked"] is True
    assert client.get("/api/family/1").json()["matrix_unasked"] is False
    found = client.get("/api/family/1/matrix").json()
    assert {one["latent"] for one in found["latents"]} == {9, 11, 20}
    assert found["n_members"] == 4


def test_without_families_it_is_said_how_to_make_them(bare_client):
    for path in ("/api/families", "/api/families/ratios", "/api/family/0"):
        answer = bare_client.get(path)
        assert answer.status_code == 409
        assert "Run `sae-jax families" in answer.json()["error"]
