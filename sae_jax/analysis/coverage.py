"""How well single features stand for true concepts: F1 on held-out rows, beside baselines.

A feature is a direction and a threshold: it says yes to the rows above it. For each concept
the best feature and its threshold are chosen on training rows, and scored on held-out ones.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.data.shards import ShardReader

LEVELS = np.round(np.arange(0.1, 0.95, 0.1), 1)  # of F1, of the coverage curve
DIRECTIONS_AT_ONCE = 32  # of which the scores of all rows are in memory

# The scores of all rows in some directions: [n, d_in] to [n_rows, n].
Scores = Callable[[np.ndarray], np.ndarray]


class Ranked(NamedTuple):
    """A direction's rows from the highest score down; it never says yes to the others."""

    rows: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]


class Fitted(NamedTuple):
    """The best direction of each concept, chosen on training rows."""

    f1: Float[np.ndarray, " n_concepts"]  # on training rows
    direction: Int[np.ndarray, " n_concepts"]  # −1: none is ever right
    threshold: Float[np.ndarray, " n_concepts"]  # yes from here on


def by_latent(stored: StoredCodes) -> Iterator[Ranked]:
    for latent in range(stored.manifest.n_latents):
        yield Ranked(np.asarray(stored.rows_of(latent)), np.asarray(stored.values_of(latent)))


def by_direction(
    scores_of: Scores, directions: Float[np.ndarray, "n d_in"], *, ends: Sequence[int] = (1, -1)
) -> Iterator[Ranked]:
    """Of each direction its upper end, then its lower one, or one of them."""
    for start in range(0, len(directions), DIRECTIONS_AT_ONCE):
        for scores in scores_of(directions[start : start + DIRECTIONS_AT_ONCE]).T:
            for end in ends:
                rows = np.argsort(-end * scores, kind="stable")
                yield Ranked(rows, end * scores[rows])


def scores_in(reader: ShardReader) -> Scores:
    """Of all rows of a corpus, read in blocks."""

    def scores(directions: Float[np.ndarray, "n d_in"]) -> Float[np.ndarray, "n_rows n"]:
        blocks = [rows.astype(np.float32) @ directions.T for _, rows in reader.blocks()]
        return np.concatenate(blocks)

    return scores


def fit(
    ranked: Iterator[Ranked], *, concepts: Concepts, held_out: Bool[np.ndarray, " n_rows"]
) -> Fitted:
    """For each concept the direction and threshold of the highest F1 on training rows."""
    n = len(concepts.ids)
    best = Fitted(np.zeros(n), np.full(n, -1), np.full(n, np.inf))
    sizes = _sizes(concepts, ~held_out)
    for place, one in enumerate(ranked):
        train = ~held_out[one.rows]
        found, f1, ends = best_cuts(one.rows[train], concepts=concepts, sizes=sizes)
        better = f1 > best.f1[found]
        found, ends = found[better], ends[better]
        best.f1[found] = f1[better]
        best.direction[found] = place
        best.threshold[found] = one.scores[train][ends]
    return best


def _sizes(
    concepts: Concepts, chosen: Bool[np.ndarray, " n_rows"]
) -> Int[np.ndarray, " n_concepts"]:
    return np.asarray(concepts.members[chosen].sum(axis=0)).ravel().astype(np.int64)


def best_cuts(
    rows: Int[np.ndarray, " n"], *, concepts: Concepts, sizes: Int[np.ndarray, " n_concepts"]
) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"], Int[np.ndarray, " found"]]:
    """For each concept met in these rows, taken in order: the best F1 and where to stop.

    F1 can be highest only at a row that belongs to the concept: the r-th of them at place p
    gives 2 r / (p + 1 + size).
    """
    members = concepts.members
    counts = np.diff(members.indptr)[rows]
    if not counts.sum():
        none = np.zeros(0, np.int64)
        return none, np.zeros(0), none
    places = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    of = members.indices[np.repeat(members.indptr[rows], counts) + within].astype(np.int64)
    keys = np.sort(of * len(rows) + places)  # by concept, then by place
    of, places = keys // len(rows), keys % len(rows)
    found, starts, n_of = np.unique(of, return_index=True, return_counts=True)
    rank = np.arange(len(of)) - np.repeat(starts, n_of) + 1
    f1 = 2 * rank / (places + 1 + sizes[of])
    best = np.maximum.reduceat(f1, starts)
    first = np.flatnonzero(f1 == np.repeat(best, n_of))
    _, earliest = np.unique(of[first], return_index=True)
    return found, best, places[first[earliest]]


