"""AuxK's two ways give the value and gradient of its dense definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae_jax.model import auxk
from sae_jax.model.paths import Paths

BATCH, D, N, K_AUX = 24, 10, 200, 4
SPARSE, DENSE = Paths("sparse", "lax", "float32"), Paths("dense", "lax", "float32")


def plain(weights, inputs, k):
    """By the definition, with autodiff."""
    pre_acts = (inputs.x - weights.b_dec) @ weights.W_enc.T + weights.b_enc
    values, indices = jax.lax.top_k(jnp.where(inputs.dead, pre_acts, -jnp.inf), k)
    at = jnp.arange(BATCH)[:, None]
    acts = jnp.zeros((BATCH, N)).at[at, indices].add(jax.nn.relu(values))
    missed = jnp.sum((inputs.error - acts @ weights.W_dec) ** 2)
    return missed / jnp.sum((inputs.error - inputs.error.mean(axis=0)) ** 2)


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    arrays = [
        jnp.asarray(rng.normal(size=s), jnp.float32)
        for s in ((N, D), N, (N, D), D, (BATCH, D), (BATCH, D))
    ]
    weights = auxk.Weights(*arrays[:4])
    x, error = arrays[4:]
    return weights, functools.partial(
        auxk.Inputs, x, (x - weights.b_dec) @ weights.W_enc.T, error
    )


# With k_aux 4: by columns for up to 24 dead latents, by codes beyond.
@pytest.mark.parametrize("n_dead", [1, 3, 8, 24, 25, 64, 200])
@pytest.mark.parametrize("paths", [SPARSE, DENSE], ids=["sparse", "dense"])
def test_value_and_gradient_equal_autodiff_of_the_definition(given, n_dead, paths):
    weights, inputs = given
    chosen = np.random.default_rng(1).permutation(N)[:n_dead]
    inputs = inputs(jnp.zeros(N, bool).at[chosen].set(True))
    ours = jax.jit(jax.value_and_grad(auxk.auxk_loss), static_argnums=(2, 3))
    value, gradient = ours(weights, inputs, K_AUX, paths)
    expected, wanted = jax.value_and_grad(plain)(weights, inputs, K_AUX)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for name in auxk.Weights._fields:
        found = getattr(gradient, name)
        np.testing.assert_allclose(found, getattr(wanted, name), rtol=2e-4, atol=1e-5)
        assert np.asarray(found).any(), name
        if name != "b_dec":  # the living get none
            assert not np.delete(np.asarray(found), chosen, axis=0).any(), name


def test_dead_latents_below_zero_get_no_gradient_and_do_no_harm(given):
    weights, inputs = given
    weights = weights._replace(b_enc=jnp.full(N, -100.0))
    inputs = inputs(jnp.arange(N) < 5)
    value, gradient = jax.value_and_grad(auxk.auxk_loss)(weights, inputs, K_AUX, SPARSE)
    error = inputs.error
    expected = jnp.sum(error**2) / jnp.sum((error - error.mean(axis=0)) ** 2)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert not any(np.asarray(leaf).any() for leaf in gradient)
