"""One feature's answer against plain NumPy, and labels by hand."""

import json

import numpy as np
import pytest
from explorable import EVIL, N_ROWS, copy_of, open_run, record, silence
from searchable import FAMILIES
from starlette.testclient import TestClient

from sae_jax.explorer.app import create_app

LATENT = 3
LLM = [
    {"latent": 3, "state": "ok", "text": "riding", "why": "They are about riding.",
     "confidence": 8, "model": "small", "judge_model": "large", "prompt_version": 1,
     "scores": {"n": 40, "n_on": 20, "pearson": None,
                "f1": {"value": 0.7, "low": 0.6, "high": 0.8},
                "auroc": {"value": 0.9, "low": 0.8, "high": 0.95}}},
    {"latent": 22, "state": "failed", "text": "", "reason": "the endpoint answered 500"},
]  # fmt: skip


def client_of(opened):
    return TestClient(
        create_app(opened), base_url="http://127.0.0.1", raise_server_exceptions=False
    )


@pytest.fixture
def own(explorable, tmp_path):
    """A copy, which a test may write into."""
    return copy_of(explorable, tmp_path)


@pytest.fixture
def values(opened):
    """The values of every latent on every row."""
    found = np.zeros((N_ROWS, opened.n_latents), np.float32)
    np.put_along_axis(found, np.asarray(opened.stored.indices), opened.stored.values, axis=1)
    return found


@pytest.fixture
def found(client):
    return client.get(f"/api/feature/{LATENT}").json()


def test_the_strongest_rows_come_first(found, values):
    own = values[:, LATENT]
    top = found["examples"]["top"]
    assert [one["value"] for one in top] == np.sort(own)[::-1][:20].tolist()
    assert all(own[one["row"]] == one["value"] for one in top)
    assert top[0]["percent"] == 100
    assert [one["text"] for one in top] == [record(one["row"])["text"] for one in top]
    assert found["n_on"] == (own > 0).sum()


