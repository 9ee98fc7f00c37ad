"""Sparse products equal the dense ones, in value and in gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae_jax.model import sparse
from sae_jax.model.paths import Paths
from sae_jax.model.sparse import Codes

BATCH, K, N, D = 24, 5, 40, 12
SPARSE, DENSE = Paths("sparse", "lax", "float32"), Paths("dense", "lax", "float32")


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    indices = rng.permuted(np.tile(np.arange(N), (BATCH, 1)), axis=1)[:, :K]
    values = np.maximum(rng.normal(size=(BATCH, K)), 0)  # half of them off
    return Codes(jnp.asarray(values, jnp.float32), jnp.asarray(indices, jnp.int32))


@pytest.fixture
def W():
    return jnp.asarray(np.random.default_rng(1).normal(size=(N, D)), jnp.float32)


def test_sum_rows_is_the_product_of_the_scattered_codes(codes, W):
    dense = np.zeros((BATCH, N))
    np.put_along_axis(dense, np.asarray(codes.indices), np.asarray(codes.values), axis=1)
    for paths in (SPARSE, DENSE):
        found = sparse.sum_rows(codes, W, paths)
        np.testing.assert_allclose(found, dense @ np.asarray(W), atol=1e-5)


@pytest.mark.parametrize("paths", [SPARSE, DENSE], ids=["sparse", "dense"])
def test_sum_rows_has_the_gradient_of_the_dense_product(codes, W, paths):
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(BATCH, D)), jnp.float32)

    def ours(values, W):
        return jnp.sum(weights * sparse.sum_rows(Codes(values, codes.indices), W, paths))

    def plain(values, W):
        at = jnp.arange(BATCH)[:, None]
        return jnp.sum(weights * (jnp.zeros((BATCH, N)).at[at, codes.indices].add(values) @ W))

    found = jax.grad(ours, argnums=(0, 1))(codes.values, W)
    expected = jax.grad(plain, argnums=(0, 1))(codes.values, W)
    for ours_, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours_, wanted, atol=1e-5)


@pytest.mark.parametrize("paths", [SPARSE, DENSE], ids=["sparse", "dense"])
def test_the_encoder_gradient_equals_autodiff_of_the_dense_encoder(W, paths):
    rng = np.random.default_rng(3)
    x, b_dec = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((BATCH, D), (D,)))
    b = jnp.asarray(rng.normal(size=N), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(BATCH, K)), jnp.float32)

    def plain(x, b_dec, W, b):
        values, _ = jax.lax.top_k((x - b_dec) @ W.T + b, K)
        return jnp.sum(weights * jax.nn.relu(values))

    def ours(x, b_dec, W, b):
        codes = sparse.top_k((x - b_dec) @ W.T, b, K, paths=paths)
        encoder = sparse.Encoder(W, b, b_dec)
        return jnp.sum(weights * sparse.with_encoder_gradient(codes, x, encoder, paths))

    arguments = (x, b_dec, W, b)
    expected = jax.grad(plain, argnums=(0, 1, 2, 3))(*arguments)
    for found, wanted in zip(
        jax.grad(ours, argnums=(0, 1, 2, 3))(*arguments), expected, strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_top_k_equals_a_stable_sort_then_relu():
    rng = np.random.default_rng(4)
    product, bias = (rng.normal(size=s).astype(np.float32) for s in ((BATCH, N), N))
    codes = sparse.top_k(jnp.asarray(product), jnp.asarray(bias), 30, paths=SPARSE)
    pre_acts = product + bias
    order = np.argsort(-pre_acts, axis=1, kind="stable")[:, :30]
    np.testing.assert_array_equal(codes.indices, order)
    np.testing.assert_array_equal(
        codes.values, np.maximum(np.take_along_axis(pre_acts, order, axis=1), 0)
    )


def test_a_row_of_minus_infinity_gives_zeros_and_valid_indices():
    codes = sparse.top_k(jnp.full((2, N), -jnp.inf), jnp.zeros(N), K, paths=SPARSE)
    assert not np.asarray(codes.values).any()
    assert np.asarray(codes.indices).max() < N


def test_fired_means_a_value_above_zero(codes):
    expected = np.zeros(N, bool)
    expected[np.asarray(codes.indices)[np.asarray(codes.values) > 0]] = True
    assert not expected[np.unique(codes.indices)].all(), (
        "the test needs a chosen latent at zero"
    )
    np.testing.assert_array_equal(sparse.fired(codes, n_latents=N), expected)


def test_keys_too_wide_for_32_bits_are_sorted_all_the_same():
    indices = jnp.asarray(np.random.default_rng(5).integers(0, 65_000, (1_024, 64)), jnp.int32)
    packed, packed_starts = sparse._by_latent(indices, n_latents=65_535)
    wide, wide_starts = sparse._by_latent(indices, n_latents=65_536)  # 2^16 · 2^16 = 2^32
    np.testing.assert_array_equal(packed, np.argsort(indices.reshape(-1), kind="stable"))
    np.testing.assert_array_equal(wide, packed)
    np.testing.assert_array_equal(wide_starts[:-1], packed_starts)