def score(
    ranked: Iterator[Ranked],
    fitted: Fitted,
    *,
    concepts: Concepts,
    held_out: Bool[np.ndarray, " n_rows"],
) -> Float[np.ndarray, " n_concepts"]:
    """Held-out F1 of each concept's chosen feature; NaN where no held-out row belongs to it."""
    sizes = _sizes(concepts, held_out)
    f1 = np.where(sizes > 0, 0.0, np.nan)
    by_concept = concepts.members.tocsc()
    wanted: dict[int, list[int]] = {}
    for concept, direction in enumerate(fitted.direction.tolist()):
        if direction >= 0 and sizes[concept]:
            wanted.setdefault(direction, []).append(concept)
    said = np.zeros(len(held_out), bool)
    for place, one in enumerate(ranked):
        here = held_out[one.rows]
        for concept in wanted.get(place, ()):
            yes = one.rows[here & (one.scores >= fitted.threshold[concept])]
            said[yes] = True
            right = int(said[_members_of(by_concept, concept)].sum())
            f1[concept] = 2 * right / (len(yes) + sizes[concept])
            said[yes] = False
    return f1


def _members_of(by_concept: sparse.csc_array, concept: int) -> Int[np.ndarray, " members"]:
    """The rows that belong to it."""
    return by_concept.indices[by_concept.indptr[concept] : by_concept.indptr[concept + 1]]


class Moments(NamedTuple):
    """Of the training rows."""

    mean: Float[np.ndarray, " d_in"]
    covariance: Float[np.ndarray, "d_in d_in"]  # times their number
    by_concept: Float[np.ndarray, "n_concepts d_in"]  # sums over members, of what differs


def moments(
    reader: ShardReader, *, concepts: Concepts, held_out: Bool[np.ndarray, " n_rows"]
) -> Moments:
    total, n = np.zeros(reader.d_in), int((~held_out).sum())
    for first, rows in reader.blocks():
        total += rows[~held_out[first : first + len(rows)]].sum(axis=0, dtype=np.float64)
    mean = total / n
    covariance = np.zeros((reader.d_in, reader.d_in))
    by_concept = np.zeros((len(concepts.ids), reader.d_in))
    for first, rows in reader.blocks():
        train = ~held_out[first : first + len(rows)]
        centred = rows[train].astype(np.float64) - mean
        covariance += centred.T @ centred
        by_concept += concepts.members[first : first + len(rows)][train].T @ centred
    return Moments(mean, covariance, by_concept)


def supervised_directions(
    found: Moments, *, ridge: float = 1e-3
) -> Float[np.ndarray, "n_concepts d_in"]:
    """A least-squares direction for each concept, from training rows: the skyline.

    The ridge is a share of the mean variance of a coordinate.
    """
    n = len(found.covariance)
    covariance = found.covariance + ridge * np.trace(found.covariance) / n * np.eye(n)
    return np.linalg.solve(covariance, found.by_concept.T).T.astype(np.float32)


def principal_directions(found: Moments) -> Float[np.ndarray, "d_in d_in"]:
    """The directions of most variance first, as rows."""
    _, directions = np.linalg.eigh(found.covariance)
    return np.ascontiguousarray(directions.T[::-1], np.float32)


def random_directions(*, n: int, d_in: int, seed: int = 0) -> Float[np.ndarray, "n d_in"]:
    directions = np.random.default_rng(seed).normal(size=(n, d_in)).astype(np.float32)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


class Coverage(NamedTuple):
    """What a set of features reaches over all concepts that can be scored."""

    mean_f1: float
    low: float  # 95 % interval of the mean, over concepts (bootstrap)
    high: float
    n_concepts: int
    covered: dict[float, float]  # share of concepts with a held-out F1 of at least so much


def summarise(f1: Float[np.ndarray, " n_concepts"], *, seed: int = 0) -> Coverage:
    known = f1[np.isfinite(f1)]
    return Coverage(
        *mean_with_interval(known, seed=seed),
        n_concepts=len(known),
        covered={float(level): float(np.mean(known >= level)) for level in LEVELS},
    )


def fit_own(
    ranked: Iterator[Ranked], *, concepts: Concepts, held_out: Bool[np.ndarray, " n_rows"]
) -> Fitted:
    """The threshold of each concept's own direction, in their order."""
    n = len(concepts.ids)
    best = Fitted(np.zeros(n), np.arange(n), np.full(n, np.inf))
    by_concept = concepts.members.tocsc()
    belongs = np.zeros(len(held_out), bool)
    for concept, one in enumerate(ranked):
        own = _members_of(by_concept, concept)
        belongs[own] = True
        train = ~held_out[one.rows]
        places = np.flatnonzero(belongs[one.rows[train]])
        belongs[own] = False
        if len(places):
            f1 = 2 * np.arange(1, len(places) + 1) / (places + 1 + len(places))
            at = int(np.argmax(f1))
            best.f1[concept] = f1[at]
            best.threshold[concept] = one.scores[train][places[at]]
    return best
