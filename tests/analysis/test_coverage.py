"""Concepts come out of a hierarchy, and F1 is that of a brute-force loop."""

import json

import numpy as np
import pytest

from sae_jax.analysis import concepts, coverage, directions, scorers
from sae_jax.data.shards import open_shards
from sae_jax.errors import UsageError

#      a          Each row is a concept; arrows of the picture point up.
#     / \\
#    b   c
#   / \\ / \\
#  d   e   f
PARENTS = {"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["b", "c"], "f": ["c"]}
ALL_ABOVE = {"a": "", "b": "a", "c": "a", "d": "ab", "e": "abc", "f": "ac"}


@pytest.mark.parametrize("parents", [PARENTS, ALL_ABOVE], ids=["direct", "all"])
def test_a_row_belongs_to_itself_and_to_all_above(parents):
    found = concepts.make_concepts("abcdef", names="ABCDEF", parents=parents, least_rows=1)
    members = {
        name: {"abcdef"[row] for row in found.members[:, [i]].nonzero()[0]}
        for i, name in enumerate(found.ids)
    }
    assert members["a"] == set("abcdef")
    assert members["b"] == set("bde")
    assert members["c"] == set("cef")
    assert members["e"] == {"e"}
    assert list(found.sizes) == sorted(found.sizes, reverse=True)
    above = {
        name: {found.ids[i] for i in found.above[[place]].nonzero()[1]}
        for place, name in enumerate(found.ids)
    }
    assert above == {name: set(over) for name, over in ALL_ABOVE.items()}


def test_small_concepts_unknown_parents_and_loops_are_left_out():
    parents = {"a": ["z"], "b": ["a", "c"], "c": ["b"]}
    found = concepts.make_concepts("abc", names="abc", parents=parents, least_rows=2)
    assert set(found.ids) == {"a", "b", "c"}
    assert found.above.diagonal().sum() == 0
    found = concepts.make_concepts("abc", names="abc", parents=parents, least_rows=3)
    assert found.ids == ["a"]


def random_case(seed, n_rows=200, n_concepts=5, n_directions=7):
    rng = np.random.default_rng(seed)
    parents = {
        str(row): [str(c) for c in range(n_concepts) if rng.random() < 0.15]
        for row in range(n_rows)
    }
    for c in range(n_concepts):
        parents[str(c)] = []
    ids = [str(row) for row in range(n_rows)]
    found = concepts.make_concepts(ids, names=ids, parents=parents, least_rows=8)
    scores = np.where(
        rng.random((n_directions, n_rows)) < 0.3, rng.random((n_directions, n_rows)), 0
    )
    return found, scores.astype(np.float32), rng.random(n_rows) < 0.2


def f1_of(yes, truth):
    return 2 * (yes & truth).sum() / max(yes.sum() + truth.sum(), 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_concepts_scorer_gets_the_threshold_and_the_f1_that_a_loop_finds(seed):
    found, scores, held_out = random_case(seed)
    scores = np.round(scores, 1)  # ties, that no threshold can part
    own = [scorers.Scored(np.arange(200), column) for column in scores[: len(found.ids)]]
    judged = coverage.judge(iter(own), concepts=found, held_out=held_out)
    truth = found.members.toarray().astype(bool).T
    for concept, belongs in enumerate(truth):
        column = scores[concept]
        cuts = np.unique(column[~held_out])[::-1]
        tried = [f1_of((column >= cut)[~held_out], belongs[~held_out]) for cut in cuts]
        best = cuts[np.flatnonzero(np.isclose(tried, max(tried)))[0]]
        assert judged.threshold[concept] == best
        expected = f1_of((column >= best)[held_out], belongs[held_out])
        assert judged.f1[concept] == pytest.approx(expected)
    given = np.full(len(truth), 0.35)
    fixed = coverage.judge(iter(own), concepts=found, held_out=held_out, threshold=given)
    for concept, belongs in enumerate(truth):
        expected = f1_of((scores[concept] >= 0.35)[held_out], belongs[held_out])
        assert fixed.f1[concept] == pytest.approx(expected)


def test_a_scorer_never_says_yes_to_rows_that_it_does_not_have():
    found, _, held_out = random_case(0)
    belongs = found.members[:, [0]].toarray().ravel() > 0
    rows = np.flatnonzero(belongs & (np.arange(200) % 2 == 0))
    one = scorers.Scored(rows, np.ones(len(rows)))
    nothing = scorers.Scored(np.zeros(0, int), np.zeros(0))
    judged = coverage.judge(iter([one, nothing]), concepts=found, held_out=held_out)
    said = np.zeros(200, bool)
    said[rows] = True
    assert judged.f1[0] == pytest.approx(f1_of(said[held_out], belongs[held_out]))
    assert (judged.f1[1], judged.threshold[1]) == (0, np.inf)


def test_supervised_directions_find_what_is_planted(tmp_path):
    rng, (found, _, held_out) = np.random.default_rng(1), random_case(1)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    x[:, 2] -= 5 * (found.members[:, [0]].toarray().ravel() > 0)
    np.save(tmp_path / "x.npy", x)
    reader = open_shards(tmp_path)
    moments = directions.moments(reader, concepts=found, held_out=held_out)
    own = directions.supervised(moments)
    assert np.abs(own[0]).argmax() == 2
    along = scorers.along(scorers.scores_in(reader), own)
    f1 = coverage.judge(along, concepts=found, held_out=held_out).f1
    assert f1[0] > 0.9
    assert f1[0] == np.nanmax(f1)


def test_moments_are_those_of_the_training_rows(tmp_path):
    found, _, held_out = random_case(2)
    x = np.random.default_rng(5).normal(size=(200, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    moments = directions.moments(open_shards(tmp_path), concepts=found, held_out=held_out)
    centred = x[~held_out] - x[~held_out].mean(axis=0)
    np.testing.assert_allclose(moments.covariance, centred.T @ centred, rtol=1e-4)
    members = found.members.toarray()[~held_out]
    np.testing.assert_allclose(moments.by_concept, members.T @ centred, rtol=1e-3, atol=1e-4)
    spread = (centred @ moments.principal.T).var(axis=0)
    assert (np.diff(spread) <= 1e-5).all()


def test_the_summary_counts_concepts_that_can_be_scored():
    f1 = np.array([0.0, 0.5, 1.0] * 5 + [np.nan])
    found = coverage.summarise(f1)
    assert found.n_concepts == 15
    assert found.f1.value == 0.5
    assert found.f1.low <= 0.5 <= found.f1.high
    assert found.covered["0.5"] == pytest.approx(2 / 3)
    nothing = coverage.summarise(np.array([np.nan]))
    assert nothing.n_concepts == 0
    assert np.isnan(nothing.f1.value)


def test_a_corpus_without_hierarchy_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 2), np.float32))
    with pytest.raises(UsageError, match="has no concepts beside"):
        concepts.read_concepts(open_shards(tmp_path))
    lines = [json.dumps({"text": "x", "author": i}) + "\n" for i in range(3)]
    (tmp_path / "texts.jsonl").write_text("".join(lines))
    with pytest.raises(UsageError, match="a hierarchy needs synset and hypernym_ids or id"):
        concepts.read_concepts(open_shards(tmp_path))


def test_wordnet_has_its_hierarchy(wordnet):
    found = concepts.read_concepts(open_shards(wordnet))
    assert found.ids[0] == "00001740-n"  # entity
    assert len(found.ids) > 1_000
    dog = found.names.index("dog")
    over = {found.names[i] for i in found.above[[dog]].nonzero()[1]}
    assert {"animal", "entity"} <= over