def test_deciles_are_drawn_from_their_own_tenth(found, values):
    strengths = np.sort(values[:, LATENT][values[:, LATENT] > 0])[::-1]
    assert len(found["examples"]["deciles"]) == 10
    edges = [len(strengths) * i // 10 for i in range(11)]
    for i, rows in enumerate(found["examples"]["deciles"]):
        tenth = strengths[edges[i] : edges[i + 1]]
        assert len(rows) == 5
        assert all(one["value"] in tenth for one in rows)
        for one in rows:
            share = 100 * one["value"] / strengths[0]
            assert one["percent"] == pytest.approx(share, rel=1e-6)


def test_random_rows_are_rows_on_which_it_is_on(found, values):
    rows = found["examples"]["random"]
    assert len({one["row"] for one in rows}) == 10
    assert all(values[one["row"], LATENT] == one["value"] > 0 for one in rows)


def test_near_misses_are_off_with_the_highest_pre_activations(found, opened, values):
    x = opened.search.reader.read(np.arange(N_ROWS)).astype(np.float32)
    sae = opened.dictionary.sae
    W_enc, b_enc, b_dec = (np.asarray(one) for one in (sae.W_enc, sae.b_enc, sae.b_dec))
    pre_acts = ((x - b_dec) @ W_enc + b_enc)[:, LATENT]
    off = np.where(values[:, LATENT] > 0, -np.inf, pre_acts)
    near = found["examples"]["near"]
    assert [one["row"] for one in near] == np.argsort(-off, kind="stable")[:20].tolist()
    # The encoder and NumPy add in another order.
    told = [one["value"] for one in near]
    np.testing.assert_allclose(told, np.sort(off)[::-1][:20], rtol=1e-4)


def test_a_row_names_its_other_strongest_features(found, values):
    for one in found["examples"]["top"]:
        own = values[one["row"]].copy()
        own[LATENT] = 0
        expected = [i for i in np.argsort(-own, kind="stable")[:3] if own[i] > 0]
        assert [other["latent"] for other in one["others"]] == expected
        for other in one["others"]:
            highest = values[:, other["latent"]].max()
            assert other["percent"] == pytest.approx(100 * own[other["latent"]] / highest)


def test_neighbours_are_those_of_the_highest_and_the_lowest_cosine(found, opened):
    W_dec = opened.dictionary.W_dec
    cosines = (W_dec @ W_dec[LATENT]) / np.linalg.norm(W_dec, axis=1)
    cosines /= np.linalg.norm(W_dec[LATENT])
    order = [i for i in np.argsort(-cosines, kind="stable").tolist() if i != LATENT]
    assert [one["latent"] for one in found["alike"]] == order[:16]
    assert [one["latent"] for one in found["unlike"]] == order[::-1][:8]
    for one in found["alike"] + found["unlike"]:
        # Products of float32 in blocks and at once differ in the last digits.
        assert one["cosine"] == pytest.approx(cosines[one["latent"]], abs=1e-5)


def test_company_is_counted(found, values):
    on = values > 0
    assert found["together"]
    for one in found["together"]:
        both = int((on[:, LATENT] & on[:, one["latent"]]).sum())
        n, other = int(on[:, LATENT].sum()), int(on[:, one["latent"]].sum())
        assert one["n_rows"] == both
        assert one["lift"] == pytest.approx(both * N_ROWS / (n * other))
        assert one["overlap"] == pytest.approx(both / n)
        assert one["density"] == pytest.approx(other / N_ROWS)


def test_the_histogram_counts_the_rows_that_are_on(found, values):
    own = values[:, LATENT]
    counts, _ = np.histogram(own[own > 0], bins=50, range=(0, own.max()))
    # A value on the edge of two bins may fall into either.
    assert np.abs(np.cumsum(counts) - np.cumsum(found["histogram"]["counts"])).max() <= 1
    assert found["histogram"]["share_of_zeros"] == pytest.approx((own == 0).mean())


def test_families_are_named_by_their_parent(client):
    found = client.get("/api/feature/9").json()["families"]
    assert [(one["number"], one["n_members"], one["parent"]["latent"]) for one in found] == [
        (number, 1 + len(one["children"]), one["parent"]) for number, one in enumerate(FAMILIES)
    ]


def test_the_first_and_the_last_feature_have_one_neighbour_by_number(client):
    ends = [client.get(f"/api/feature/{i}").json() for i in (0, 30, 63)]
    assert [(one["previous"], one["next"]) for one in ends] == [(None, 1), (29, 31), (62, None)]


def test_texts_come_short_or_full(client, monkeypatch):
    monkeypatch.setattr("sae_jax.explorer.opened.SNIPPET", 8)
    short, full = (
        client.get(f"/api/feature/3?text={one}").json()["examples"]["top"]
        for one in ("short", "full")
    )
    for one, other in zip(short, full, strict=True):
        assert other["text"].startswith(one["text"].removesuffix(" …"))
        assert one["text"].endswith(" …")
        assert len(other["text"]) > 8
    assert client.get("/api/feature/3?text=long").status_code == 400


@pytest.mark.parametrize("latent", ["64", "-1", "x", "1e3", "٣"])
def test_a_feature_that_is_not_there_is_said(client, latent):
    answer = client.get(f"/api/feature/{latent}")
    assert answer.status_code == 404
    assert "expected a number from 0 to 63" in answer.json()["error"]


def test_keywords_come_with_what_speaks_for_them(client):
    found = client.get("/api/feature/5").json()
    (label,) = found["labels"]
    assert (label["source"], label["text"], label["current"]) == ("keywords", EVIL, True)
    assert label["evidence"] == [
        {"term": EVIL[:20], "weight": 2.0},
        {"term": "other", "weight": 1.0},
    ]
    f1, auroc = label["scores"]
    assert (f1["name"], f1["value"], f1["low"], f1["high"], f1["n"]) == (
        "F1",
        0.9,
        0.8,
        0.95,
        40,
    )
    assert (auroc["name"], auroc["value"], auroc["low"]) == ("AUROC", 0.97, None)
    assert found["terms"] == [EVIL]


def test_a_label_that_could_not_be_made_says_why(client):
    (label,) = client.get("/api/feature/21").json()["labels"]
    assert (label["text"], label["state"], label["scores"]) == (None, "too few rows", [])
    assert client.get("/api/feature/0").json()["labels"] == []


def test_labels_of_a_model_have_reason_model_and_scores_with_intervals(own, opened):
    of = {"run_fingerprint": opened.stored.manifest.run_fingerprint, "method": "llm"}
    folder = own / "features" / opened.stored.folder.name
    (folder / "llm-labels.jsonl").write_text("\n".join(json.dumps(one | of) for one in LLM))
    client = client_of(open_run(own))
    found = client.get("/api/feature/3").json()
    assert [(one["source"], one["current"]) for one in found["labels"]] == [
        ("keywords", False),
        ("llm", True),
    ]
    label = found["labels"][1]
    assert (label["why"], label["confidence"]) == ("They are about riding.", 8)
    assert (label["model"], label["judge_model"], label["prompt_version"]) == (
        "small", "large", 1,
    )  # fmt: skip
    assert [(one["name"], one["value"], one["n"]) for one in label["scores"]] == [
        ("F1", 0.7, 40),
        ("AUROC", 0.9, 40),
    ]
    assert found["terms"] == ["horse, saddle"]  # of the keywords, though they name it no more
    (failed,) = client.get("/api/feature/22").json()["labels"]
    assert (failed["text"], failed["state"]) == (None, "failed")
    assert failed["reason"] == "the endpoint answered 500"


def test_a_dead_feature_has_near_misses_and_nothing_else(own):
    silence(own, 20)
    found = client_of(open_run(own)).get("/api/feature/20").json()
    assert (found["n_on"], found["feature"]["state"]) == (0, "dead")
    assert found["histogram"]["share_of_zeros"] == 1
    assert not any(found["histogram"]["counts"])
    assert found["examples"]["top"] == found["examples"]["random"] == []
    assert not any(found["examples"]["deciles"])
    assert len(found["examples"]["near"]) == 20
    assert {one["percent"] for one in found["examples"]["near"]} == {None}
    assert found["together"] == []


def test_without_tables_it_says_which_command_makes_them(own, opened):
    (own / "features" / opened.stored.folder.name / "tables.json").unlink()
    client = client_of(open_run(own))
    answer = client.get("/api/feature/3")
    assert answer.status_code == 409
    assert "Run `sae-jax encode`" in answer.json()["error"]
    assert client.get("/api/features").status_code == 200


def test_a_label_by_hand_is_kept_with_its_time_and_the_others(own):
    answer = client_of(open_run(own)).post("/api/feature/3/label", json={"text": " 馬 «x» "})
    assert answer.status_code == 200
    assert answer.json()["feature"]["label"] == "馬 «x»"
    again = client_of(open_run(own)).get("/api/feature/3").json()
    assert again["feature"]["source"] == "you"
    assert [(one["source"], one["text"], one["current"]) for one in again["labels"]] == [
        ("keywords", "horse, saddle", False),
        ("you", "馬 «x»", True),
    ]
    assert again["labels"][1]["time"].endswith("Z")
    assert again["labels"] == answer.json()["labels"]


def test_an_empty_label_takes_the_own_one_back(own, opened):
    client = client_of(open_run(own))
    client.post("/api/feature/3/label", json={"text": "mine"})
    found = client.post("/api/feature/3/label", json={"text": ""}).json()
    assert found["feature"]["label"] == "horse, saddle"
    assert [one["state"] for one in found["labels"]] == ["ok", "ok", "removed"]
    # Where there is nothing to take back nothing is written.
    path = own / "features" / opened.stored.folder.name / "edited-labels.jsonl"
    before = path.read_text()
    assert client.post("/api/feature/3/label", json={"text": ""}).status_code == 200
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "the body cannot be read"),
        ("[" * 60_000, "the body cannot be read"),
        (b"\xff\xfe", "the body cannot be read"),
        ("[]", "the body is list"),
        ("{}", "the body has no text"),
        ('{"text": 3}', "the body has no text"),
        ('{"text": "x", "latent": 4}', "there is no field 'latent'"),
        ('{"txt": "x"}', "did you mean 'text'"),
        (json.dumps({"text": "x" * 201}), "the label has 201 characters; expected 200"),
        (json.dumps({"text": "one\ntwo"}), "a control character"),
        (json.dumps({"text": "one\u2028two"}), "a control character"),
        ('{"text": "\\ud800"}', "a control character"),
        ('{"text": "\\u0000x"}', "a control character"),
    ],
)
def test_a_label_that_cannot_be_kept_is_refused(own, opened, body, said):
    answer = client_of(open_run(own)).post(
        "/api/feature/3/label", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    folder = own / "features" / opened.stored.folder.name
    assert not (folder / "edited-labels.jsonl").exists()


def test_a_label_of_200_characters_is_kept(own):
    text = "é" * 200
    answer = client_of(open_run(own)).post("/api/feature/3/label", json={"text": text})
    assert answer.json()["feature"]["label"] == text


def test_a_read_only_server_takes_no_labels(own, opened):
    client = client_of(open_run(own, read_only=True))
    answer = client.post("/api/feature/3/label", json={"text": "mine"})
    assert answer.status_code == 403
    assert "read-only" in answer.json()["error"]
    folder = own / "features" / opened.stored.folder.name
    assert not (folder / "edited-labels.jsonl").exists()


def test_a_label_for_no_feature_is_refused(client):
    answer = client.post("/api/feature/64/label", json={"text": "mine"})
    assert answer.status_code == 404
