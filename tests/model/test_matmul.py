"""Each precision does what its name says, and none is taken silently."""

import jax.numpy as jnp
import numpy as np
import pytest

from sae_jax.model.matmul import product

rng = np.random.default_rng(0)
A = jnp.asarray(rng.normal(size=(32, 200)), jnp.float32)
B = jnp.asarray(rng.normal(size=(200, 16)), jnp.float32)
EXACT = np.asarray(A, np.float64) @ np.asarray(B, np.float64)


# The unit roundoff is 2^-24, 2^-11 and 2^-9; sums of 200 products of size 1.
@pytest.mark.parametrize(
    ("matmul", "least", "most"),
    [("float32", 0, 2e-5), ("tf32", 1e-4, 2e-2), ("bfloat16", 1e-2, 2e-1)],
)
def test_the_error_is_that_of_the_inputs_rounding(matmul, least, most):
    found = product(A, B, matmul=matmul)
    assert found.dtype == jnp.float32
    error = np.abs(np.asarray(found) - EXACT).max()
    assert least <= error <= most


def test_bfloat16_sums_are_float32():
    ones = jnp.ones((1, 4_096))
    assert product(ones, ones.T, matmul="bfloat16")[0, 0] == 4_096  # bfloat16 stops at 256
