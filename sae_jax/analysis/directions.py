"""Dense directions to compare latents with: of the data, at random, or fitted to a concept."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sae_jax.analysis.concepts import Concepts
from sae_jax.data.shards import ShardReader


class Moments(NamedTuple):
    """Of the training rows."""

    mean: Float[np.ndarray, " d_in"]
    covariance: Float[np.ndarray, "d_in d_in"]  # times their number
    by_concept: Float[np.ndarray, "n_concepts d_in"]  # sums over members, of what differs
    principal: Float[np.ndarray, "d_in d_in"]  # directions of most variance first, as rows


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
    principal = np.linalg.eigh(covariance)[1].T[::-1]
    return Moments(mean, covariance, by_concept, np.ascontiguousarray(principal, np.float32))


def supervised(found: Moments, *, ridge: float = 1e-3) -> Float[np.ndarray, "n_concepts d_in"]:
    """A least-squares direction for each concept, from training rows: the skyline.

    The ridge is a share of the mean variance of a coordinate.
    """
    n = len(found.covariance)
    covariance = found.covariance + ridge * np.trace(found.covariance) / n * np.eye(n)
    return np.linalg.solve(covariance, found.by_concept.T).T.astype(np.float32)


def random(*, n: int, d_in: int, seed: int = 0) -> Float[np.ndarray, "n d_in"]:
    directions = np.random.default_rng(seed).normal(size=(n, d_in)).astype(np.float32)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)
