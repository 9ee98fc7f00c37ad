"""AuxK: the dead latents alone model the error of the living (Gao et al. 2024, A.2).

Loss and gradient are computed together: with dense products over the dead columns alone
while those are few, else with sparse codes like the rest.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sae_jax.model import mesh, selection, sparse
from sae_jax.model.matmul import product
from sae_jax.model.paths import Paths
from sae_jax.model.sparse import Codes

# While at most so many times k_aux are dead, dense products over the dead columns cost less
# than sparse ones. With 10 % of 6,144 latents dead a step takes 1.4 times as long as with none
# (k_aux 128, two CPU cores; experiments/benchmarks/peers.py --dead_fraction=0.1).
FEW_DEAD = 6


class Weights(NamedTuple):
    W_enc: Float[Array, "n_latents d_in"]  # one row a latent
    b_enc: Float[Array, " n_latents"]
    W_dec: Float[Array, "n_latents d_in"]
    b_dec: Float[Array, " d_in"]


class Inputs(NamedTuple):
    """What the loss is a function of beside the weights; no gradient goes to these."""

    x: Float[Array, "batch d_in"]
    product: Float[Array, "batch n_latents"]  # (x − b_dec) W_enc
    error: Float[Array, "batch d_in"]  # that the dead latents are to model
    dead: Bool[Array, " n_latents"]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def auxk_loss(weights: Weights, inputs: Inputs, k_aux: int, paths: Paths) -> Float[Array, ""]:
    """Σ‖error − what the dead latents make of it‖² over the error's variance.

    0 where none is dead. Of each example the k_aux strongest dead latents are used. Live
    ones are masked with −∞: with 0 they would outrank dead ones below zero, as in the
    paper's code, and those would get no gradient. Differentiable in the weights.
    """
    return _loss_and_gradient(weights, inputs, k_aux, paths)[0]


def _backward(k_aux, paths, gradient, g):  # type: ignore[no-untyped-def]
    return jax.tree.map(lambda a: g * a, gradient), None


def _loss_and_gradient(
    weights: Weights, inputs: Inputs, k_aux: int, paths: Paths
) -> tuple[Float[Array, ""], Weights]:
    by_codes = functools.partial(jax.value_and_grad(_by_codes), weights, inputs, k_aux, paths)
    n_columns = FEW_DEAD * k_aux
    # Dead columns cannot be picked out evenly where the latents lie on several devices.
    if paths.products == "dense" or mesh.split() or n_columns >= len(inputs.dead):
        loss, gradient = by_codes()
    else:
        loss, gradient = jax.lax.cond(
            jnp.sum(inputs.dead) <= n_columns,
            lambda: _by_columns(weights, inputs, k_aux, paths, n_columns=n_columns),
            by_codes,
        )
    return jnp.where(inputs.dead.any(), loss, 0.0), gradient


auxk_loss.defvjp(_loss_and_gradient, _backward)


def _variance(error: Float[Array, "batch d_in"]) -> Float[Array, ""]:
    return jnp.sum((error - error.mean(axis=0)) ** 2)


def _by_codes(weights: Weights, inputs: Inputs, k: int, paths: Paths) -> Float[Array, ""]:
    masked = jnp.where(inputs.dead, weights.b_enc, -jnp.inf)
    codes = sparse.top_k(inputs.product, masked, k, paths=paths)
    encoder = sparse.Encoder(weights.W_enc, weights.b_enc, weights.b_dec)
    values = sparse.with_encoder_gradient(codes, inputs.x, encoder, paths)
    modelled = sparse.sum_rows(Codes(values, codes.indices), weights.W_dec, paths)
    return jnp.sum((inputs.error - modelled) ** 2) / _variance(inputs.error)


def _by_columns(
    weights: Weights, inputs: Inputs, k: int, paths: Paths, *, n_columns: int
) -> tuple[Float[Array, ""], Weights]:
    """The same for at most n_columns dead latents, by hand: dense over those alone.

    Latents whose pre-activation equals the k-th largest are all used.
    """
    n_latents = len(inputs.dead)
    (dead,) = jnp.nonzero(inputs.dead, size=n_columns, fill_value=n_latents)

    def rows(array: Array) -> Array:
        return array.at[dead].get(mode="clip")

    def back(array: Array) -> Array:
        zeros = jnp.zeros((n_latents, *array.shape[1:]), array.dtype)
        return zeros.at[dead].set(array, mode="drop", unique_indices=True)

    times = functools.partial(product, matmul=paths.matmul)
    b_enc = jnp.where(dead < n_latents, rows(weights.b_enc), -jnp.inf)
    pre_acts = inputs.product.at[:, dead].get(mode="clip") + b_enc
    on = (pre_acts > 0) & (pre_acts >= selection.kth_largest(pre_acts, k)[:, None])
    acts, W_enc, W_dec = jnp.where(on, pre_acts, 0.0), rows(weights.W_enc), rows(weights.W_dec)
    missed = times(acts, W_dec) - inputs.error
    scale = 1 / _variance(inputs.error)
    g = 2 * scale * missed
    d_acts = jnp.where(on, times(g, W_dec.T), 0.0)
    d_b_enc = d_acts.sum(axis=0)
    gradient = Weights(
        W_enc=back(times(d_acts.T, inputs.x - weights.b_dec)),
        b_enc=back(d_b_enc),
        W_dec=back(times(acts.T, g)),
        b_dec=-times(d_b_enc, W_enc),
    )
    return scale * jnp.sum(missed**2), gradient
