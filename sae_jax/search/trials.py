"""What steering is tried on: held-out rows as queries, each with a concept to raise and one to
lower. Concepts and their latents are chosen on training rows alone.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sae_jax.analysis.agreement import best_cuts
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.coverage import sizes_among
from sae_jax.analysis.intervals import LEAST
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError
from sae_jax.search.index import Index

N_HITS = 10  # that a query is judged by
LEAST_ROWS, MOST_ROWS = 50, 5_000  # of a concept: enough to find, and no matter of course
LEAST_F1 = 0.5  # of a latent that stands for a concept
# Share of a query's hits in the concept to lower: there must be some to lose, and where nearly
# all share it the corpus may have little else near by.
LEAST_SHARED, MOST_SHARED = 0.2, 0.8
N_OPTIONS = 5  # concepts that a judge chooses among, as in arXiv 2408.00657
VECTORS_AT_ONCE = 128  # scored against the whole corpus


class Targets(NamedTuple):
    """Concepts that a latent stands for, and that latent."""

    concepts: Concepts
    belongs: Bool[np.ndarray, "n_rows n_concepts"]
    latents: Int[np.ndarray, " n_concepts"]
    f1: Float[np.ndarray, " n_concepts"]  # on training rows


class Cases(NamedTuple):
    """A query each; concepts by their number among the targets."""

    rows: Int[np.ndarray, " n"]
    queries: Float[np.ndarray, "n d_in"]  # of unit length
    norms: Float[np.ndarray, " n"]  # before that
    neutral: Int[np.ndarray, "n hits"]  # before steering, best first
    up: Int[np.ndarray, " n"]  # the query does not belong to it
    down: Int[np.ndarray, " n"]  # the query belongs to it
    options: Int[np.ndarray, "n options"]  # up, down, and others at random


def find_targets(
    stored: StoredCodes, concepts: Concepts, *, held_out: Bool[np.ndarray, " n_rows"]
) -> Targets:
    """The latent of highest F1 for each concept of moderate size, where it is high enough.

    Raises UsageError where there are too few to choose among.
    """
    latent_of, best = np.full(len(concepts.ids), -1), np.zeros(len(concepts.ids))
    sizes = sizes_among(concepts, ~held_out)
    for latent in range(stored.manifest.n_latents):
        rows = np.asarray(stored.rows_of(latent))
        found, f1 = best_cuts(rows[~held_out[rows]], concepts=concepts, sizes=sizes)
        better = f1 > best[found]
        latent_of[found[better]], best[found[better]] = latent, f1[better]
    moderate = (concepts.sizes >= LEAST_ROWS) & (concepts.sizes <= MOST_ROWS)
    kept = np.flatnonzero(moderate & (best >= LEAST_F1))
    if len(kept) < N_OPTIONS:
        raise UsageError(
            f"{len(kept)} of {int(moderate.sum())} concepts of {LEAST_ROWS} to {MOST_ROWS:,} "
            f"rows have a latent that tells them with an F1 of {LEAST_F1} or more on training "
            f"rows; expected {N_OPTIONS} at least. Train longer, or with more latents; "
            "`sae-jax evaluate` shows what the features find."
        )
    named = kept.tolist()
    members, above = concepts.members[:, kept], concepts.above[kept][:, kept]
    own = Concepts(
        [concepts.ids[i] for i in named], [concepts.names[i] for i in named],
        members.tocsr(), above.tocsr(),
    )  # fmt: skip
    return Targets(own, members.toarray().astype(bool), latent_of[kept], best[kept])


def draw(
    targets: Targets, *, index: Index, reader: ShardReader, n_queries: int, seed: int
) -> Cases:
    """As many queries as are asked for, or as the held-out rows give.

    Raises UsageError where they give none.
    """
    rng = np.random.default_rng(seed)
    waiting = rng.permutation(reader.held_out_ids)
    rows: list[int] = []
    hits, chosen = [], []
    for start in range(0, len(waiting), VECTORS_AT_ONCE):
        block = waiting[start : start + VECTORS_AT_ONCE]
        near = nearest(index, index.vectors(block), without=block)
        for row, own in zip(block.tolist(), near, strict=True):
            options = _options(row, own, targets=targets, rng=rng)
            if options is not None and len(rows) < n_queries:
                rows.append(row)
                hits.append(own)
                chosen.append(options)
        if len(rows) == n_queries:
            break
    if len(rows) < min(LEAST, n_queries):
        raise UsageError(
            f"{reader.folder}: {len(rows)} of its {len(waiting)} held-out rows belong to a "
            f"concept that {LEAST_SHARED:.0%} to {MOST_SHARED:.0%} of its {N_HITS} nearest "
            f"rows share, and that a latent stands for; expected {LEAST} at least. Hold out "
            "more rows, or train with more latents."
        )
    all_rows, options = np.array(rows), np.array(chosen)
    return Cases(
        rows=all_rows,
        queries=index.vectors(all_rows),
        norms=np.linalg.norm(reader.read(all_rows).astype(np.float64), axis=1),
        neutral=np.array(hits),
        up=options[:, 0],
        down=options[:, 1],
        options=options,
    )


def _options(
    row: int, hits: Int[np.ndarray, " hits"], *, targets: Targets, rng: np.random.Generator
) -> Int[np.ndarray, " options"] | None:
    belongs = targets.belongs
    shared = belongs[hits].mean(axis=0)
    can_lower = belongs[row] & (shared >= LEAST_SHARED) & (shared <= MOST_SHARED)
    if not can_lower.any():
        return None
    down = int(rng.choice(np.flatnonzero(can_lower)))
    # What lies below the concept to lower cannot be raised without it.
    below = np.asarray(targets.concepts.above[:, [down]].toarray())[:, 0] > 0
    can_raise = np.flatnonzero(~belongs[row] & ~below)
    if not len(can_raise):
        return None
    up = int(rng.choice(can_raise))
    others = np.setdiff1d(np.arange(belongs.shape[1]), [up, down])
    rest = rng.choice(others, N_OPTIONS - 2, replace=False)
    return np.concatenate([[up, down], rest])


def nearest(
    index: Index, vectors: Float[np.ndarray, "n d_in"], *, without: Int[np.ndarray, " n"]
) -> Int[np.ndarray, "n hits"]:
    """Of each vector the rows of highest score, best first, less the row that it came from."""
    found = np.empty((len(vectors), N_HITS), np.int64)
    for start in range(0, len(vectors), VECTORS_AT_ONCE):
        span = slice(start, start + VECTORS_AT_ONCE)
        scores = index.scores(vectors[span])
        scores[np.arange(len(scores)), without[span]] = -np.inf
        highest = np.sort(np.argpartition(scores, -N_HITS, axis=1)[:, -N_HITS:], axis=1)
        order = np.argsort(-np.take_along_axis(scores, highest, axis=1), axis=1, kind="stable")
        found[span] = np.take_along_axis(highest, order, axis=1)
    return found
