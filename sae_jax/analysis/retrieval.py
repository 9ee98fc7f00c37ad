"""Does what an autoencoder keeps still find the same neighbours as the embeddings?

Queries are held-out rows; their ten nearest of all other rows by cosine, in the embeddings
themselves, are the truth. Everything is read in blocks: memory does not grow with the rows.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.data.shards import ShardReader

N_NEAREST = 10
ROWS_PER_BLOCK = 8_192

# The vectors of these rows: an array, or a sparse array.
Vectors = Callable[[Int[np.ndarray, " rows"]], Any]


class Fidelity(NamedTuple):
    """Means over queries, with 95 % intervals by bootstrap."""

    recall: float  # share of the true ten that are among the ten found
    recall_low: float
    recall_high: float
    ndcg: float  # the true first counts ten, the tenth one, discounted by the place found
    ndcg_low: float
    ndcg_high: float


def fidelity(
    spaces: Mapping[str, Vectors], *, truth: str, queries: Int[np.ndarray, " queries"],
    n_rows: int, seed: int = 0,
) -> dict[str, Fidelity]:  # fmt: skip
    """How well each other space finds what the space `truth` finds."""
    found = {
        name: nearest(vectors, queries=queries, n_rows=n_rows)
        for name, vectors in spaces.items()
    }
    return {
        name: compare(ids, found[truth], seed=seed)
        for name, ids in found.items()
        if name != truth
    }


def nearest(
    vectors: Vectors, *, queries: Int[np.ndarray, " queries"], n_rows: int
) -> Int[np.ndarray, "queries nearest"]:
    """The rows of highest cosine to each query but itself; of equals the earlier row."""
    asked = _unit(vectors(queries))
    best = np.full((len(queries), N_NEAREST), -np.inf, np.float32)
    ids = np.full((len(queries), N_NEAREST), -1, np.int64)
    for start in range(0, n_rows, ROWS_PER_BLOCK):
        rows = np.arange(start, min(start + ROWS_PER_BLOCK, n_rows))
        product = asked @ _unit(vectors(rows)).T
        cosines = product.toarray() if sparse.issparse(product) else np.asarray(product)
        itself = (queries >= start) & (queries < start + len(rows))
        cosines[np.flatnonzero(itself), queries[itself] - start] = -np.inf
        most = min(N_NEAREST, len(rows))
        here = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        best = np.concatenate([best, np.take_along_axis(cosines, here, axis=1)], axis=1)
        ids = np.concatenate([ids, rows[here]], axis=1)
        order = np.lexsort((ids, -best), axis=1)[:, :N_NEAREST]
        best = np.take_along_axis(best, order, axis=1)
        ids = np.take_along_axis(ids, order, axis=1)
    return ids


def _unit(vectors: Any) -> Any:
    if sparse.issparse(vectors):
        norms = np.sqrt(vectors.multiply(vectors).sum(axis=1))
        return sparse.diags_array(1 / np.maximum(np.asarray(norms).ravel(), 1e-12)) @ vectors
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def compare(
    found: Int[np.ndarray, "queries nearest"],
    truth: Int[np.ndarray, "queries nearest"],
    *,
    seed: int = 0,
) -> Fidelity:
    place = (found[:, :, None] == truth[:, None]) & (found >= 0)[:, :, None]
    recall = place.any(axis=1).mean(axis=1)
    discount = 1 / np.log2(np.arange(N_NEAREST) + 2)
    gains = np.arange(N_NEAREST, 0, -1.0)
    ndcg = ((place * gains).sum(axis=2) @ discount) / (gains @ discount)
    return Fidelity(
        *mean_with_interval(recall, seed=seed), *mean_with_interval(ndcg, seed=seed)
    )


def embeddings(reader: ShardReader) -> Vectors:
    return lambda rows: reader.read(rows).astype(np.float32)


def reconstructions(stored: StoredCodes, *, W_dec: np.ndarray, b_dec: np.ndarray) -> Vectors:
    def x_hat(rows: Int[np.ndarray, " rows"]) -> np.ndarray:
        return np.asarray(sparse_codes(stored)(rows) @ W_dec + b_dec)

    return x_hat


def sparse_codes(stored: StoredCodes) -> Vectors:
    """The codes alone, as vectors of n_latents."""
    k, n_latents = stored.manifest.k, stored.manifest.n_latents

    def codes(rows: Int[np.ndarray, " rows"]) -> sparse.csr_array:
        values, indices = stored.values[rows].ravel(), stored.indices[rows].ravel()
        starts = np.arange(len(rows) + 1) * k
        return sparse.csr_array((values, indices, starts), shape=(len(rows), n_latents))

    return codes


def principal(reader: ShardReader, *, mean: np.ndarray, directions: np.ndarray) -> Vectors:
    """What is left of the embeddings in these directions, [n, d_in]."""

    def projected(rows: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows d_in"]:
        centred = reader.read(rows).astype(np.float32) - mean
        return centred @ directions.T @ directions + mean

    return projected
