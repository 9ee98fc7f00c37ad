"""How well a model reconstructs rows, and how often each latent is on."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Shaped

from sae_jax.config import SaeConfig
from sae_jax.data.shards import ShardReader
from sae_jax.model.protocol import Autoencoder
from sae_jax.train import sharding

ROWS_PER_CALL = 2_048


class Sums(NamedTuple):
    """Summed over rows, so that parts of a data set add up."""

    squared_error: Float[Array, ""]
    squared_distance: Float[Array, ""]  # to the mean of the training rows
    cosine: Float[Array, ""]
    n_on: Int[Array, " n_latents"]  # rows on which each latent is on


class Quality(NamedTuple):
    """Of a model on a set of rows."""

    fvu: float
    cosine: float  # mean over rows of cos(x, x_hat)
    l0: float  # mean number of latents on
    density: Float[np.ndarray, " n_latents"]  # share of rows on which each latent is on
    n_rows: int


def block_sums(
    model: Autoencoder,
    rows: Shaped[Array, "rows d_in"],
    real: Float[Array, " rows"],
    *,
    mean: Float[Array, " d_in"],
    config: SaeConfig,
) -> Sums:
    """Sums over the rows where `real` is 1; the others are padding."""
    x = rows.astype(jnp.float32)
    codes = model.encode(x, config)
    x_hat = model.decode(codes, config)
    norms = jnp.linalg.norm(x, axis=-1) * jnp.linalg.norm(x_hat, axis=-1)
    on = (codes.values > 0) & (real[:, None] > 0)
    return Sums(
        jnp.sum(real * jnp.sum((x - x_hat) ** 2, axis=-1)),
        jnp.sum(real * jnp.sum((x - mean) ** 2, axis=-1)),
        jnp.sum(real * jnp.sum(x * x_hat, axis=-1) / jnp.maximum(norms, 1e-12)),
        jnp.zeros(config.n_latents, jnp.int32).at[codes.indices].add(on.astype(jnp.int32)),
    )


def make_evaluator(
    reader: ShardReader,
    *,
    mean: Float[np.ndarray, " d_in"],
    config: SaeConfig,
    mesh: Mesh | None = None,
) -> Callable[[Autoencoder, np.ndarray], Quality]:
    """A function of (model, row ids), compiled once; the rows are split over `data`."""
    mesh = mesh or sharding.one_device()
    n_data = mesh.shape["data"]
    rows_per_call = -(-ROWS_PER_CALL // n_data) * n_data
    here = sharding.rows_here(mesh, n_rows=rows_per_call)
    sums_of = jax.jit(
        lambda model, rows, real: block_sums(
            model, rows, real, mean=jnp.asarray(mean, jnp.float32), config=config
        ),
        out_shardings=NamedSharding(mesh, P()),
    )

    def part(row_ids: np.ndarray) -> tuple[Array, Array]:
        """The rows of one call, of which each process reads its own, and which are real."""
        rows = reader.read(row_ids[here])
        real = (np.arange(here.start, here.stop) < len(row_ids)).astype(np.float32)
        padding = np.zeros((len(real) - len(rows), rows.shape[1]), rows.dtype)
        rows = np.concatenate([rows, padding])
        return (
            sharding.put(rows, mesh=mesh, spec=P("data", None), n_rows=rows_per_call),
            sharding.put(real, mesh=mesh, spec=P("data"), n_rows=rows_per_call),
        )

    def evaluate(model: Autoencoder, row_ids: np.ndarray) -> Quality:
        total: Sums | None = None
        for start in range(0, len(row_ids), rows_per_call):
            with jax.set_mesh(mesh):
                sums = sums_of(model, *part(row_ids[start : start + rows_per_call]))
            sums = jax.tree.map(lambda a: np.asarray(a, np.float64), sums)
            total = sums if total is None else jax.tree.map(np.add, total, sums)
            reader.forget()
        assert total is not None, "evaluation over no rows"
        return Quality(
            fvu=float(total.squared_error / total.squared_distance),
            cosine=float(total.cosine / len(row_ids)),
            l0=float(total.n_on.sum() / len(row_ids)),
            density=np.asarray(total.n_on) / len(row_ids),
            n_rows=len(row_ids),
        )

    return evaluate
