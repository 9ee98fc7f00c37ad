"""AuxK's ways add the value and gradient of its dense definition, each in its range."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae_jax.model import auxk
from sae_jax.model.paths import Paths

BATCH, D, N, K_AUX, COEFFICIENT = 24, 10, 400, 4, 0.5
SPARSE, DENSE = Paths("sparse", "lax", "float32"), Paths("dense", "lax", "float32")


def plain(weights, inputs, *, every):
    """By the definition, with autodiff."""
    (W_enc, b_enc, b_dec), W_dec = weights
    x, error = inputs.x[::every], inputs.error[::every]
    pre_acts = (x - b_dec) @ W_enc.T + b_enc
    values, indices = jax.lax.top_k(jnp.where(inputs.dead, pre_acts, -jnp.inf), K_AUX)
    at = jnp.arange(len(x))[:, None]
    acts = jnp.zeros((len(x), N)).at[at, indices].add(jax.nn.relu(values))
    missed = jnp.sum((error - acts @ W_dec) ** 2)
    return missed / jnp.sum((error - error.mean(axis=0)) ** 2)


@functools.partial(jax.jit, static_argnames=("paths", "every"))
def ours(before, weights, inputs, *, paths, every=2):
    how = auxk.How(K_AUX, COEFFICIENT, every, paths)
    return auxk.add_gradient(before, weights, inputs, how=how)


@pytest.fixture
def given():
    """A gradient to add to, weights, and inputs that lack the dead."""
    rng = np.random.default_rng(0)

    def weights():
        arrays = [jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((N, D), N, D, (N, D))]
        return auxk.Weights(auxk.Encoder(*arrays[:3]), arrays[3])

    at = weights()
    x, error = (jnp.asarray(rng.normal(size=(BATCH, D)), jnp.float32) for _ in range(2))
    product = (x - at.encoder.b_dec) @ at.encoder.W.T
    return weights(), at, functools.partial(auxk.Inputs, x, product, error)


def test_sparse_paths_have_a_width_for_few_and_for_a_tenth():
    assert auxk._widths(N, SPARSE) == (16, 48)
    assert auxk._widths(24_576, SPARSE) == (624, 2_464)
    assert auxk._widths(40, SPARSE) == (16,)
    assert auxk._widths(N, DENSE) == ()


# By columns, 16 and 48 of them, and by codes.
@pytest.mark.parametrize("n_dead", [1, 3, 16, 17, 48, 49, 200, N])
@pytest.mark.parametrize(
    ("paths", "every"), [(SPARSE, 1), (SPARSE, 2), (SPARSE, 3), (DENSE, 2)], ids=str
)
def test_value_and_gradient_equal_autodiff_of_the_definition(given, n_dead, paths, every):
    before, weights, inputs = given
    chosen = np.random.default_rng(1).permutation(N)[:n_dead]
    inputs = inputs(jnp.zeros(N, bool).at[chosen].set(True))
    after, value = ours(before, weights, inputs, paths=paths, every=every)
    expected, wanted = jax.value_and_grad(plain)(weights, inputs, every=every)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    added = jax.tree.map(lambda a, b: np.asarray(a - b) / COEFFICIENT, after, before)
    for name, found, wanted_ in zip(
        ("W_enc", "b_enc", "b_dec", "W_dec"),
        jax.tree.leaves(added),
        jax.tree.leaves(wanted),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted_, rtol=2e-4, atol=1e-5, err_msg=name)
        assert found.any(), name
        if name != "b_dec":  # the living get none
            assert not np.delete(found, chosen, axis=0).any(), name


@pytest.mark.parametrize("paths", [SPARSE, DENSE], ids=["sparse", "dense"])
def test_where_none_is_dead_nothing_is_added(given, paths):
    before, weights, inputs = given
    after, value = ours(before, weights, inputs(jnp.zeros(N, bool)), paths=paths)
    assert value == 0
    jax.tree.map(np.testing.assert_array_equal, after, before)


def test_without_dead_latents_nothing_is_copied_and_no_column_picked(given):
    """A copy, or work that XLA moves out of the loop, would cost every step."""
    before, weights, inputs = given
    inputs = inputs(jnp.zeros(N, bool))

    def two_steps(before, weights, inputs):
        return jax.lax.fori_loop(
            0, 2, lambda _, g: ours(g, weights, inputs, paths=SPARSE).gradient, before
        )

    compiled = jax.jit(two_steps, donate_argnums=0).lower(before, weights, inputs).compile()
    text = compiled.as_text()
    assert not re.findall(rf"= f32\[{N},{D}\]\S* copy\(", text)
    assert "take_along_axis" in text
    entry = text[text.index("\nENTRY") :]
    of_steps = re.findall(r"\bwhile\(.*body=%([\w.]+)", entry)
    assert of_steps
    for name in of_steps:
        body = re.search(rf"\n%{re.escape(name)} .*?\n}}", text, re.DOTALL)
        assert body
        assert "while(" in body[0], "a loop of AuxK lies in that of the steps"
        assert "take_along_axis" not in body[0], "columns are picked in every step"
        assert f"f32[{BATCH // 2}," not in body[0], "examples are picked in every step"
    assert "take_along_axis" not in entry


def test_dead_latents_below_zero_get_no_gradient_and_do_no_harm(given):
    before, weights, inputs = given
    weights = weights._replace(encoder=weights.encoder._replace(b=jnp.full(N, -100.0)))
    inputs = inputs(jnp.arange(N) < 5)
    after, value = ours(before, weights, inputs, paths=SPARSE)
    error = inputs.error[::2]
    expected = jnp.sum(error**2) / jnp.sum((error - error.mean(axis=0)) ** 2)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, before)
