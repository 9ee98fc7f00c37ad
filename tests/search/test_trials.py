"""Queries and concepts are drawn as they say, and latents are chosen without held-out rows."""

import dataclasses

import numpy as np
import pytest

from sae_jax.errors import UsageError
from sae_jax.search import trials


@pytest.fixture(scope="module")
def targets(planted):
    return trials.find_targets(
        planted.dictionary.stored, planted.concepts, held_out=planted.held_out
    )


def draw(planted, targets, *, n_queries=30, seed=0):
    return trials.draw(
        targets, index=planted.index, reader=planted.reader, n_queries=n_queries, seed=seed
    )


def test_each_planted_concept_has_its_latent(targets):
    assert targets.latents.tolist() == list(range(16))
    assert (targets.f1 == 1).all()


def test_held_out_rows_have_no_say_in_which_latent_is_chosen(planted, targets):
    stored, held_out = planted.dictionary.stored, planted.held_out
    # On held-out rows alone every latent says what another one should.
    rows = np.asarray(stored.latent_rows).copy()
    ids = np.flatnonzero(held_out)
    rows[held_out[rows]] = np.random.default_rng(0).choice(ids, held_out[rows].sum())
    found = trials.find_targets(
        dataclasses.replace(stored, latent_rows=rows), planted.concepts, held_out=held_out
    )
    assert found.latents.tolist() == targets.latents.tolist()
    assert (found.f1 == targets.f1).all()


def test_a_query_is_held_out_belongs_to_what_is_lowered_and_not_to_what_is_raised(
    planted, targets
):
    cases = draw(planted, targets)
    assert len(set(cases.rows.tolist())) == 30
    assert planted.held_out[cases.rows].all()
    belongs = targets.belongs
    assert not belongs[cases.rows, cases.up].any()
    assert belongs[cases.rows, cases.down].all()
    shared = belongs[cases.neutral, cases.down[:, None]].mean(axis=1)
    assert shared.min() >= 0.2
    assert shared.max() <= 0.8
    assert (cases.options[:, :2] == np.stack([cases.up, cases.down], axis=1)).all()
    assert all(len(set(own)) == 5 for own in cases.options.tolist())
    assert (draw(planted, targets, seed=1).rows != cases.rows).any()
    np.testing.assert_allclose(
        cases.norms, np.linalg.norm(planted.rows[cases.rows], axis=1), rtol=1e-5
    )


def test_what_lies_below_the_lowered_concept_is_not_raised(planted, targets):
    above = targets.concepts.above.tolil()
    above[:, :] = 1
    above[5, :] = 0  # below nothing: the only one that can be raised
    concepts = targets.concepts._replace(above=above.tocsr())
    cases = draw(planted, targets._replace(concepts=concepts))
    assert set(cases.up.tolist()) == {5}


def test_the_nearest_rows_are_those_of_brute_force_without_the_query(planted):
    rows = np.arange(7, 300)
    found = trials.nearest(planted.index, planted.index.vectors(rows), without=rows)
    unit = planted.rows / np.linalg.norm(planted.rows, axis=1, keepdims=True)
    scores = unit[rows] @ unit.T
    scores[np.arange(len(rows)), rows] = -1
    wanted = np.argsort(-scores, axis=1)[:, :10]
    assert (found == wanted).all()


def test_a_dictionary_that_knows_no_concept_is_told(planted):
    stored = planted.dictionary.stored
    rows = np.random.default_rng(0).permutation(np.asarray(stored.latent_rows))
    with pytest.raises(UsageError, match=r"0 of 16 concepts of 50 to 5,000 rows have a latent"):
        trials.find_targets(
            dataclasses.replace(stored, latent_rows=rows),
            planted.concepts,
            held_out=planted.held_out,
        )


def test_a_corpus_without_queries_is_told(planted, targets, monkeypatch):
    monkeypatch.setattr(trials, "LEAST_SHARED", 0.99)
    with pytest.raises(UsageError, match="0 of its 200 held-out rows"):
        draw(planted, targets)
