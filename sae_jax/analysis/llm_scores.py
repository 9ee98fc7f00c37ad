"""How well confidences tell rows on which a latent is on from others, with intervals."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sae_jax.analysis.intervals import Interval, Measure, interval
from sae_jax.analysis.labels import f1_of
from sae_jax.analysis.prompts import YES_ABOVE


class Scores(NamedTuple):
    n: int  # rows
    n_on: int
    f1: Interval  # of: the confidence is above YES_ABOVE
    pearson: Interval | None  # with 1 and 0; None where all confidences are the same
    auroc: Interval


def score(
    confidences: Float[np.ndarray, " n"],
    on: Bool[np.ndarray, " n"],
    *,
    rng: np.random.Generator,
) -> Scores:
    """Both kinds of rows have to be there."""
    n, yes, truth = len(on), confidences > YES_ABOVE, on.astype(float)

    def measured(of: Measure) -> Interval:
        return interval(of, n=n, rng=rng)

    f1 = measured(lambda rows: f1_of(yes[rows], on[rows]))
    pearson = None
    if np.ptp(confidences) > 0:
        pearson = measured(lambda rows: pearson_of(confidences[rows], truth[rows]))
    return Scores(n, int(on.sum()), f1, pearson, measured(_auroc_of(confidences, on)))


def pearson_of(
    a: Float[np.ndarray, "draws n"], b: Float[np.ndarray, "draws n"]
) -> Float[np.ndarray, " draws"]:
    """NaN where one of the two is constant."""
    a, b = (one - one.mean(axis=1, keepdims=True) for one in (a, b))
    both = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), both, out=np.full(len(a), np.nan), where=both > 1e-9)


def _auroc_of(confidences: Float[np.ndarray, " n"], on: Bool[np.ndarray, " n"]) -> Measure:
    """`labels.auroc` of drawn rows: each pair counts as often as its two rows were drawn."""
    difference = confidences[on][:, None] - confidences[~on][None]
    wins = (difference > 0) + 0.5 * (difference == 0)

    def of(rows: Int[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
        times = np.stack([np.bincount(one, minlength=len(on)) for one in rows])
        won = np.einsum("dp,pq,dq->d", times[:, on], wins, times[:, ~on], optimize=True)
        pairs = times[:, on].sum(axis=1) * times[:, ~on].sum(axis=1)
        return np.divide(won, pairs, out=np.full(len(rows), np.nan), where=pairs > 0)

    return of
