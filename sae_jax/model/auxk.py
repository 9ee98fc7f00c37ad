"""AuxK: the dead latents alone model the error of the living (Gao et al. 2024, A.2).

Its gradient is added to that of the reconstruction, in place: with dense products over the
dead columns alone while those are few, else with sparse codes like the rest.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from sae_jax.model import mesh, selection, sparse
from sae_jax.model.matmul import product
from sae_jax.model.paths import Paths
from sae_jax.model.sparse import Codes, Encoder


class Weights(NamedTuple):
    """The parameters, or the gradient in them."""

    encoder: Encoder
    W_dec: Float[Array, "n_latents d_in"]


class Inputs(NamedTuple):
    """What the loss is a function of beside the weights; no gradient goes to these."""

    x: Float[Array, "batch d_in"]
    product: Float[Array, "batch n_latents"]  # (x − b_dec) W_enc
    error: Float[Array, "batch d_in"]  # that the dead latents are to model
    dead: Bool[Array, " n_latents"]


class Added(NamedTuple):
    """A gradient with that of AuxK in it, and the AuxK loss."""

    gradient: Weights
    loss: Float[Array, ""]


class How(NamedTuple):
    k: int  # dead latents of each example
    coefficient: float | Float[Array, ""]  # of the loss, in the gradient
    every: int  # one of so many examples has this loss
    paths: Paths


def add_gradient(gradient: Weights, weights: Weights, inputs: Inputs, *, how: How) -> Added:
    """gradient + coefficient · that of Σ‖error − what the dead make of it‖² / error variance.

    Sums and variance are over every `how.every`-th example. Where none is dead nothing is
    added, and the loss is 0. Of each example the k strongest dead latents are used. Live ones
    are masked with −∞: with 0 they would outrank dead ones below zero, as in the paper's code,
    and those would get no gradient.
    """
    n_latents, n_dead = len(inputs.dead), inputs.dead.sum()
    by_codes = functools.partial(_add_by_codes, weights, how)
    widths = _widths(n_latents, how.paths)
    ways = [functools.partial(_add_by_columns, weights, how, n_columns=n) for n in widths]
    bounds = (0, *widths, n_latents)
    added = Added(gradient, jnp.zeros(()))
    for (above, most), way in zip(itertools.pairwise(bounds), [*ways, by_codes], strict=True):
        wanted = (n_dead > above) & (n_dead <= most)
        added = _if(wanted, way, inputs, added, every=how.every)
    return added


def _widths(n_latents: int, paths: Paths) -> tuple[int, ...]:
    """Up to so many dead latents are modelled by dense products, with code for each width.

    These cost what is dead, sparse codes always the same: at 6,144 latents 13 ms for a tenth
    and 4 for a fortieth, against 34 (two CPU cores, d_in 384, k_aux 128, 512 examples).
    """
    if paths.products == "dense" or mesh.split():
        return ()  # dead columns do not lie evenly on several devices
    widths = {-(-n_latents // (16 * parts)) * 16 for parts in (40, 10)}
    return tuple(sorted(width for width in widths if width < n_latents))


def _if(
    condition: Bool[Array, ""],
    change: Callable[[Inputs, Added], Added],
    inputs: Inputs,
    added: Added,
    *,
    every: int,
) -> Added:
    """change(some of the examples, added) if the condition holds: a loop of one round or none.

    XLA runs loops in place. `lax.cond` would copy the gradient whenever nothing changes.
    """

    def round_(i: Array, added: Added) -> Added:
        # What does not depend on i would be computed before the loop, wanted or not.
        def some(array: Array) -> Array:
            apart = array.reshape(-1, every, array.shape[1])
            return jax.lax.dynamic_index_in_dim(apart, i, axis=1, keepdims=False)

        x, product, error = some(inputs.x), some(inputs.product), some(inputs.error)
        return change(Inputs(x, product, error, inputs.dead & (i < 1)), added)

    return jax.lax.fori_loop(0, condition.astype(jnp.int32), round_, added)


def _variance(error: Float[Array, "batch d_in"]) -> Float[Array, ""]:
    return jnp.sum((error - error.mean(axis=0)) ** 2)


def _add_by_codes(weights: Weights, how: How, inputs: Inputs, added: Added) -> Added:
    def loss_of(weights: Weights) -> Float[Array, ""]:
        encoder = weights.encoder
        masked = jnp.where(inputs.dead, encoder.b, -jnp.inf)
        # With k_aux of thousands of latents "lax" is as fast, and less to compile.
        in_one = how.paths._replace(selection="lax")
        codes = sparse.top_k(inputs.product, masked, how.k, paths=in_one)
        values = sparse.with_encoder_gradient(codes, inputs.x, encoder, how.paths)
        modelled = sparse.sum_rows(Codes(values, codes.indices), weights.W_dec, how.paths)
        return jnp.sum((inputs.error - modelled) ** 2) / _variance(inputs.error)

    loss, gradient = jax.value_and_grad(loss_of)(weights)
    total = jax.tree.map(lambda a, b: a + how.coefficient * b, added.gradient, gradient)
    return Added(total, loss)


def _add_by_columns(
    weights: Weights, how: How, inputs: Inputs, added: Added, *, n_columns: int
) -> Added:
    """The same for at most n_columns dead latents, by hand: dense over those alone.

    Latents whose pre-activation equals the k-th largest are all used.
    """
    n_latents, encoder = len(inputs.dead), weights.encoder
    # Sorting is one kernel, where jnp.nonzero is twenty: less to compile.
    numbers = jnp.arange(n_latents, dtype=jnp.int32)
    dead = jnp.sort(jnp.where(inputs.dead, numbers, n_latents))[:n_columns]

    def rows(array: Array) -> Array:
        return array.at[dead].get(mode="clip")

    def with_rows(array: Array, rows: Array) -> Array:
        return array.at[dead].add(rows, mode="drop", unique_indices=True)

    times = functools.partial(product, matmul=how.paths.matmul)
    b_enc = jnp.where(dead < n_latents, rows(encoder.b), -jnp.inf)
    columns = jnp.broadcast_to(jnp.minimum(dead, n_latents - 1), (len(inputs.x), n_columns))
    pre_acts = selection.take(inputs.product, columns) + b_enc
    on = pre_acts > 0
    if n_columns > how.k:
        on &= pre_acts >= selection.kth_largest(pre_acts, how.k)[:, None]
    acts, W_enc, W_dec = jnp.where(on, pre_acts, 0.0), rows(encoder.W), rows(weights.W_dec)
    missed = times(acts, W_dec) - inputs.error
    scale = 1 / _variance(inputs.error)
    g = 2 * how.coefficient * scale * missed
    d_acts = jnp.where(on, times(g, W_dec.T), 0.0)
    d_b_enc = d_acts.sum(axis=0)
    before = added.gradient.encoder
    total = Encoder(
        W=with_rows(before.W, times(d_acts.T, inputs.x - encoder.b_dec)),
        b=with_rows(before.b, d_b_enc),
        b_dec=before.b_dec - times(d_b_enc, W_enc),
    )
    W_dec_total = with_rows(added.gradient.W_dec, times(acts.T, g))
    return Added(Weights(total, W_dec_total), scale * jnp.sum(missed**2))
