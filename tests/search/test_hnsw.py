"""The graph of usearch before the exact rows, for real where it is installed."""

import sys

import numpy as np
import pytest

from sae_jax.errors import UsageError
from sae_jax.search import hnsw
from sae_jax.search.index import ExactIndex, Index

N_ROWS = 5_000


@pytest.fixture(scope="module")
def exact():
    """Unit rows around 50 centres."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 32))[rng.integers(0, 50, N_ROWS)]
    rows += 0.7 * rng.normal(size=rows.shape)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return ExactIndex([rows], scale=np.ones(N_ROWS, np.float32))


@pytest.fixture(scope="module")
def graph(exact, usearch, tmp_path_factory):
    out = tmp_path_factory.mktemp("graph")
    return hnsw.open_hnsw(exact, fingerprint="a", out=out, say=lambda line: None)


def test_nearly_all_of_the_true_ten_are_found_with_exact_scores(exact, graph):
    assert isinstance(graph, Index)
    rng, n_found = np.random.default_rng(1), 0
    for row in rng.choice(N_ROWS, 100, replace=False):
        vector = exact.parts[0][row] + 0.1 * rng.normal(size=32).astype(np.float32)
        true, found = exact.search(vector, k=10), graph.search(vector, k=10)
        n_found += len(np.intersect1d(true.rows, found.rows))
        np.testing.assert_allclose(found.scores, exact.parts[0][found.rows] @ vector, atol=1e-6)
        assert (np.diff(found.scores) <= 0).all()
    assert n_found / 1_000 > 0.98  # 1.000 measured on 117,791 real rows


def test_more_candidates_find_more(exact, graph, monkeypatch):
    rng, n_found = np.random.default_rng(1), []
    off_corpus = rng.normal(size=(50, 32)).astype(np.float32)
    true = [exact.search(vector, k=10).rows for vector in off_corpus]
    for n in (10, 1_024):
        monkeypatch.setattr(hnsw, "LEAST_CANDIDATES", n)
        monkeypatch.setattr(hnsw, "CANDIDATES_PER_HIT", 1)
        found = [graph.search(vector, k=10).rows for vector in off_corpus]
        n_found.append(sum(map(len, map(np.intersect1d, true, found))))
    assert n_found[0] < n_found[1]


def test_marked_rows_and_all_rows_are_searched_exactly(exact, graph):
    vector, among = exact.parts[0][7], np.arange(N_ROWS) % 100 == 7
    for asked in ({"k": 5, "among": among}, {"k": N_ROWS}):
        true, found = exact.search(vector, **asked), graph.search(vector, **asked)
        np.testing.assert_array_equal(found.rows, true.rows)


def test_scores_and_vectors_are_the_exact_ones(exact, graph):
    rows = np.array([4, 2])
    np.testing.assert_array_equal(graph.vectors(rows), exact.vectors(rows))
    np.testing.assert_array_equal(
        graph.scores(exact.vectors(rows)), exact.scores(exact.vectors(rows))
    )


def test_the_graph_is_made_once_for_a_corpus(exact, usearch, tmp_path):
    said = []
    for fingerprint in ("a", "a", "b"):
        hnsw.open_hnsw(exact, fingerprint=fingerprint, out=tmp_path, say=said.append)
    assert len(said) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hnsw.json", "hnsw.usearch"]


def test_without_usearch_it_is_said_how_to_install_it(exact, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(UsageError, match=r"pip install 'sae_jax\[search\]'"):
        hnsw.open_hnsw(exact, fingerprint="a", out=tmp_path)
