"""Every way goes exactly as far from the query as it is told to."""

import numpy as np
import pytest

from sae_jax.search import trials, ways


@pytest.fixture(scope="module")
def cases(planted):
    targets = trials.find_targets(
        planted.dictionary.stored, planted.concepts, held_out=planted.held_out
    )
    drawn = trials.draw(
        targets, index=planted.index, reader=planted.reader, n_queries=20, seed=0
    )
    return targets, drawn


def unit_rows(n, *, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 12))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("cosine", [0.95, 0.7, 0.5])
def test_a_moved_query_has_the_cosine_asked_for_and_is_q_plus_a_d(cosine):
    queries, directions = unit_rows(50, seed=0), 3 * unit_rows(50, seed=1)
    moved = ways.turned(queries, directions, cosine=cosine)
    np.testing.assert_allclose((moved * queries).sum(axis=1), cosine, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)
    a = ways.lengths(queries, directions, cosine=cosine)
    reached = np.isfinite(a)
    assert reached.sum() > 25
    added = queries + a[:, None] * directions
    added /= np.linalg.norm(added, axis=1, keepdims=True)
    # float32 rows: 1e-5 is some hundred of their last places.
    np.testing.assert_allclose(added[reached], moved[reached], atol=1e-5)


def test_no_length_reaches_a_cosine_beyond_the_direction_itself():
    queries = unit_rows(5, seed=0)
    near = ways.turned(queries, unit_rows(5, seed=1), cosine=0.9)
    assert np.isnan(ways.lengths(queries, near, cosine=0.8)).all()
    assert np.isfinite(ways.lengths(queries, near, cosine=0.95)).all()


@pytest.mark.parametrize("edit", ["up", "down"])
def test_the_slider_at_its_mark_gives_the_cosine(edit, planted, cases):
    targets, drawn = cases
    marks = ways.marks(drawn, targets, dictionary=planted.dictionary, edit=edit, cosine=0.8)
    for i, percent in enumerate(marks.tolist()):
        moved = ways.slid(
            drawn, targets, dictionary=planted.dictionary, edit=edit, percent=percent
        )
        assert moved[i] @ drawn.queries[i] == pytest.approx(0.8, abs=1e-5)


def test_a_slider_sets_the_value_of_its_latent(planted, cases):
    targets, drawn = cases
    dictionary = planted.dictionary
    for edit, concept, percent in (("up", drawn.up, 150), ("down", drawn.down, -50)):
        moved = ways.slid(drawn, targets, dictionary=dictionary, edit=edit, percent=percent)
        for i, latent in enumerate(targets.latents[concept].tolist()):
            rows, values = (
                dictionary.stored.rows_of(latent),
                dictionary.stored.values_of(latent),
            )
            before = values[rows == drawn.rows[i]].sum()  # 0 where it is off
            delta = percent / 100 * values.max() - before
            wanted = planted.rows[drawn.rows[i]] + delta * dictionary.W_dec[latent]
            wanted /= np.linalg.norm(wanted)
            np.testing.assert_allclose(moved[i], wanted, atol=1e-5)


def test_both_at_once_are_equal_parts_of_each(cases):
    _, drawn = cases
    vectors = 7 * unit_rows(16, seed=3)
    made = ways.of_vectors(vectors, drawn)
    np.testing.assert_allclose(made["up"], vectors[drawn.up] / 7, atol=1e-6)
    np.testing.assert_allclose(made["down"], -vectors[drawn.down] / 7, atol=1e-6)
    np.testing.assert_allclose(made["both"], made["up"] + made["down"], atol=1e-6)


def test_words_are_added_to_each_querys_own_text(cases):
    targets, drawn = cases
    texts = [f"query {row}" for row in drawn.rows]
    made = ways.rewritten(drawn, targets, texts=texts)
    row, up, down = drawn.rows[3], drawn.up[3], drawn.down[3]
    assert made["up"][3] == f"query {row}, c{up}"
    assert made["down"][3] == f"query {row}, but not c{down}"
    assert made["both"][3] == f"query {row}, c{up}, but not c{down}"


def test_the_random_latent_is_another_one_of_like_density(planted, cases, monkeypatch):
    targets, _ = cases
    monkeypatch.setattr(ways, "N_SIMILAR", 3)
    n_on = planted.dictionary.stored.n_on
    drawn = ways.similar_latents(targets, dictionary=planted.dictionary, seed=0)
    for latent, other in zip(targets.latents.tolist(), drawn.tolist(), strict=True):
        nearer = np.abs(n_on - n_on[latent]) < abs(n_on[other] - n_on[latent])
        assert latent != other
        assert nearer.sum() <= 3  # itself and two others
    again = ways.similar_latents(targets, dictionary=planted.dictionary, seed=1)
    assert (again != drawn).any()
