"""The table of all features, and the features of a text, against plain NumPy."""

import copy
import json
import types

import numpy as np
import pytest
from explorable import EVIL, N_ROWS, PlantedEncoder, copy_of, open_run, silence
from searchable import FAMILIES
from starlette.testclient import TestClient

from sae_jax.data.numbers import to_json
from sae_jax.explorer import features
from sae_jax.explorer.app import create_app
from sae_jax.explorer.labels import Labels

SMALLEST_STEP = 5e-4  # of four digits, over the number


def client_of(opened):
    return TestClient(create_app(opened), base_url="http://127.0.0.1")


def column(found, name):
    return found["columns"][name]


def test_the_table_has_density_and_highest_value_of_every_feature(client, opened):
    found = client.get("/api/features").json()
    stored = opened.stored
    assert found["n"] == opened.n_latents
    assert found["n_rows"] == N_ROWS
    for latent in range(opened.n_latents):
        own = stored.values[(stored.indices == latent) & (stored.values > 0)]
        assert column(found, "density")[latent] == pytest.approx(
            len(own) / N_ROWS, rel=SMALLEST_STEP
        )
        assert column(found, "highest")[latent] == pytest.approx(own.max(), rel=SMALLEST_STEP)


def test_the_table_has_labels_with_their_source_and_score(client):
    found = client.get("/api/features").json()
    assert column(found, "label")[5] == EVIL
    assert found["sources"][column(found, "source")[5]] == "keywords"
    assert column(found, "f1")[5] == 0.9
    for latent in (0, 21):  # one without, and one of which no label could be made
        assert column(found, "label")[latent] is None
        assert column(found, "source")[latent] is None
        assert column(found, "f1")[latent] is None


def test_the_table_has_every_family_of_a_feature(client, opened):
    found = client.get("/api/features").json()
    members = [{one["parent"], *one["children"]} for one in FAMILIES]
    for latent in range(opened.n_latents):
        expected = [number for number, own in enumerate(members) if latent in own]
        assert column(found, "family")[latent] == expected


def test_states_are_told_apart(explorable, tmp_path):
    run = copy_of(explorable, tmp_path)
    silence(run, 20)
    opened = open_run(run)
    found = client_of(opened).get("/api/features").json()
    n_on = np.bincount(opened.stored.indices[opened.stored.values > 0], minlength=64)
    expected = np.select([n_on == 0, n_on > N_ROWS / 10], ["dead", "dense"], "alive")
    states = [found["states"][one] for one in column(found, "state")]
    assert states == expected.tolist()
    assert set(states) == {"alive", "dense", "dead"}
    assert column(found, "highest")[20] == 0


def test_an_edit_changes_the_table(explorable, tmp_path):
    opened = open_run(copy_of(explorable, tmp_path))
    client = client_of(opened)
    before = client.get("/api/features")
    opened.labels.edit(0, "by hand")
    after = client.get("/api/features")
    assert column(after.json(), "label")[0] == "by hand"
    assert after.json()["sources"][column(after.json(), "source")[0]] == "you"
    assert after.headers["etag"] != before.headers["etag"]


def test_nine_thousand_features_take_less_than_700_kilobytes(opened, tmp_path):
    n = 9_216
    rng = np.random.default_rng(0)
    lines = [
        {"latent": i, "state": "ok", "text": f"dark matter, halo profile, {i}",
         "easy": {"f1": float(rng.random())}}
        for i in range(n)
    ]  # fmt: skip
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)))
    large = copy.copy(opened)
    large.n_latents, large.labels = n, Labels(tmp_path, run_fingerprint="")
    large.density = rng.random(n) / 100
    large.dictionary = types.SimpleNamespace(highest=rng.random(n).astype(np.float32))
    large._families_of = {i: [int(rng.integers(40))] for i in range(n)}
    table = features._table(large, 0)
    assert len(table["columns"]["label"]) == n
    assert len(to_json(table)) < 700_000


def pre_acts_of(opened, x):
    sae = opened.dictionary.sae
    W_enc, b_enc, b_dec = (np.asarray(one) for one in (sae.W_enc, sae.b_enc, sae.b_dec))
    return (x - b_dec) @ W_enc + b_enc


def test_a_text_has_the_features_of_its_embedding(client, opened):
    pre_acts = pre_acts_of(opened, PlantedEncoder().rows[40])
    best = np.argsort(-pre_acts)[: opened.dictionary.sae.k]
    found = client.get("/api/encode", params={"text": "text 40 of words"}).json()
    assert [one["latent"] for one in found["features"]] == best.tolist()
    assert [one["rank"] for one in found["features"]] == [1, 2, 3]
    highest = [opened.stored.values[opened.stored.indices == latent].max() for latent in best]
    # The autoencoder and NumPy add in another order.
    values = [one["value"] for one in found["features"]]
    np.testing.assert_allclose(values, pre_acts[best], rtol=1e-4)
    percents = [one["percent"] for one in found["features"]]
    np.testing.assert_allclose(percents, 100 * pre_acts[best] / highest, rtol=1e-4)
    assert found["asked"] is None


def test_a_feature_that_is_not_kept_has_a_rank_and_no_value(client, opened):
    pre_acts = pre_acts_of(opened, PlantedEncoder().rows[40])
    order = np.argsort(-pre_acts)
    for rank in (2, 4, 64):  # the second of three that are kept, and two that are not
        latent = int(order[rank - 1])
        asked = {"text": "text 40 of words", "latent": latent}
        found = client.get("/api/encode", params=asked).json()["asked"]
        assert (found["latent"], found["rank"]) == (latent, rank)
        assert found["pre_act"] == pytest.approx(pre_acts[latent], rel=1e-4, abs=1e-6)
        kept = rank <= 3
        assert found["value"] == (pytest.approx(pre_acts[latent], rel=1e-4) if kept else 0)


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"text": " "}, 400, "text is empty"),
        ({"text": "x", "latent": "64"}, 404, "no feature '64'; expected a number from 0 to 63"),
        ({"text": "x", "latents": "3"}, 400, "did you mean 'latent'"),
        ({"text": "x" * 8_001}, 400, "text has 8,001 characters; expected 8,000"),
    ],
)
def test_what_cannot_be_encoded_is_said(client, asked, status, said):
    answer = client.get("/api/encode", params=asked)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_without_an_encoder_its_absence_is_said_and_a_read_only_server_encodes(explorable):
    opened = open_run(explorable, read_only=True)
    client = client_of(opened)
    answer = client.get("/api/encode", params={"text": "text 3"})
    assert answer.status_code == 400
    assert "--encoder=minilm" in answer.json()["error"]
    opened.search.use_encoder(PlantedEncoder())
    assert client.get("/api/encode", params={"text": "text 3"}).status_code == 200
