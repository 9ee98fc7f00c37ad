"""Does what an autoencoder keeps still find the same neighbours as the embeddings?

Queries are held-out rows; their ten nearest of all other rows by cosine, in the embeddings
themselves, are the truth. Everything is read in blocks: memory does not grow with the rows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.intervals import Interval, mean_with_interval
from sae_jax.data.shards import ShardReader

N_NEAREST = 10
ROWS_PER_BLOCK = 8_192

# The vectors of these rows: an array, or a sparse array.
Vectors = Callable[[Int[np.ndarray, " rows"]], Any]


class Fidelity(NamedTuple):
    """Means over queries, with 95 % intervals by bootstrap."""

    recall: Interval  # share of the true ten that are among the ten found
    ndcg: Interval  # the true first counts ten, the tenth one, discounted by the place found


def fidelity(
    spaces: Mapping[str, Vectors], *, truth: str, queries: Int[np.ndarray, " queries"],
    n_rows: int, seed: int = 0,
) -> dict[str, Fidelity]:  # fmt: skip
    """How well each other space finds what the space `truth` finds."""
    found = {
        name: nearest(vectors, asked=vectors(queries), itself=queries, n_rows=n_rows)
        for name, vectors in spaces.items()
    }
    return {
        name: compare(ids, found[truth], seed=seed)
        for name, ids in found.items()
        if name != truth
    }


def nearest(
    vectors: Vectors, *, asked: Any, itself: Int[np.ndarray, " queries"], n_rows: int
) -> Int[np.ndarray, "queries nearest"]:
    """The rows of highest cosine to each asked vector but its own; of equals the earlier."""
    asked = _unit(asked)
    best = np.full((len(itself), N_NEAREST), -np.inf, np.float32)
    ids = np.full((len(itself), N_NEAREST), -1, np.int64)
    for start in range(0, n_rows, ROWS_PER_BLOCK):
        rows = np.arange(start, min(start + ROWS_PER_BLOCK, n_rows))
        product = asked @ _unit(vectors(rows)).T
        cosines = product.toarray() if sparse.issparse(product) else np.asarray(product)
        here = (itself >= start) & (itself < start + len(rows))
        cosines[np.flatnonzero(here), itself[here] - start] = -np.inf
        most = min(N_NEAREST, len(rows))
        top = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        best = np.concatenate([best, np.take_along_axis(cosines, top, axis=1)], axis=1)
        ids = np.concatenate([ids, rows[top]], axis=1)
        order = np.lexsort((ids, -best), axis=1)[:, :N_NEAREST]
        best = np.take_along_axis(best, order, axis=1)
        ids = np.take_along_axis(ids, order, axis=1)
    return ids


def nearest_of_all(
    vectors: Vectors, *, asked: Sequence[Any], itself: Int[np.ndarray, " queries"], n_rows: int
) -> list[Int[np.ndarray, "queries nearest"]]:
    """The same for several vectors of each query, in one pass over the rows."""
    stack = sparse.vstack if sparse.issparse(asked[0]) else np.concatenate
    ids = nearest(
        vectors, asked=stack(asked), itself=np.tile(itself, len(asked)), n_rows=n_rows
    )
    return np.split(ids, len(asked))


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
    return Fidelity(mean_with_interval(recall, seed=seed), mean_with_interval(ndcg, seed=seed))


def embeddings(reader: ShardReader) -> Vectors:
    return lambda rows: reader.read(rows).astype(np.float32)


def reconstructions(stored: StoredCodes, *, W_dec: np.ndarray, b_dec: np.ndarray) -> Vectors:
    def x_hat(rows: Int[np.ndarray, " rows"]) -> np.ndarray:
        return np.asarray(sparse_codes(stored)(rows) @ W_dec + b_dec)

    return x_hat


def sparse_codes(stored: StoredCodes) -> Vectors:
    """The codes alone, as vectors of n_latents."""
    n_latents = stored.manifest.n_latents
    return lambda rows: as_vectors(
        stored.values[rows], stored.indices[rows], n_latents=n_latents
    )


def as_vectors(
    values: Float[np.ndarray, "rows k"], indices: Int[np.ndarray, "rows k"], *, n_latents: int
) -> sparse.csr_array:
    starts = np.arange(len(values) + 1) * values.shape[1]
    shape = len(values), n_latents
    return sparse.csr_array((values.ravel(), indices.ravel(), starts), shape=shape)


def principal(reader: ShardReader, *, mean: np.ndarray, directions: np.ndarray) -> Vectors:
    """What is left of the embeddings in these directions, [n, d_in]."""

    def projected(rows: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "rows d_in"]:
        centred = reader.read(rows).astype(np.float32) - mean
        return centred @ directions.T @ directions + mean

    return projected
