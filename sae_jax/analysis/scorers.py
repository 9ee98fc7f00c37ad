"""What can say yes to a row: a latent, a direction, or a weighted sum of a few of either.

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

SCORE_BYTES = 64 * 2**20  # of all rows in some directions, in memory at a time
ENDS = (1, -1)  # of a dense direction: it can say yes to its highest or to its lowest rows


class Scored(NamedTuple):
    """One scorer's rows; it never says yes to others."""

    rows: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]

    def ranked(self) -> "Scored":
        """From the highest score down; of equals the earlier row first."""
        order = np.argsort(-self.scores, kind="stable")
        return Scored(self.rows[order], self.scores[order])


class Scores(NamedTuple):
    """Rows, and their scores in some directions: [n, d_in] to [n_rows, n]."""

    rows: Int[np.ndarray, " n_rows"]
    of: Callable[[np.ndarray], np.ndarray]


class Scorers:
    """Some scorers of one kind, by number."""

    n: int

    def scored(self, chosen: Sequence[int] | np.ndarray) -> Iterator[Scored]:
        """Of these, in any order of rows."""
        raise NotImplementedError

    def ranked(self) -> Iterator[Scored]:
        """Of all, each from the highest score down."""
        return (one.ranked() for one in self.scored(range(self.n)))

    def summed(
        self, chosen: Sequence[np.ndarray], weights: Sequence[np.ndarray]
    ) -> Iterator[Scored]:
        """For each set of members of the kind their sum by these weights."""
        raise NotImplementedError


class Latents(Scorers):
    """A latent says yes only where it is on."""

    def __init__(self, stored: StoredCodes) -> None:
        self.stored = stored
        self.n = stored.manifest.n_latents

    def scored(self, chosen: Sequence[int] | np.ndarray) -> Iterator[Scored]:
        for latent in chosen:
            yield Scored(
                np.asarray(self.stored.rows_of(int(latent))),
                np.asarray(self.stored.values_of(int(latent))),
            )

    def ranked(self) -> Iterator[Scored]:
        return self.scored(range(self.n))  # they are stored so

    def summed(
        self, chosen: Sequence[np.ndarray], weights: Sequence[np.ndarray]
    ) -> Iterator[Scored]:
        for latents, own in zip(chosen, weights, strict=True):
            parts = list(self.scored(latents))
            rows = np.concatenate([part.rows for part in parts])
            scores = np.concatenate(
                [part.scores * weight for part, weight in zip(parts, own, strict=True)]
            )
            met, place = np.unique(rows, return_inverse=True)
            yield Scored(met, np.bincount(place, scores, minlength=len(met)))


class CodesOf(Scorers):
    """Latents by the codes of rows in memory that stand for these of the corpus."""

    def __init__(
        self, codes: Codes, *, n_latents: int, row_ids: Int[np.ndarray, " rows"]
    ) -> None:
        # Copies: SciPy sorts in place, and arrays of JAX are not to be written.
        values, indices = np.array(codes.values), np.array(codes.indices)
        starts = np.arange(len(values) + 1) * values.shape[1]
        shape = len(values), n_latents
        by_row = sparse.csr_array((values.ravel(), indices.ravel(), starts), shape=shape)
        by_row.eliminate_zeros()
        self.by_latent, self.row_ids, self.n = by_row.tocsc(), row_ids, n_latents

    def scored(self, chosen: Sequence[int] | np.ndarray) -> Iterator[Scored]:
        starts = self.by_latent.indptr
        for latent in chosen:
            span = slice(int(starts[latent]), int(starts[latent + 1]))
            yield Scored(self.row_ids[self.by_latent.indices[span]], self.by_latent.data[span])


class Directions(Scorers):
    """A dense direction has two ends: number 2 i is the upper one of i, 2 i + 1 the lower."""

    def __init__(self, scores: Scores, directions: Float[np.ndarray, "n d_in"]) -> None:
        self.scores, self.directions = scores, directions
        self.n = len(ENDS) * len(directions)

    def scored(self, chosen: Sequence[int] | np.ndarray) -> Iterator[Scored]:
        ends = np.array([ENDS[int(one) % len(ENDS)] for one in chosen])
        wanted = self.directions[np.asarray(chosen, int) // len(ENDS)] * ends[:, None]
        return along(self.scores, wanted.astype(np.float32))

    def summed(
        self, chosen: Sequence[np.ndarray], weights: Sequence[np.ndarray]
    ) -> Iterator[Scored]:
        """Members are directions here, not their ends: a weight may be negative."""
        sums = [
            own @ self.directions[members] for members, own in zip(chosen, weights, strict=True)
        ]
        return along(self.scores, np.array(sums, np.float32))


def along(scores: Scores, directions: Float[np.ndarray, "n d_in"]) -> Iterator[Scored]:
    """The upper ends of these, a bounded number at a time."""
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
