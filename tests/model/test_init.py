"""Initial values."""

import numpy as np
import pytest

from sae_jax.model import init


def test_the_geometric_median_minimises_the_sum_of_distances():
    rows = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32) ** 3
    median = init.geometric_median(rows).astype(float)
    best = np.linalg.norm(rows - median, axis=1).sum()
    for direction in np.vstack([np.eye(5), -np.eye(5)]):
        assert np.linalg.norm(rows - (median + 0.01 * direction), axis=1).sum() > best


def test_the_geometric_median_of_short_rows_is_finite():
    """Another trainer multiplies weights and overflows on norms below 1."""
    rows = 1e-3 * np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    assert np.isfinite(init.geometric_median(rows)).all()


def test_the_geometric_median_of_equal_rows_is_that_row():
    row = np.arange(5, dtype=np.float32)
    np.testing.assert_allclose(init.geometric_median(np.tile(row, (9, 1))), row, atol=1e-5)


@pytest.mark.parametrize("kind", ["default", "paper"])
def test_directions_are_unit_rows_that_depend_on_the_seed(kind):
    first, again, other = (
        init.random_directions(kind, n_latents=20, d_in=8, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
