"""Codes by latent as a matrix, and summed."""

import numpy as np
import pytest
from planted_codes import stored_of


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    found = rng.uniform(0.5, 1, (40, 6)) * (rng.random((40, 6)) < 0.3)
    found[:, 2] = 0  # a latent that is never on
    return found.astype(np.float32)


def test_a_matrix_of_the_values_is_what_was_encoded(values):
    stored = stored_of(values)
    made = stored.matrix(stored.latent_values)
    np.testing.assert_array_equal(made.toarray(), values)
    ones = stored.matrix(np.ones(len(stored.latent_values), np.int32))
    np.testing.assert_array_equal(ones.toarray(), values > 0)
    assert ones.dtype == np.int32


def test_entries_may_go_to_other_rows(values):
    stored = stored_of(values)
    traded = np.random.default_rng(1).permutation(len(values))
    made = stored.matrix(stored.latent_values, rows=traded[stored.latent_rows])
    np.testing.assert_array_equal(made.toarray()[traded], values)


def test_totals_are_those_of_columns(values):
    stored = stored_of(values)
    squares = stored.totals(stored.latent_values.astype(np.float64) ** 2)
    np.testing.assert_allclose(squares, (values.astype(np.float64) ** 2).sum(axis=0))
    assert squares[2] == 0
