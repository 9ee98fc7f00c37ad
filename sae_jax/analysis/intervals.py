"""How sure a mean, a median or a ratio is: 95 % intervals by bootstrap."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

DRAWS = 1_000
ENTRIES_AT_ONCE = 4_194_304  # places drawn at a time, so that memory does not grow


class Interval(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def mean_with_interval(values: Float[np.ndarray, " n"], *, seed: int) -> Interval:
    """Of the mean, over values drawn again."""
    means = [values[drawn].mean(axis=1) for drawn in _draws(len(values), seed=seed)]
    return _interval(values.mean(), means)


def median_with_interval(values: Float[np.ndarray, " n"], *, seed: int) -> Interval:
    """Of the median, over values drawn again."""
    medians = [np.median(values[drawn], axis=1) for drawn in _draws(len(values), seed=seed)]
    return _interval(np.median(values), medians)


def ratio_with_interval(
    parts: Float[np.ndarray, " n"], wholes: Float[np.ndarray, " n"], *, seed: int
) -> Interval:
    """Of the sum of the parts over that of the wholes, over pairs drawn again."""
    ratios = [
        parts[drawn].sum(axis=1) / wholes[drawn].sum(axis=1)
        for drawn in _draws(len(parts), seed=seed)
    ]
    return _interval(parts.sum() / wholes.sum(), ratios)


def _draws(n: int, *, seed: int) -> Iterator[Int[np.ndarray, "draws n"]]:
    rng, at_once = np.random.default_rng(seed), max(1, ENTRIES_AT_ONCE // n)
    for start in range(0, DRAWS, at_once):
        yield rng.integers(n, size=(min(at_once, DRAWS - start), n))


def _interval(value: float | np.floating, draws: list[np.ndarray]) -> Interval:
    low, high = np.quantile(np.concatenate(draws), [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
