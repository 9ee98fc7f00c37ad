"""The best feature for a concept, and the best few together.

Orthogonal matching pursuit on training rows: one feature at a time, the one that correlates
most with what is left to explain; all weights are fitted anew by least squares. The same for
latents and for dense directions, so that they can be compared at equal numbers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.coverage import sizes_among
from sae_jax.analysis.directions import Moments
from sae_jax.analysis.scorers import Directions, StoredLatents, Weighted

N_CANDIDATES = 64  # of a concept, by correlation; the pursuit chooses among them
CONCEPTS_AT_ONCE = 256
RIDGE = 1e-4  # of a feature's variance


class Products(NamedTuple):
    """Of candidates over training rows, each about its mean."""

    candidates: np.ndarray
    gram: Float[np.ndarray, "n n"]
    with_concept: Float[np.ndarray, " n"]


def among_latents(
    latents: StoredLatents,
    *,
    concepts: Concepts,
    held_out: Bool[np.ndarray, " n_rows"],
    sizes: Sequence[int],
) -> list[list[Weighted]]:
    """For each number of features the choice of each concept."""
    products = _of_latents(latents, concepts=concepts, held_out=held_out)
    return _by_size([pursue(one, sizes=sizes) for one in products])


def among_directions(
    directions: Directions, *, moments: Moments, sizes: Sequence[int]
) -> list[list[Weighted]]:
    """The same for dense directions; moments are those of the same concepts."""
    return _by_size([pursue(one, sizes=sizes) for one in _of_directions(directions, moments)])


def _by_size(found: Sequence[list[Weighted]]) -> list[list[Weighted]]:
    return [list(own) for own in zip(*found, strict=True)]


def _of_directions(directions: Directions, moments: Moments) -> Iterator[Products]:
    own = directions.directions.astype(np.float64)
    gram = own @ moments.covariance @ own.T
    for with_concept in moments.by_concept @ own.T:
        chosen = _candidates(with_concept, np.diag(gram))
        yield Products(chosen, gram[np.ix_(chosen, chosen)], with_concept[chosen])


def _of_latents(
    latents: StoredLatents, *, concepts: Concepts, held_out: Bool[np.ndarray, " n_rows"]
) -> Iterator[Products]:
    stored, n_train = latents.stored, int((~held_out).sum())
    train = np.asarray(stored.latent_values) * ~held_out[stored.latent_rows]
    values, totals = stored.matrix(train), stored.totals(train)
    variances = stored.totals(train**2) - totals**2 / n_train
    sizes, by_row = sizes_among(concepts, ~held_out), values.tocsr()
    for start in range(0, len(sizes), CONCEPTS_AT_ONCE):
        own = sizes[start : start + CONCEPTS_AT_ONCE]
        members = concepts.members[:, start : start + CONCEPTS_AT_ONCE]
        sums = (members.T.tocsr() @ by_row).toarray()
        for with_concept in sums - np.outer(own, totals) / n_train:
            chosen = _candidates(with_concept, variances)
            here = values[:, chosen]
            gram = (here.T @ here).toarray()
            gram -= np.outer(totals[chosen], totals[chosen]) / n_train
            yield Products(chosen, gram, with_concept[chosen])


def _candidates(
    with_concept: Float[np.ndarray, " n"], variances: Float[np.ndarray, " n"]
) -> np.ndarray:
    """The features that correlate most with it, best first; those that vary."""
    alive = np.flatnonzero(variances > 1e-12)
    likeness = np.abs(with_concept[alive]) / np.sqrt(variances[alive])
    return alive[np.argsort(-likeness, kind="stable")[:N_CANDIDATES]]


def pursue(products: Products, *, sizes: Sequence[int]) -> list[Weighted]:
    """The choice of each number of features, ascending; each holds the one before."""
    gram, wanted = products.gram, products.with_concept
    gram = gram + RIDGE * np.diag(np.diag(gram))
    norms = np.sqrt(np.diag(gram))
    places: list[int] = []
    weights, made = np.zeros(0), []
    for n in range(1, max(sizes) + 1):
        left = np.abs(wanted - gram[:, places] @ weights) / norms
        left[places] = -np.inf
        if len(places) < len(left):
            places.append(int(np.argmax(left)))
            weights = np.linalg.solve(gram[np.ix_(places, places)], wanted[places])
        if n in sizes:
            made.append(Weighted(products.candidates[places], weights))
    return made
