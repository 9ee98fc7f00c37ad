"""A run opened for search: neutral is plain search, steered scores are the formula's."""

import shutil

import numpy as np
import pytest
from planted_codes import stored_of
from searchable import planted_dictionary

from sae_jax.data.shards import open_shards
from sae_jax.errors import ShardError, UsageError
from sae_jax.search import index as indexes
from sae_jax.search import session
from sae_jax.search.dictionary import Dictionary
from sae_jax.search.session import Search
from sae_jax.search.steer import Mode

SLIDERS = {3: 140.0, 9: -60, 20: 35}


def plain(unit_rows, query, *, k):
    cosines = unit_rows @ (query.vector / np.linalg.norm(query.vector))
    return np.argsort(-cosines, kind="stable")[:k]


def test_neutral_sliders_give_plain_search_for_200_queries(search, unit_rows):
    for row in range(0, 1_400, 7):
        query = search.row(row)
        natural = {one.latent: one.percent for one in search.strengths(query)}
        expected = plain(unit_rows, query, k=10)
        for asked in (query, search.steer(query, {}), search.steer(query, natural)):
            hits = search.hits(asked)
            assert [hit.row for hit in hits] == expected.tolist()
            assert [hit.neutral_rank for hit in hits] == list(range(1, 11))


@pytest.mark.slow
def test_neutral_sliders_give_plain_search_on_the_real_corpus(wordnet, tmp_path):
    reader = open_shards(wordnet)
    planted = planted_dictionary(d_in=384)
    on_this = Dictionary(sae=planted.sae, stored=stored_of(np.ones((2, 32))))
    index = indexes.open_exact(reader, out=tmp_path, say=lambda line: None)
    search = Search(dictionary=on_this, reader=reader, index=index, run=tmp_path)
    rows = reader.read(np.arange(reader.n_rows)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    asked = rng.choice(reader.n_rows, 200, replace=False)
    near = rows[asked] + 0.02 * rng.normal(size=(200, 384)).astype(np.float32)
    cosines = near @ rows.T / np.linalg.norm(near, axis=1, keepdims=True)
    expected = np.argpartition(-cosines, 10, axis=1)[:, :11]
    for vector, own, candidates in zip(near, cosines, expected, strict=True):
        query = session.queries.of_vector(vector, dictionary=on_this, origin="")
        candidates = candidates[np.lexsort((candidates, -own[candidates]))]
        hits = search.hits(search.steer(query, {}))
        assert [hit.row for hit in hits] == candidates[:10].tolist()
        np.testing.assert_allclose([hit.score for hit in hits], own[candidates[:10]], atol=1e-6)


@pytest.mark.parametrize("mode", list(Mode))
def test_steered_scores_are_the_products_with_the_steered_query(search, unit_rows, mode):
    query = search.row(11)
    sliders = SLIDERS if mode is not Mode.RE_ENCODE else {3: 140.0, 9: 0, 20: 35}
    steered = search.steer(query, sliders, mode=mode)
    expected = unit_rows @ steered.vector.astype(np.float64) / np.linalg.norm(query.vector)
    np.testing.assert_allclose(search.scores(steered), expected, atol=1e-4)
    hits = search.hits(steered, k=15)
    best = np.argsort(-expected, kind="stable")[:15]
    assert [hit.row for hit in hits] == best.tolist()
    np.testing.assert_allclose([hit.score for hit in hits], expected[best], atol=1e-4)
    order = np.argsort(-(unit_rows @ query.vector), kind="stable").tolist()
    assert [hit.neutral_rank for hit in hits] == [order.index(row) + 1 for row in best]


def test_a_moved_slider_computes_no_column_again(search):
    query = search.row(12)
    search.hits(search.steer(query, SLIDERS))
    before = search.columns.n_computed
    steered = search.steer(query, SLIDERS | {20: 70})
    direct = search.index.scores((steered.vector / query.norm)[None])[0]
    np.testing.assert_allclose(search.scores(steered), direct, atol=1e-5)
    assert search.columns.n_computed == before
    search.scores(search.steer(query, SLIDERS | {21: 70}))
    assert search.columns.n_computed == before + 1


def test_many_new_sliders_take_one_product_and_no_columns(search, run):
    own = Search(
        dictionary=search.dictionary, reader=search.reader, index=search.index, run=run
    )
    query, new = own.row(13), session.MOST_COLUMNS_AT_ONCE + 1
    off = [latent for latent in range(64) if own.dictionary.highest[latent]][:new]
    own.scores(own.steer(query, dict.fromkeys(off, 250)))
    assert own.columns.n_computed == 0
    own.scores(own.steer(query, dict.fromkeys(off[1:], 250)))
    assert own.columns.n_computed == 1 + new - 1  # the query's, and those of the sliders


def test_hits_are_of_marked_rows_and_ranked_among_them(search, unit_rows):
    query, among = search.row(4), np.arange(1_500) % 3 == 0
    hits = search.hits(query, k=8, among=among)
    expected = [row for row in plain(unit_rows, query, k=1_500) if row % 3 == 0][:8]
    assert [hit.row for hit in hits] == expected
    assert [hit.neutral_rank for hit in hits] == list(range(1, 9))
    assert search.hits(query, k=8, among=np.zeros(1_500, bool)) == []


def test_hits_come_with_their_records_where_there_are_any(search, run, tmp_path):
    (hit,) = search.hits(search.row(40), k=1)
    assert (hit.row, hit.record) == (40, {"id": "n40", "text": "text 40"})
    rows = tmp_path / "bare"
    rows.mkdir()
    for name in ("a.npy", "b.npy"):
        shutil.copy(run.parent / "rows" / name, rows)
    bare = Search(
        dictionary=search.dictionary, reader=open_shards(rows), index=search.index, run=run
    )
    (hit,) = bare.hits(bare.row(40), k=1)
    assert (hit.row, hit.record) == (40, None)


def test_strengths_are_the_code_in_percent_of_the_highest_values(search):
    query = search.row(11)
    found = search.strengths(query)
    assert {one.latent: one.value for one in found} == query.code
    for one in found:
        highest = float(search.dictionary.highest[one.latent])
        assert one.percent == pytest.approx(100 * query.code[one.latent] / highest)
        assert one.label == ("horse, saddle" if one.latent == 3 else None)
    assert search.strengths(query, most=2) == found[:2]


def test_the_graph_finds_what_the_product_finds(search, run, usearch):
    said = []
    other = Search.open(run, engine="usearch", say=said.append)
    assert "making the graph" in said[0]
    shared = []
    for row in range(30):  # one alone may miss a few: the graph is approximate
        steered = search.steer(search.row(row), SLIDERS)
        exact, found = search.hits(steered), other.hits(steered)
        shared.append(len({hit.row for hit in exact} & {hit.row for hit in found}) / 10)
    assert np.mean(shared) >= 0.9, shared
    for hit in found:
        assert hit.explanation.score == pytest.approx(hit.score, abs=1e-5)
    ranks = {hit.row: hit.neutral_rank for hit in exact}
    same = [hit for hit in found if ranks.get(hit.row, 10_000) <= 50]
    assert all(abs(hit.neutral_rank - ranks[hit.row]) <= 2 for hit in same)


def test_unknown_engines_and_modes_are_refused(search, run):
    with pytest.raises(UsageError, match="engine='faiss': expected 'exact' or 'usearch'"):
        Search.open(run, engine="faiss")
    with pytest.raises(UsageError, match="mode 'less': expected adjust, only, re-encode"):
        search.steer(search.row(1), {}, mode="less")


def test_without_codes_it_is_said_how_to_make_them(run, tmp_path):
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("codes", "search"))
    with pytest.raises(ShardError, match=r"has no codes.*Run `sae-jax encode "):
        Search.open(tmp_path / "run")
