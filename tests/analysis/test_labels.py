"""Keyword labels: planted words are found, judged on other rows, and what has none says why."""

import json

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.analysis import labels, terms
from sae_jax.data.shards import open_shards
from sae_jax.errors import UsageError

FILLER = [
    "of",
    "a",
    "kind",
    "that",
    "is",
    "seen",
    "here",
    "and",
    "there",
    "in",
    "the",
    "world",
    "at",
    "large",
    "with",
    "some",
    "care",
]
TOPICS = (["horse", "saddle", "rider"], ["debt", "bond", "loan"])


@pytest.fixture(scope="module")
def corpus():
    """1,000 texts, a tenth of horses and a tenth of debts; latents 0 and 1 know them, 2 is
    random, 3 is on for three rows, 4 never."""
    rng = np.random.default_rng(0)
    texts, values = [], np.zeros((1_000, 5), np.float32)
    for row in range(1_000):
        words = list(rng.choice(FILLER, 8))
        topic = row % 10
        if topic < 2:
            words += list(rng.choice(TOPICS[topic], 2, replace=False))
            values[row, topic] = rng.uniform(0.2, 1)
        texts.append(" ".join(rng.permutation(words)))
        values[row, 2] = rng.uniform(0.2, 1) * (rng.random() < 0.1)
    values[[5, 6, 7], 3] = 1
    near = np.full((5, 40), -1)
    near[0] = np.arange(1, 400, 10)  # texts of debts, for latent 0 as for 1
    near[1] = np.arange(2, 402, 10)
    near[2] = np.flatnonzero(values[:, 2] == 0)[:40]
    return texts, stored_of(values, near=near)


def test_terms_are_words_and_pairs_that_enough_texts_hold():
    texts = ["The red Fox's den", "red fox, 12 dens", "a blue fox"]
    found = terms.count_terms(texts, least_texts=2)
    assert found.names == []  # in more than a fifth of so few
    found = terms.count_terms([*texts, *["x"] * 20], least_texts=2)
    assert found.names == ["fox", "red"]  # fox's is another word
    assert found.held.toarray()[:4].tolist() == [[0, 1], [1, 1], [1, 0], [0, 0]]
    assert terms.terms_of("Red fox, red") == {"red", "fox", "red fox", "fox red"}


def test_terms_that_say_the_same_are_kept_once():
    found = terms.without_likes(
        ["debt", "debts", "bank debt", "loan", "territory", "territorial", "x"], most=3
    )
    assert found == ["debt", "loan", "territory"]


def test_planted_words_name_a_latent_and_hold_on_other_rows(corpus):
    texts, stored = corpus
    found = labels.label_all(stored, terms.count_terms(texts))
    for latent, topic in enumerate(TOPICS):
        assert set(found[latent].terms) <= {
            word for word in found[latent].terms if set(word.split()) & set(topic)
        }
        assert found[latent].state == "ok"
        assert found[latent].easy.f1 > 0.95
        assert found[latent].hard.auroc > 0.95
        assert found[latent].easy.low <= found[latent].easy.f1 <= found[latent].easy.high
        assert found[latent].easy.n >= 60
    assert list(found[0].evidence.values()) == sorted(found[0].evidence.values(), reverse=True)


def test_a_latent_of_no_meaning_has_a_low_score(corpus):
    texts, stored = corpus
    found = labels.label_all(stored, terms.count_terms(texts))[2]
    assert found.state in ("ok", "no term")
    if found.easy is not None:
        assert found.easy.auroc < 0.7


def test_what_cannot_be_labelled_says_why_and_has_no_score(corpus):
    texts, stored = corpus
    found = labels.label_all(stored, terms.count_terms(texts))
    assert (found[3].state, found[4].state) == ("too few rows", "never on")
    assert found[3].easy is None
    assert found[3].text == ""


def test_a_latent_that_is_on_nearly_everywhere_has_no_score(corpus):
    texts, _ = corpus
    values = np.random.default_rng(1).uniform(0.2, 1, (1_000, 1)).astype(np.float32)
    values[:12] = 0
    (found,) = labels.label_all(stored_of(values), terms.count_terms(texts))
    assert found.state in ("on nearly everywhere", "no term")
    assert found.hard is None
    values[200:, 0] *= np.arange(800) % 3 > 0  # on for two thirds: enough are off
    (found,) = labels.label_all(stored_of(values), terms.count_terms(texts))
    if found.easy:
        assert found.easy.n == 2 * labels.N_STRONGEST


def test_labels_are_judged_on_rows_that_did_not_name_them(corpus, monkeypatch):
    texts, stored = corpus
    used = []
    judge = labels.judge
    monkeypatch.setattr(
        labels, "judge", lambda held, **more: used.append(len(held)) or judge(held, **more)
    )
    naming = np.random.default_rng(0).random(1_000) < 0.5
    swapped = list(texts)
    for row in np.flatnonzero(~naming):  # the judging half speaks of something else
        swapped[row] = "nothing of that sort"
    found = labels.label_all(stored, terms.count_terms(swapped))
    assert found[0].state == "ok"
    assert found[0].easy.f1 == 0.0
    assert used


def test_auroc_and_f1_are_those_of_loops():
    rng = np.random.default_rng(3)
    weight, truth = rng.integers(4, size=50).astype(float), rng.random(50) < 0.4
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0 for a in weight[truth] for b in weight[~truth]
    ]
    assert labels.auroc(weight, truth) == pytest.approx(np.mean(pairs))
    yes = rng.random(50) < 0.5
    precision, recall = (yes & truth).sum() / yes.sum(), (yes & truth).sum() / truth.sum()
    (f1,) = labels.f1_of(yes[None], truth[None])
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_texts_are_read_or_missed(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 2), np.float32))
    with pytest.raises(UsageError, match="has no texts"):
        terms.read_texts(open_shards(tmp_path))
    (tmp_path / "texts.jsonl").write_text(
        "".join(json.dumps({"text": word}) + "\n" for word in ("one", "two"))
    )
    assert terms.read_texts(open_shards(tmp_path)) == ["one", "two"]
