"""Whichever way the k largest are found, they are the k largest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae_jax.config import SELECTIONS
from sae_jax.model import selection

METHODS = [method for method in SELECTIONS if method != "auto"]

SHAPES = [(40, 96, 3), (33, 1_024, 16), (7, 1_536, 64), (5, 6_144, 32), (64, 512, 128)]


def rows(batch, n, *, seed=0):
    rng = np.random.default_rng(seed)
    product, bias = rng.normal(size=(batch, n)), rng.normal(size=n)
    return product.astype(np.float32), bias.astype(np.float32)


def check(product, bias, k, *, method):
    values, indices = jax.jit(selection.largest, static_argnames=("k", "method"))(
        product, bias, k=k, method=method
    )
    pre_acts = product + bias
    np.testing.assert_array_equal(values, -np.sort(-pre_acts, axis=1)[:, :k])
    np.testing.assert_array_equal(np.take_along_axis(pre_acts, np.asarray(indices), 1), values)
    assert all(len(set(row)) == k for row in np.asarray(indices).tolist())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_values_are_those_of_a_sort_and_indices_point_to_them(shape, method):
    batch, n, k = shape
    assert selection.choose(method, n_latents=n, k=k) == method
    check(*rows(batch, n), k, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_equal_values_and_masked_columns_are_found_too(method):
    product, bias = rows(8, 512)
    check(np.round(product), np.zeros(512, np.float32), 16, method=method)
    bias[:500] = -np.inf  # fewer than k are left
    values, indices = selection.largest(
        jnp.asarray(product), jnp.asarray(bias), 16, method=method
    )
    assert np.isfinite(np.asarray(values)[:, :12]).all()
    assert (np.asarray(values)[:, 12:] == -np.inf).all()
    assert (np.asarray(indices)[:, :12] >= 500).all()


@pytest.mark.parametrize("method", METHODS)
def test_nan_is_not_lost(method):
    product, bias = rows(4, 512)
    product[1] = np.nan
    values, _ = selection.largest(jnp.asarray(product), jnp.asarray(bias), 16, method=method)
    assert np.isnan(np.asarray(values)[1]).all()
    assert np.isfinite(np.asarray(values)[[0, 2, 3]]).all()


def test_rows_without_a_fitting_chunk_fall_back():
    assert selection.choose("chunks", n_latents=1_001, k=4) == "lax"
    check(*rows(4, 1_001), 4, method="chunks")
    assert selection.choose("auto", n_latents=512, k=4) == "lax"
    assert selection.choose("auto", n_latents=6_144, k=32) == "chunks"


def test_neither_way_sorts_whole_rows():
    """XLA has a fast top-k for the CPU, and falls into a full sort for small reasons."""
    for method in METHODS:
        product, bias = rows(64, 2_048)
        compiled = jax.jit(selection.largest, static_argnames=("k", "method")).lower(
            product, bias, k=16, method=method
        )
        text = compiled.compile().as_text()
        assert "TopK" in text
        assert " sort(" not in text


@pytest.mark.parametrize("k", [1, 7, 200])
@pytest.mark.parametrize("n", [300, 4_095, 9_001])  # counted in groups of 4,095
def test_the_kth_largest_is_that_of_a_sort(k, n):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, n)) * 10.0 ** rng.integers(-30, 30, size=(9, n))
    values = values.astype(np.float32)
    values[3] = -1  # none is positive
    values[4, : n - 50] = -np.inf
    values[5, 10:260] = 2  # equal
    values[6, 10:260] = np.inf
    values[7] = 3  # every count is the largest it can be
    found = selection.kth_largest(jnp.asarray(values), k)
    expected = np.maximum(-np.sort(-values, axis=1)[:, k - 1], 0)
    np.testing.assert_array_equal(found, expected)
