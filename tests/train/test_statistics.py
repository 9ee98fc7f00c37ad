"""What is measured of the training rows equals NumPy's answer, and leaves out held-out rows."""

import numpy as np
import pytest

from sae_jax.data.shards import open_shards
from sae_jax.train import statistics


def everything(reader):
    return reader.read(np.arange(reader.n_rows)).astype(float)


def test_mean_and_variance_are_those_of_the_training_rows(rows_folder):
    reader = open_shards(rows_folder)
    train = np.delete(everything(reader), reader.held_out_ids, axis=0)
    data = statistics.measure(reader)
    np.testing.assert_allclose(data.mean, train.mean(axis=0), atol=1e-7)
    assert data.variance == pytest.approx(
        ((train - train.mean(0)) ** 2).sum(1).mean(), rel=1e-5
    )


def test_pca_fvu_equals_a_singular_value_decomposition(rows_folder):
    reader = open_shards(rows_folder)
    data = statistics.measure(reader)
    rows = everything(reader)
    train, held_out = np.delete(rows, reader.held_out_ids, axis=0), rows[reader.held_out_ids]
    basis = np.linalg.svd(train - train.mean(0), full_matrices=False)[2][:5]
    centred = held_out - train.mean(0)
    expected = ((centred - centred @ basis.T @ basis) ** 2).sum() / (centred**2).sum()
    found = statistics.pca_fvu(reader, data, k=5, row_ids=reader.held_out_ids)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("n_train", "most"), [(10, 100), (100, 10), (7, 7), (1_000_003, 999)])
def test_spread_positions_are_distinct_sorted_and_reach_over_everything(n_train, most):
    positions = statistics.spread_positions(n_train, most=most)
    assert len(positions) == min(n_train, most)
    assert (np.diff(positions) > 0).all()
    assert positions[0] == 0
    assert n_train - positions[-1] <= n_train / len(positions) + 1


def test_wordnet_has_the_pca_baseline_that_is_known(wordnet):
    """The data's description says: held-out fvu of PCA-32 is .643."""
    reader = open_shards(wordnet)
    data = statistics.measure(reader)
    assert statistics.pca_fvu(reader, data, k=32, row_ids=reader.held_out_ids) == pytest.approx(
        0.643, abs=0.001
    )
