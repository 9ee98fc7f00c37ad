"""What can say yes to a row: a weighted sum of a few latents, or of a few dense directions.

A scorer gives rows numbers; with a threshold it says yes to those from there on.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.codes import StoredCodes
from sae_jax.data.shards import ShardReader
from sae_jax.model.sparse import Codes

SCORE_BYTES = 256 * 2**20  # of all rows in some directions, in memory at a time


class Scored(NamedTuple):
    """One scorer's rows; it never says yes to others."""

    rows: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]


class Weighted(NamedTuple):
    """Some features of one kind and their weights: a scorer."""

    features: Int[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]


class Scores(NamedTuple):
    """Rows, and their scores in some directions: [n, d_in] to [n_rows, n]."""

    rows: Int[np.ndarray, " n_rows"]
    of: Callable[[np.ndarray], np.ndarray]


class Features:
    """Features of one kind, by number, on some rows."""

    def summed(self, wanted: Sequence[Weighted]) -> Iterator[Scored]:
        """What each of these scorers gives the rows."""
        raise NotImplementedError


class Latents(Features):
    """A sum of latents says yes only where one of them is on."""

    def summed(self, wanted: Sequence[Weighted]) -> Iterator[Scored]:
        for own in wanted:
            if not len(own.features):
                yield Scored(np.zeros(0, np.int64), np.zeros(0))
                continue
            parts = [self.scored(int(latent)) for latent in own.features]
            rows = np.concatenate([part.rows for part in parts])
            scores = [
                part.scores * weight for part, weight in zip(parts, own.weights, strict=True)
            ]
            met, place = np.unique(rows, return_inverse=True)
            yield Scored(met, np.bincount(place, np.concatenate(scores), minlength=len(met)))

    def scored(self, latent: int) -> Scored:
        """The rows on which it is on, and its values there."""
        raise NotImplementedError


class StoredLatents(Latents):
    """On all rows of a corpus."""

    def __init__(self, stored: StoredCodes) -> None:
        self.stored = stored

    def scored(self, latent: int) -> Scored:
        return Scored(
            np.asarray(self.stored.rows_of(latent)), np.asarray(self.stored.values_of(latent))
        )


class LatentsOf(Latents):
    """On rows in memory, by their codes; they stand for these rows of the corpus."""

    def __init__(
        self, codes: Codes, *, n_latents: int, row_ids: Int[np.ndarray, " rows"]
    ) -> None:
        # Copies: SciPy sorts in place, and arrays of JAX are not to be written.
        values, indices = np.array(codes.values), np.array(codes.indices)
        starts = np.arange(len(values) + 1) * values.shape[1]
        shape = len(values), n_latents
        by_row = sparse.csr_array((values.ravel(), indices.ravel(), starts), shape=shape)
        by_row.eliminate_zeros()
        self.by_latent, self.row_ids = by_row.tocsc(), row_ids

    def scored(self, latent: int) -> Scored:
        span = slice(*self.by_latent.indptr[[latent, latent + 1]].tolist())
        return Scored(self.row_ids[self.by_latent.indices[span]], self.by_latent.data[span])


class Directions(Features):
    """Dense directions give every row a score."""

    def __init__(self, scores: Scores, directions: Float[np.ndarray, "n d_in"]) -> None:
        self.scores, self.directions = scores, directions

    def summed(self, wanted: Sequence[Weighted]) -> Iterator[Scored]:
        sums = [own.weights @ self.directions[own.features] for own in wanted]
        return along(self.scores, np.array(sums, np.float32))


def along(scores: Scores, directions: Float[np.ndarray, "n d_in"]) -> Iterator[Scored]:
    """Each of these directions is a scorer; a bounded number of them at a time."""
    at_once = max(1, SCORE_BYTES // (4 * max(len(scores.rows), 1)))
    for start in range(0, len(directions), at_once):
        found = scores.of(directions[start : start + at_once])
        for own in np.ascontiguousarray(found.T):
            yield Scored(scores.rows, own)


def scores_in(reader: ShardReader) -> Scores:
    """Of all rows of a corpus, read in blocks."""

    def of(directions: Float[np.ndarray, "n d_in"]) -> Float[np.ndarray, "n_rows n"]:
        blocks = [rows.astype(np.float32) @ directions.T for _, rows in reader.blocks()]
        return np.concatenate(blocks)

    return Scores(np.arange(reader.n_rows), of)


def scores_of_rows(
    x: Float[np.ndarray, "rows d_in"], row_ids: Int[np.ndarray, " rows"]
) -> Scores:
    """Of rows in memory that stand for these of the corpus."""
    return Scores(row_ids, lambda directions: x @ directions.T)
