"""How well features stand for true concepts: F1 on held-out rows.

Each concept has a scorer of its own, fitted on training rows, and a threshold: the one of the
highest F1 on these. What the scorer says of held-out rows is what counts.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.intervals import Interval, mean_with_interval
from sae_jax.analysis.scorers import Scored

LEVELS = np.round(np.arange(0.1, 0.95, 0.1), 1)  # of F1, of the coverage curve


class Judged(NamedTuple):
    """Of the scorers of all concepts."""

    f1: Float[np.ndarray, " n_concepts"]  # held out; NaN where no held-out row belongs to it
    threshold: Float[np.ndarray, " n_concepts"]  # infinite where no training row is found


def judge(
    scored: Iterator[Scored],
    *,
    concepts: Concepts,
    held_out: Bool[np.ndarray, " n_rows"],
    threshold: Float[np.ndarray, " n_concepts"] | None = None,
) -> Judged:
    """Of each concept's own scorer, in their order; with these thresholds, if given."""
    train_sizes, sizes = sizes_among(concepts, ~held_out), sizes_among(concepts, held_out)
    f1 = np.where(sizes > 0, 0.0, np.nan)
    cuts = np.full(len(sizes), np.inf) if threshold is None else threshold
    by_concept = concepts.members.tocsc()
    belongs = np.zeros(len(held_out), bool)
    for concept, one in enumerate(scored):
        span = slice(*by_concept.indptr[[concept, concept + 1]].tolist())
        own = by_concept.indices[span]
        belongs[own] = True
        here, train = belongs[one.rows], ~held_out[one.rows]
        belongs[own] = False
        if threshold is None:
            cuts[concept] = best_threshold(
                one.scores[train], right=here[train], size=int(train_sizes[concept])
            )
        yes = ~train & (one.scores >= cuts[concept])
        if sizes[concept]:
            f1[concept] = 2 * (yes & here).sum() / (yes.sum() + sizes[concept])
    return Judged(f1, cuts)


def best_threshold(
    scores: Float[np.ndarray, " n"], *, right: Bool[np.ndarray, " n"], size: int
) -> float:
    """Of the highest F1, where so many rows belong to the concept; infinite: none is right.

    F1 can be highest only at the score of a row that belongs to it; of equals the highest.
    """
    candidates = np.sort(scores[right])[::-1]
    if not len(candidates):
        return float("inf")
    n_said = len(scores) - np.searchsorted(np.sort(scores), candidates, side="left")
    n_right = np.searchsorted(-candidates, -candidates, side="right")
    return float(candidates[np.argmax(2 * n_right / (n_said + size))])


def sizes_among(
    concepts: Concepts, chosen: Bool[np.ndarray, " n_rows"]
) -> Int[np.ndarray, " n_concepts"]:
    """How many of the chosen rows belong to each concept."""
    return np.asarray(concepts.members[chosen].sum(axis=0)).ravel().astype(np.int64)


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
        covered={f"{x:g}": float(np.sum(known >= x)) / max(len(known), 1) for x in LEVELS},
    )
