"""Columns are kept within a budget, and are what the index says."""

import numpy as np
import pytest

from sae_jax.search.columns import Columns
from sae_jax.search.index import ExactIndex

N_ROWS = 50
DIRECTIONS = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)


@pytest.fixture
def index():
    rows = np.random.default_rng(1).normal(size=(N_ROWS, 8)).astype(np.float32)
    return ExactIndex([rows], scale=np.ones(N_ROWS, np.float32))


def test_columns_come_in_the_order_asked_for_whatever_is_kept(index):
    columns = Columns(index)
    columns.of({2: DIRECTIONS[2]})
    found = columns.of({i: DIRECTIONS[i] for i in (4, 2, 0)})
    np.testing.assert_allclose(found, index.scores(DIRECTIONS[[4, 2, 0]]), atol=1e-6)
    assert columns.n_computed == 3  # 2 was kept


def test_the_column_used_longest_ago_goes_when_the_budget_is_full(index):
    columns = Columns(index, most_bytes=3 * 4 * N_ROWS)
    for name in (0, 1, 2, 0, 3):
        columns.of({name: DIRECTIONS[name]})
    assert [name for name in range(6) if name in columns] == [0, 2, 3]
    assert columns.n_bytes == 3 * 4 * N_ROWS


def test_more_columns_than_fit_are_still_given(index):
    columns = Columns(index, most_bytes=1)
    found = columns.of({i: DIRECTIONS[i] for i in range(6)})
    np.testing.assert_allclose(found, index.scores(DIRECTIONS), atol=1e-6)
    assert columns.n_bytes == 4 * N_ROWS
