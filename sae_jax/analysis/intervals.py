"""How sure a measure is: 95 % intervals by bootstrap over rows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

DRAWS = 1_000
LEAST = 10  # values
ENTRIES_AT_ONCE = 4_194_304  # rows drawn at a time, so that memory does not grow with them

# The measure of each draw, a draw being rows with repetition: [draws, n] to [draws].
Measure = Callable[[Int[np.ndarray, "draws n"]], Float[np.ndarray, " draws"]]


class Interval(NamedTuple):
    """A measure and the ends of its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = f" ({self.low:.3f} to {self.high:.3f})" if self.low == self.low else ""
        return f"{self.value:.3f}{ends}"


def interval(
    measure: Measure, *, n: int, rng: np.random.Generator, draws: int = DRAWS
) -> Interval:
    """Over n rows; draws of which the measure is NaN are left out.

    Of fewer than LEAST rows there are no ends: of three a bootstrap holds the truth in 71 % of
    cases and not in 95.
    """
    if not n:
        return Interval(*[float("nan")] * 3)
    (value,) = measure(np.arange(n)[None]).tolist()
    if n < LEAST:
        return Interval(float(value), float("nan"), float("nan"))
    at_once = max(1, ENTRIES_AT_ONCE // n)
    drawn = [
        measure(rng.integers(n, size=(min(at_once, draws - start), n)))
        for start in range(0, draws, at_once)
    ]
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


def mean_with_interval(values: Float[np.ndarray, " n"], *, seed: int) -> Interval:
    return _of(values, lambda rows: values[rows].mean(axis=1), seed=seed)


def median_with_interval(values: Float[np.ndarray, " n"], *, seed: int) -> Interval:
    return _of(values, lambda rows: np.median(values[rows], axis=1), seed=seed)


def ratio_with_interval(
    parts: Float[np.ndarray, " n"], wholes: Float[np.ndarray, " n"], *, seed: int
) -> Interval:
    """Of the sum of the parts over that of the wholes."""
    return _of(
        parts, lambda rows: parts[rows].sum(axis=1) / wholes[rows].sum(axis=1), seed=seed
    )


def _of(values: Float[np.ndarray, " n"], measure: Measure, *, seed: int) -> Interval:
    return interval(measure, n=len(values), rng=np.random.default_rng(seed))
