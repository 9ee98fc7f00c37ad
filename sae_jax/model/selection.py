"""The exact k largest pre-activations of each example, by the fastest method measured.

`jax.lax.top_k` runs on one core of a CPU and keeps a heap: it costs what enters the heap.
"chunks" finds the k chunks of columns with the largest maxima first: nothing outside them
can be among the k largest, nor anything below the k-th of those maxima, so that hardly
more than k values enter the second heap. Rows go through in parts, which XLA:CPU runs on
all cores. On accelerators, where `lax.top_k` sorts whole rows, two short sorts replace it.
"""

import functools
import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from sae_jax.model.matmul import product as times

# The table: "chunks" from so many latents on. Measured on two CPU cores at batch 1,024 with
# normal values, "chunks" against "lax" in ms: n_latents 1,024, k 32 5.5 and 5.9; 2,048 k 16
# 3.4 and 4.2; 6,144 k 16 8.8 and 12, k 32 14 and 16, k 64 18 and 21, k 128 36 and 32; 24,576
# k 32 25 and 59. Accelerators: not measured.
CHUNKS_FROM = {"cpu": 2_048, "gpu": 4_096, "tpu": 4_096}
# XLA:CPU runs independent calls side by side only where more than eight are ready. On two
# cores the 64 largest of [1,024, 6,144] take 25 ms in 1 to 10 parts, 16 in 16 or 32; a part is
# 1 MB more of compilation (JAX 0.12).
PARTS = min(64, max(16, 2 * (os.cpu_count() or 1)))


def choose(method: str, *, n_latents: int, k: int) -> str:
    """Resolves the setting `sae.selection` for the default backend.

    "lax" where n_latents is small, or too near k, or has no factor of 4.
    """
    width = _width(n_latents, k)
    enough = n_latents >= CHUNKS_FROM.get(jax.default_backend(), 4_096)
    if method == "lax" or not width or (method == "auto" and not enough):
        return "lax"
    return "chunks"


def largest(
    product: Float[Array, "batch n_latents"],
    bias: Float[Array, " n_latents"],
    k: int,
    *,
    method: str = "auto",
) -> tuple[Float[Array, "batch k"], Int[Array, "batch k"]]:
    """Values and indices of the k largest of product + bias, strongest first.

    The sum is never written out whole. Where values are equal, which of their indices
    come is not specified. float32 only: XLA on a CPU sorts other types in full, 150 times
    slower.
    """
    product = product.astype(jnp.float32)
    n_latents = product.shape[1]
    if choose(method, n_latents=n_latents, k=k) == "lax":
        return _top_k(product + bias, k)
    width = _width(n_latents, k)
    n_chunks = n_latents // width
    # Chunk j is the columns j, j + n_chunks, …: maxima of contiguous slices.
    starts = range(0, n_latents, n_chunks)
    biased = (product[:, i : i + n_chunks] + bias[i : i + n_chunks] for i in starts)
    maxima = functools.reduce(jnp.maximum, biased)
    # The least of k disjoint groups' maxima bounds the k-th largest from below.
    n_groups = n_chunks // k
    groups = maxima[:, : n_groups * k].reshape(-1, n_groups, k).max(axis=1)
    maxima = _above(maxima, groups.min(axis=-1))
    first_columns = jnp.arange(0, n_latents, n_chunks, dtype=jnp.int32)[:, None]
    bounds, chosen = _top_k(maxima, k)
    columns = (chosen[:, None, :] + first_columns).reshape(len(product), -1)
    candidates = take(product, columns) + bias.at[columns].get(mode="promise_in_bounds")
    # Not bounds[:, -1], which is a cut.
    values, places = _top_k(_above(candidates, bounds.min(axis=-1)), k)
    return values, take(columns, places)


def _top_k(rows: Array, k: int) -> tuple[Array, Array]:
    """lax.top_k, on a CPU in parts of the rows; its places may then be cut.

    XLA on a CPU sorts whole rows, ten times slower, where its result itself is cut.
    """
    n_parts = min(PARTS, max(1, len(rows))) if jax.default_backend() == "cpu" else 1
    cuts = [len(rows) * part // n_parts for part in range(n_parts + 1)]
    parts = [jax.lax.top_k(rows[start:stop], k) for start, stop in itertools.pairwise(cuts)]
    values, places = (jnp.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return values, jnp.minimum(places, rows.shape[1] - 1)


def _width(n_latents: int, k: int) -> int:
    """Chunks' width: about √(n_latents / k), so that both stages see as few values as can be.

    0 where no power of two divides the row into at least k chunks.
    """
    widths = [w for w in (4, 8, 16, 32, 64) if n_latents % w == 0 and n_latents // w >= k]
    wide = [w for w in widths if w * w * k >= n_latents]
    return (wide or widths[-1:] or [0])[0]


def take(rows: Shaped[Array, "batch n"], columns: Int[Array, "batch m"]) -> Array:
    """These columns of each row, [batch, m]; all must exist: none is checked."""
    return jnp.take_along_axis(rows, columns, axis=1, mode="promise_in_bounds")


def _above(values: Array, bounds: Array) -> Array:
    """What lies below its row's bound becomes −inf. NaN stays, so that it is seen."""
    return jnp.where(values < bounds[:, None], -jnp.inf, values)


def kth_largest(values: Float[Array, "batch n"], k: int) -> Float[Array, " batch"]:
    """The k-th largest positive value of each row, 0 where there are fewer.

    Bits of non-negative floats are ordered as the floats: found in 20 rounds, as 3^20 > 2^31,
    each of which counts the values at or above two bounds. Both counts come out of one
    product, on all cores: for n of some hundreds five times faster than sorting out k.
    """
    # Sums of 1 and 4,096 over so many columns are exact in float32.
    groups = jax.nn.one_hot(np.arange(values.shape[1]) // 4_095, -(-values.shape[1] // 4_095))
    infinity = np.uint32(0x7F80_0000)

    def narrow(least: Array, third: Array) -> tuple[Array, None]:
        one, two = (jnp.minimum(least + i * third, infinity) for i in (1, 2))
        above_one, above_two = (
            values >= jax.lax.bitcast_convert_type(bits, jnp.float32)[:, None]
            for bits in (one, two)
        )
        marks = jnp.where(above_one, 1.0, 0.0) + jnp.where(above_two, 4_096.0, 0.0)
        counts = times(marks, groups, matmul="float32")
        n_two = jnp.floor(counts / 4_096)
        n_one = (counts - 4_096 * n_two).sum(axis=-1)
        return jnp.where(n_two.sum(axis=-1) >= k, two, jnp.where(n_one >= k, one, least)), None

    thirds = jnp.asarray(3 ** np.arange(19, -1, -1), jnp.uint32)
    bits, _ = jax.lax.scan(narrow, jnp.zeros(len(values), jnp.uint32), thirds)
    return jax.lax.bitcast_convert_type(bits, jnp.float32)
