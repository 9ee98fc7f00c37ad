"""How well features stand for true concepts: F1 on held-out rows.

A feature is a scorer and a threshold. For each concept the best one and its threshold are
chosen on training rows, and scored on held-out ones.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.intervals import Interval, mean_with_interval
from sae_jax.analysis.scorers import Scored, Scorers

LEVELS = np.round(np.arange(0.1, 0.95, 0.1), 1)  # of F1, of the coverage curve


class Fitted(NamedTuple):
    """The best scorer of each concept, chosen on training rows."""

    f1: Float[np.ndarray, " n_concepts"]  # on training rows
    scorer: Int[np.ndarray, " n_concepts"]  # −1: none is ever right
    threshold: Float[np.ndarray, " n_concepts"]  # yes from here on


def fit(
    scorers: Scorers, *, concepts: Concepts, held_out: Bool[np.ndarray, " n_rows"]
) -> Fitted:
    """For each concept the scorer and threshold of the highest F1 on training rows."""
    n = len(concepts.ids)
    best = Fitted(np.zeros(n), np.full(n, -1), np.full(n, np.inf))
    sizes = sizes_among(concepts, ~held_out)
    for place, one in enumerate(scorers.ranked()):
        train = ~held_out[one.rows]
        found, f1, ends = best_cuts(one.rows[train], concepts=concepts, sizes=sizes)
        better = f1 > best.f1[found]
        found, ends = found[better], ends[better]
        best.f1[found] = f1[better]
        best.scorer[found] = place
        best.threshold[found] = one.scores[train][ends]
    return best


def sizes_among(
    concepts: Concepts, chosen: Bool[np.ndarray, " n_rows"]
) -> Int[np.ndarray, " n_concepts"]:
    """How many of the chosen rows belong to each concept."""
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
    starts = _starts(of)
    n_of = np.diff(starts, append=len(of))
    rank = np.arange(len(of)) - np.repeat(starts, n_of) + 1
    f1 = 2 * rank / (places + 1 + sizes[of])
    best = np.maximum.reduceat(f1, starts)
    first = np.flatnonzero(f1 == np.repeat(best, n_of))
    return of[starts], best, places[first[_starts(of[first])]]


def _starts(ordered: Int[np.ndarray, " n"]) -> Int[np.ndarray, " groups"]:
    """Where each group of equal numbers begins."""
    return np.flatnonzero(np.diff(ordered, prepend=-1))


def score(
    scorers: Scorers,
    fitted: Fitted,
    *,
    concepts: Concepts,
    held_out: Bool[np.ndarray, " n_rows"],
) -> Float[np.ndarray, " n_concepts"]:
    """Held-out F1 of each concept's chosen scorer; NaN where no held-out row belongs to it."""
    sizes = sizes_among(concepts, held_out)
    f1 = np.where(sizes > 0, 0.0, np.nan)
    by_concept = concepts.members.tocsc()
    wanted: dict[int, list[int]] = {}
    for concept, scorer in enumerate(fitted.scorer.tolist()):
        if scorer >= 0 and sizes[concept]:
            wanted.setdefault(scorer, []).append(concept)
    said = np.zeros(len(held_out), bool)
    for own, one in zip(wanted.values(), scorers.scored(list(wanted)), strict=True):
        here = held_out[one.rows]
        for concept in own:
            yes = one.rows[here & (one.scores >= fitted.threshold[concept])]
            said[yes] = True
            right = int(said[_members_of(by_concept, concept)].sum())
            f1[concept] = 2 * right / (len(yes) + sizes[concept])
            said[yes] = False
    return f1


def score_own(
    scored: Iterator[Scored], *, concepts: Concepts, held_out: Bool[np.ndarray, " n_rows"]
) -> Float[np.ndarray, " n_concepts"]:
    """Held-out F1 of a scorer that each concept has for itself, in their order.

    The threshold is the one of the highest F1 on training rows.
    """
    train_sizes, sizes = sizes_among(concepts, ~held_out), sizes_among(concepts, held_out)
    f1 = np.where(sizes > 0, 0.0, np.nan)
    by_concept = concepts.members.tocsc()
    belongs = np.zeros(len(held_out), bool)
    for concept, one in enumerate(scored):
        own = _members_of(by_concept, concept)
        belongs[own] = True
        here, train = belongs[one.rows], ~held_out[one.rows]
        belongs[own] = False
        right = np.sort(one.scores[train & here])[::-1]
        if not len(right) or not sizes[concept]:
            continue
        said = np.sort(one.scores[train])
        n_said = len(said) - np.searchsorted(said, right, side="left")
        n_right = np.searchsorted(-right, -right, side="right")
        threshold = right[np.argmax(2 * n_right / (n_said + train_sizes[concept]))]
        yes = ~train & (one.scores >= threshold)
        f1[concept] = 2 * (yes & here).sum() / (yes.sum() + sizes[concept])
    return f1


def _members_of(by_concept: sparse.csc_array, concept: int) -> Int[np.ndarray, " members"]:
    """The rows that belong to it."""
    return by_concept.indices[by_concept.indptr[concept] : by_concept.indptr[concept + 1]]


class Coverage(NamedTuple):
    """What a kind of features reaches over all concepts that can be scored."""

    f1: Interval  # its mean over concepts
    n_concepts: int
    covered: dict[str, float]  # share of concepts with a held-out F1 of at least so much


def summarise(f1: Float[np.ndarray, " n_concepts"], *, seed: int = 0) -> Coverage:
    known = f1[np.isfinite(f1)]
    return Coverage(
        mean_with_interval(known, seed=seed),
        n_concepts=len(known),
        covered={f"{level:g}": float(np.mean(known >= level)) for level in LEVELS},
    )
