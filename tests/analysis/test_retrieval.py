"""Neighbours are those of a full sort, and fidelity is that of its definition."""

import numpy as np
import pytest
from scipy import sparse

from sae_jax.analysis import retrieval


def brute(x, queries):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = unit[queries] @ unit.T
    cosines[np.arange(len(queries)), queries] = -np.inf
    return np.argsort(-cosines, axis=1, kind="stable")[:, :10]


@pytest.mark.parametrize("as_sparse", [False, True])
def test_the_nearest_are_those_of_a_full_sort(as_sparse, monkeypatch):
    monkeypatch.setattr(retrieval, "ROWS_PER_BLOCK", 7)  # fewer than ten, and not a divisor
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 12)) * (rng.random((100, 12)) < 0.7)
    x[:, 0] += 1
    queries = np.array([0, 6, 7, 55, 99])

    def vectors(rows):
        return sparse.csr_array(x[rows]) if as_sparse else x[rows]

    found = retrieval.nearest(vectors, asked=vectors(queries), itself=queries, n_rows=100)
    np.testing.assert_array_equal(found, brute(x, queries))
    others = [vectors(queries), vectors(queries[::-1])]
    both = retrieval.nearest_of_all(vectors, asked=others, itself=queries, n_rows=100)
    np.testing.assert_array_equal(both[0], found)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = unit[queries[::-1]] @ unit.T
    cosines[np.arange(5), queries] = -np.inf
    np.testing.assert_array_equal(both[1], np.argsort(-cosines, kind="stable")[:, :10])


def test_fidelity_of_the_same_is_one_and_of_others_is_counted():
    truth = np.arange(20).reshape(2, 10)
    same = retrieval.compare(truth, truth)
    assert (same.recall.value, same.ndcg.value) == (1.0, pytest.approx(1.0))
    none = retrieval.compare(truth + 100, truth)
    assert (none.recall.value, none.ndcg.value) == (0.0, 0.0)
    # The first query finds its true second in the first place, and nothing else.
    found = np.full((2, 10), -1)
    found[0, 0], found[1] = 1, truth[1]
    counted = retrieval.compare(found, truth)
    assert counted.recall.value == pytest.approx((0.1 + 1) / 2)
    discount = 1 / np.log2(np.arange(10) + 2)
    best = (np.arange(10, 0, -1) * discount).sum()
    assert counted.ndcg.value == pytest.approx((9 / best + 1) / 2)
    many = retrieval.compare(np.repeat(found, 10, axis=0), np.repeat(truth, 10, axis=0))
    assert many.recall.low <= many.recall.value <= many.recall.high
