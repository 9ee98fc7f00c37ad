"""How much of held-out rows their codes keep, beside what as many numbers keep otherwise.

Errors are of rows, so that their sum over rows drawn again gives an interval.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis.intervals import Interval, mean_with_interval, ratio_with_interval
from sae_jax.data.shards import ShardReader
from sae_jax.notebook import Sae

ROWS_PER_BLOCK = 1_024
KEPT = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4)  # of the k of training, in progressive decoding
DIRECTION_BYTES = 256 * 2**20  # of the latents of some rows, by least squares
RIDGE = 1e-4  # of least squares among latents that nearly are the same
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

# The reconstructions of some rows: [rows, d_in] to the same.
Reconstruct = Callable[[np.ndarray], np.ndarray]


class Errors(NamedTuple):
    """Of each row."""

    squared: Float[np.ndarray, " rows"]  # ‖x − x_hat‖²
    distance: Float[np.ndarray, " rows"]  # ‖x − mean‖²
    cosine: Float[np.ndarray, " rows"]  # of x and x_hat

    def fvu(self, *, seed: int) -> Interval:
        return ratio_with_interval(self.squared, self.distance, seed=seed)


class Reconstruction(NamedTuple):
    """Over rows, with 95 % intervals."""

    fvu: Interval
    cosine: Interval


def errors(
    reconstruct: Reconstruct,
    reader: ShardReader,
    *,
    row_ids: Int[np.ndarray, " rows"],
    mean: Float[np.ndarray, " d_in"],
) -> Errors:
    parts = []
    for x in read_blocks(reader, row_ids):
        x_hat = reconstruct(x)
        norms = np.linalg.norm(x, axis=1) * np.linalg.norm(x_hat, axis=1)
        parts.append(
            (
                np.sum((x - x_hat) ** 2, axis=1, dtype=np.float64),
                np.sum((x - mean) ** 2, axis=1, dtype=np.float64),
                np.sum(x * x_hat, axis=1, dtype=np.float64) / np.maximum(norms, 1e-12),
            )
        )
    return Errors(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def read_blocks(
    reader: ShardReader, row_ids: Int[np.ndarray, " rows"]
) -> Iterator[Float[np.ndarray, "rows d_in"]]:
    for start in range(0, len(row_ids), ROWS_PER_BLOCK):
        yield reader.read(row_ids[start : start + ROWS_PER_BLOCK]).astype(np.float32)
        reader.forget()


def measure(
    ways: dict[str, Reconstruct],
    reader: ShardReader,
    *,
    row_ids: Int[np.ndarray, " rows"],
    mean: Float[np.ndarray, " d_in"],
    seed: int,
) -> dict[str, Reconstruction]:
    found = {}
    for name, way in ways.items():
        own = errors(way, reader, row_ids=row_ids, mean=mean)
        found[name] = Reconstruction(
            own.fvu(seed=seed), mean_with_interval(own.cosine, seed=seed)
        )
    return found


def by_autoencoder(sae: Sae, *, k: int | None = None) -> Reconstruct:
    """With as many latents as it was trained with, or with another k of the same weights."""
    config = dataclasses.replace(sae.config, k=k or sae.k)

    def reconstruct(x: Float[np.ndarray, "rows d_in"]) -> Float[np.ndarray, "rows d_in"]:
        model = sae.model
        return np.asarray(model.decode(model.encode(jnp.asarray(x), config), config))

    return reconstruct


def by_least_squares(sae: Sae, *, k: int | None = None) -> Reconstruct:
    """With the values that fit each row best for the latents that it chose.

    The most that an untrained dictionary can do with them: its own values are too large, as
    random directions overlap.
    """
    config = dataclasses.replace(sae.config, k=k or sae.k)

    W_dec, b_dec = np.asarray(sae.W_dec), np.asarray(sae.b_dec)
    at_once = max(1, DIRECTION_BYTES // (4 * config.k * config.d_in))

    def reconstruct(x: Float[np.ndarray, "rows d_in"]) -> Float[np.ndarray, "rows d_in"]:
        return np.concatenate([fit(x[i : i + at_once]) for i in range(0, len(x), at_once)])

    def fit(x: Float[np.ndarray, "rows d_in"]) -> Float[np.ndarray, "rows d_in"]:
        # In NumPy: XLA is slow at many small products and systems on a CPU.
        directions = W_dec[np.asarray(sae.model.encode(jnp.asarray(x), config).indices)]
        products = directions @ directions.swapaxes(1, 2)
        products += RIDGE * np.eye(products.shape[-1], dtype=np.float32)
        wanted = directions @ (x - b_dec)[..., None]
        values = np.linalg.solve(products, wanted)
        return (values.swapaxes(1, 2) @ directions)[:, 0] + b_dec

    return reconstruct


def by_directions(
    directions: Float[np.ndarray, "n d_in"], *, mean: Float[np.ndarray, " d_in"]
) -> Reconstruct:
    """In the space that orthonormal directions span; none of them: the mean."""
    mean = mean.astype(np.float32)
    return lambda x: (x - mean) @ directions.T @ directions + mean


def kept_latents(sae: Sae) -> list[int]:
    """The k of progressive decoding, around the one of training."""
    most = min(sae.n_latents, max(sae.d_in, sae.k))
    return sorted({min(max(1, round(share * sae.k)), most) for share in KEPT})


def encoder_alignment(sae: Sae) -> dict[str, Any]:
    """The cosine of each latent's encoder and decoder direction: mean and quantiles."""
    W_enc, W_dec = np.asarray(sae.W_enc).T, np.asarray(sae.W_dec)
    norms = np.linalg.norm(W_enc, axis=1) * np.linalg.norm(W_dec, axis=1)
    cosines = np.sum(W_enc * W_dec, axis=1) / np.maximum(norms, 1e-12)
    return {"mean": float(cosines.mean()), "quantiles": quantiles(cosines)}


def quantiles(values: Float[np.ndarray, " n"]) -> dict[str, float]:
    return {f"{q:g}": float(np.quantile(values, q)) for q in QUANTILES}
