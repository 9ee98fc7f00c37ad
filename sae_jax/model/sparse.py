"""Products with sparse codes: decode, and the gradients that touch only active latents.

Per step the one dense product that cannot be avoided is the encoder's. Decoding k rows
and the gradients of both dictionaries are products of a sparse matrix (the codes, or
their transpose) with a dense one. On a CPU `BCSR @ dense` is Eigen's, 10 to 30 times
cheaper than the dense product, while XLA's gather and scatter are as slow as dense.
On accelerators small dictionaries are fastest densely. Both paths give equal values and
gradients (tests/model/test_sparse.py).

On a mesh each device holds some rows of the dictionaries and some examples. It works on the
codes that point to its rows; what it finds is summed over the devices (tests/train/
test_sharding.py: equal to one device).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import sparse
from jaxtyping import Array, Bool, Float, Int

from sae_jax.model import mesh, selection
from sae_jax.model.matmul import product
from sae_jax.model.mesh import EXAMPLES, GRID, LATENTS, WHOLE
from sae_jax.model.paths import Paths


class Codes(NamedTuple):
    """The sparse code of a batch: the k latents of each example, strongest first."""

    values: Float[Array, "batch k"]
    indices: Int[Array, "batch k"]


def _spmm(
    values: Float[Array, " nse"],
    columns: Int[Array, " nse"],
    *,
    starts: Int[Array, " rows_and_one"],
    dense: Float[Array, "columns width"],
) -> Float[Array, "rows width"]:
    """A sparse matrix in compressed rows, times a dense one."""
    shape = (len(starts) - 1, len(dense))
    return sparse.BCSR((values, columns, starts), shape=shape) @ dense


def _by_latent(
    indices: Int[Array, "batch k"], *, n_latents: int
) -> tuple[Int[Array, " nse"], Int[Array, " n_latents_and_one"]]:
    """Positions of the flattened indices sorted by latent, and where each latent's run starts.

    Latent and position are packed in one uint32 where both fit: one such sort is six
    times faster than an argsort (XLA on a CPU, 32,768 entries: 1.1 against 6.9 ms).
    """
    flat, size = indices.reshape(-1), indices.size
    if n_latents * size < 2**32:
        position = jnp.arange(size, dtype=jnp.uint32)
        keys = jnp.sort(flat.astype(jnp.uint32) * jnp.uint32(size) + position)
        latents = (keys // jnp.uint32(size)).astype(jnp.int32)
        order = (keys % jnp.uint32(size)).astype(jnp.int32)
    else:
        latents, order = jax.lax.sort((flat, jnp.arange(size, dtype=jnp.int32)), num_keys=1)
    starts = jnp.searchsorted(latents, jnp.arange(n_latents + 1, dtype=jnp.int32))
    return order, starts.astype(jnp.int32)


def _scatter(codes: Codes, *, n_latents: int) -> Float[Array, "batch n_latents"]:
    """The codes as a dense matrix. An index may repeat where its values are zero."""
    batch = jnp.arange(len(codes.values))[:, None]
    zeros = jnp.zeros((len(codes.values), n_latents), codes.values.dtype)
    return zeros.at[batch, codes.indices].add(codes.values)


def _times(codes: Codes, W: Float[Array, "n_latents d_in"], paths: Paths) -> Array:
    """Codes, as a [batch, n_latents] matrix, @ W."""
    if paths.products == "dense":
        return product(_scatter(codes, n_latents=len(W)), W, matmul=paths.matmul)
    starts = jnp.arange(0, codes.values.size + 1, codes.values.shape[1], dtype=jnp.int32)
    return _spmm(codes.values.reshape(-1), codes.indices.reshape(-1), starts=starts, dense=W)


def _transposed_times(
    codes: Codes, dense: Float[Array, "batch width"], paths: Paths, *, n_latents: int
) -> Float[Array, "n_latents width"]:
    """Codes, as a [batch, n_latents] matrix, transposed, @ dense."""
    if paths.products == "dense":
        scattered = _scatter(codes, n_latents=n_latents)
        return product(scattered.T, dense, matmul=paths.matmul)
    order, starts = _by_latent(codes.indices, n_latents=n_latents)
    rows = order // codes.indices.shape[1]
    return _spmm(codes.values.reshape(-1)[order], rows, starts=starts, dense=dense)


def _row_products(
    indices: Int[Array, "batch k"],
    W: Float[Array, "n_latents d_in"],
    g: Float[Array, "batch d_in"],
    paths: Paths,
) -> Float[Array, "batch k"]:
    """Each chosen row of W times its example's g, without a [batch, k, d_in] array."""
    if paths.products == "dense":
        return jnp.take_along_axis(product(g, W.T, matmul=paths.matmul), indices, axis=1)
    # The rows gathered at once: on a CPU 1 MB, which stays in a core's cache.
    n_gathered = 2**18 if jax.default_backend() == "cpu" else 2**26
    at_once = max(1, n_gathered // (indices.shape[1] * W.shape[1]))
    return jax.lax.map(
        lambda example: W[example[0]] @ example[1], (indices, g), batch_size=at_once
    )


def _own(codes: Codes, *, n_latents: int) -> tuple[Codes, Array | bool]:
    """On a mesh: the codes of this device's latents, numbered from 0, and which they are.

    The others keep their places with value 0.
    """
    if mesh.n_parts("latent") == 1:
        return codes, True
    indices = codes.indices - mesh.place("latent") * n_latents
    own = (indices >= 0) & (indices < n_latents)
    return Codes(jnp.where(own, codes.values, 0.0), jnp.where(own, indices, 0)), own


def top_k(
    product: Float[Array, "batch n_latents"],
    bias: Float[Array, " n_latents"],
    k: int,
    *,
    paths: Paths,
) -> Codes:
    """The k largest of product + bias, then ReLU: L0 can be less than k. No gradient.

    ReLU comes second: it is cheaper, and an example with all −inf still gives zeros. On a
    mesh each device offers its k largest, and the k largest of those are taken: exact.
    """

    def local(product: Array, bias: Array) -> Codes:
        n_latents = product.shape[1]
        largest = functools.partial(selection.largest, method=paths.selection)
        values, indices = largest(product, bias, min(k, n_latents))
        if mesh.n_parts("latent") > 1:
            indices += mesh.place("latent") * n_latents
            values, indices = (mesh.side_by_side(a, "latent") for a in (values, indices))
            values, places = largest(values, jnp.zeros(values.shape[1]), k)
            indices = selection.take(indices, places)
        return Codes(jax.nn.relu(values), indices)

    detached = (jax.lax.stop_gradient(array) for array in (product, bias))
    return mesh.on_parts(local, *detached, specs=(GRID, LATENTS), out=EXAMPLES)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def sum_rows(codes: Codes, W: Float[Array, "n_latents d_in"], paths: Paths) -> Array:
    """Σ_j values_j W[indices_j], [batch, d_in]: a decode without its bias.

    Differentiable in values and W.
    """

    def local(codes: Codes, W: Array) -> Array:
        own, _ = _own(codes, n_latents=len(W))
        return mesh.total(_times(own, W, paths), "latent")

    return mesh.on_parts(local, codes, W, specs=(EXAMPLES, LATENTS), out=EXAMPLES)


def _sum_rows_forward(codes, W, paths):  # type: ignore[no-untyped-def]
    return sum_rows(codes, W, paths), (codes, W)


def _sum_rows_backward(paths, saved, g):  # type: ignore[no-untyped-def]
    def local(codes: Codes, W: Array, g: Array) -> tuple[Array, Array]:
        own, here = _own(codes, n_latents=len(W))
        d_W = _transposed_times(own, g, paths, n_latents=len(W))
        d_values = jnp.where(here, _row_products(own.indices, W, g, paths), 0.0)
        return mesh.total(d_values, "latent"), mesh.total(d_W, "data")

    codes, W = saved
    specs = (EXAMPLES, LATENTS, EXAMPLES)
    d_values, d_W = mesh.on_parts(local, codes, W, g, specs=specs, out=(EXAMPLES, LATENTS))
    return Codes(d_values, None), d_W  # type: ignore[arg-type]


sum_rows.defvjp(_sum_rows_forward, _sum_rows_backward)


class Encoder(NamedTuple):
    """(x − b_dec) · W + b, with one row of W a latent."""

    W: Float[Array, "n_latents d_in"]
    b: Float[Array, " n_latents"]
    b_dec: Float[Array, " d_in"]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def with_encoder_gradient(
    codes: Codes, x: Float[Array, "batch d_in"], encoder: Encoder, paths: Paths
) -> Float[Array, "batch k"]:
    """codes.values, as the differentiable function relu((x − b_dec) · W[indices] + b[indices]).

    The pre-activations are computed once, densely and without a gradient; this gives the
    chosen ones theirs, which touches the chosen rows of W alone.
    """
    return codes.values


def _encoder_forward(codes, x, encoder, paths):  # type: ignore[no-untyped-def]
    return codes.values, (codes, x, encoder.W, encoder.b_dec)


def _encoder_backward(paths, saved, g):  # type: ignore[no-untyped-def]
    def local(codes: Codes, x: Array, W: Array, b_dec: Array, g: Array) -> tuple[Any, ...]:
        on = Codes(jnp.where(codes.values > 0, g, 0.0), codes.indices)
        own, _ = _own(on, n_latents=len(W))
        d_W = mesh.total(_transposed_times(own, x - b_dec, paths, n_latents=len(W)), "data")
        d_b = mesh.total(jnp.zeros(len(W)).at[own.indices].add(own.values), "data")
        d_b_dec = -mesh.total(product(d_b, W, matmul="float32"), "latent")
        d_x = mesh.total(_times(own, W, paths), "latent")  # left out where not used
        return d_x, Encoder(d_W, d_b, d_b_dec)

    specs = (EXAMPLES, EXAMPLES, LATENTS, WHOLE, EXAMPLES)
    out = (EXAMPLES, Encoder(LATENTS, LATENTS, WHOLE))  # type: ignore[arg-type]
    return None, *mesh.on_parts(local, *saved, g, specs=specs, out=out)


with_encoder_gradient.defvjp(_encoder_forward, _encoder_backward)


def fired(codes: Codes, *, n_latents: int) -> Bool[Array, " n_latents"]:
    """Latents with a value above zero in at least one example."""

    def local(codes: Codes) -> Array:
        n_own = n_latents // mesh.n_parts("latent")
        own, _ = _own(codes, n_latents=n_own)
        n_on = jnp.zeros(n_own, jnp.int32).at[own.indices].add(own.values > 0)
        return mesh.total(n_on, "data") > 0

    return mesh.on_parts(local, codes, specs=(EXAMPLES,), out=LATENTS)
