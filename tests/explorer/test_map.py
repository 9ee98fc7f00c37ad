"""The map: positions are principal components, and a selection's features are counted."""

import shutil

import numpy as np
import pytest
from explorable import open_run

from sae_jax.explorer import map as maps


def test_positions_of_features_are_the_principal_components_of_their_directions(client, opened):
    found = client.get("/api/map?of=features").json()
    W_dec = opened.dictionary.W_dec.astype(float)
    centred = W_dec - W_dec.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    expected = u[:, :2] * s[:2]
    for axis, name in enumerate(("x", "y")):
        own = np.array(found[name])
        sign = np.sign(own @ expected[:, axis])
        # The server works in float32 and rounds to five places.
        np.testing.assert_allclose(own, sign * expected[:, axis], atol=1e-4)
    np.testing.assert_allclose(found["share"], s[:2] ** 2 / (s**2).sum(), rtol=1e-4)
    assert found["method"] == "PCA"
    assert found["n"] == found["n_shown"] == len(found["ids"]) == opened.n_latents


def test_positions_of_documents_are_the_principal_components_of_their_rows(client, opened):
    found = client.get("/api/map?of=documents").json()
    rows = opened.search.reader.read(np.arange(opened.n_rows)).astype(float)
    _, s, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    expected = (rows - rows.mean(axis=0)) @ axes[0]
    own = np.array(found["x"])
    np.testing.assert_allclose(own, np.sign(own @ expected) * expected, atol=1e-3)
    np.testing.assert_allclose(found["share"], s[:2] ** 2 / (s**2).sum(), rtol=1e-3)


def test_an_axis_is_never_mirrored():
    rows = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    one, other = maps.plane_of(rows).points, maps.plane_of(rows[::-1].copy()).points
    np.testing.assert_allclose(one, other[::-1], atol=1e-5)


@pytest.mark.parametrize(("n", "d"), [(1, 4), (3, 1), (2, 2)])
def test_a_plane_of_next_to_nothing_is_finite(n, d):
    plane = maps.plane_of(np.arange(n * d, dtype=np.float32).reshape(n, d))
    assert plane.points.shape == (n, 2)
    assert np.isfinite(plane.points).all()
    assert np.isfinite(plane.share).all()


def test_of_more_documents_than_a_map_shows_a_uniform_sample_is_told_with_its_count(
    explorable, monkeypatch
):
    monkeypatch.setattr(maps, "MOST_POINTS", 100)
    found = maps._points(open_run(explorable), "documents")
    assert (len(found.ids), found.n) == (100, 1_500)
    assert (np.diff(found.ids) > 0).all()
    # Of 100 drawn evenly from 1,500 about a third lie in each third.
    assert all(20 < np.sum(found.ids // 500 == third) < 47 for third in range(3))


def test_features_carry_what_colours_them(client, opened):
    found = client.get("/api/map?of=features").json()
    np.testing.assert_allclose(found["density"], opened.stored.density)
    assert found["label"][3] == "horse, saddle"
    assert found["f1"][3] == 0.9
    assert found["label"][0] is None
    assert found["f1"][0] is None
    assert found["state"] == [opened.state(latent) for latent in range(opened.n_latents)]
    # 9 is the parent of one family, and a child in the other; the first listed counts.
    assert [found["family"][latent] for latent in (3, 5, 9, 11, 0)] == [0, 0, 0, 1, None]


def test_a_family_lies_where_its_parent_does(client):
    found = client.get("/api/map?of=features").json()
    first = found["families"][0]
    assert (first["latent"], first["label"], first["n"]) == (3, "horse, saddle", 3)
    assert (first["x"], first["y"]) == (found["x"][3], found["y"][3])


def test_documents_carry_their_strongest_feature_and_their_name(client, opened):
    found = client.get("/api/map?of=documents").json()
    for row in (0, 7, 800):
        code = dict(zip(opened.stored.indices[row], opened.stored.values[row], strict=True))
        assert found["feature"][row] == max(code, key=code.get)
        assert found["value"][row] == pytest.approx(max(code.values()), abs=1e-4)
    assert found["label"][1] == "Title 1"
    assert found["label"][2] == "text 2 of words"
    assert found["features"]["3"] == "horse, saddle"


def box_around(found, rows):
    ends = {name: np.array(found[name])[rows] for name in ("x", "y")}
    return "&".join(f"{name}={own.min()}:{own.max()}" for name, own in ends.items())


def test_the_lift_of_a_selection_is_that_of_counting(client, opened):
    found = client.get("/api/map?of=documents").json()
    x, y = np.array(found["x"]), np.array(found["y"])
    right = np.argsort(x)[-300:]
    told = client.get(f"/api/map/selection?of=documents&{box_around(found, right)}").json()
    inside = (x >= x[right].min()) & (y >= y[right].min()) & (y <= y[right].max())
    assert told["n_inside"] == inside.sum()
    on = np.zeros((opened.n_rows, opened.n_latents), bool)
    np.put_along_axis(on, np.asarray(opened.stored.indices), opened.stored.values > 0, axis=1)
    expected = on[inside].mean(axis=0) / np.maximum(on.mean(axis=0), 1e-9)
    assert told["features"]
    for one in told["features"]:
        latent = one["feature"]["latent"]
        assert one["n_inside"] == on[inside, latent].sum() >= maps.LEAST_ON
        assert one["lift"] == pytest.approx(expected[latent])
    worth = [one["n_inside"] * np.log(one["lift"]) for one in told["features"]]
    assert worth == sorted(worth, reverse=True)
    assert {one["row"] for one in told["documents"]} <= set(np.flatnonzero(inside).tolist())


def test_a_selection_of_features_lists_those_inside(client, opened):
    found = client.get("/api/map").json()
    told = client.get(f"/api/map/selection?of=features&{box_around(found, [3])}").json()
    assert [one["feature"]["latent"] for one in told["features"]] == [3]
    assert told["n_inside"] == 1


def test_an_empty_selection_has_no_features(client):
    told = client.get("/api/map/selection?of=documents&x=90:91&y=90:91").json()
    assert (told["n_inside"], told["features"], told["documents"]) == (0, [], [])


@pytest.mark.parametrize(
    "box", ["x=1&y=0:1", "x=2:1&y=0:1", "x=a:b&y=0:1", "x=0:inf&y=0:1", ""]
)
def test_a_box_that_is_none_is_refused_with_what_is_expected(client, box):
    answer = client.get(f"/api/map/selection?of=documents&{box}")
    assert answer.status_code == 400
    assert "LOW:HIGH" in answer.json()["error"]


def test_positions_are_computed_once(opened, monkeypatch):
    first = maps.points_of(opened, "features")
    monkeypatch.setattr(maps, "plane_of", lambda vectors: pytest.fail("computed again"))
    assert maps.points_of(opened, "features") is first


def test_without_families_texts_and_labels_there_are_points_all_the_same(explorable, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(explorable, run, ignore=shutil.ignore_patterns("families", "labels.jsonl"))
    opened = open_run(run)
    opened.documents = None
    found = maps._feature_columns(opened, maps.points_of(opened, "features"))
    assert (found["families"], set(found["family"]), set(found["label"])) == (
        [],
        {None},
        {None},
    )
    found = maps._document_columns(opened, maps.points_of(opened, "documents"))
    assert set(found["label"]) == {None}
    assert set(found["features"].values()) == {None}
