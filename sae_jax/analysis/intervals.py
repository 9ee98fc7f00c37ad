"""How sure a mean or a median is."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

DRAWS = 1_000
DRAWS_AT_ONCE = 100  # in memory


def mean_with_interval(
    values: Float[np.ndarray, " n"], *, seed: int
) -> tuple[float, float, float]:
    """The mean, and the ends of its 95 % interval by bootstrap over the values."""
    return _with_interval(values, of=np.mean, seed=seed)


def median_with_interval(
    values: Float[np.ndarray, " n"], *, seed: int
) -> tuple[float, float, float]:
    """The median, and the ends of its 95 % interval by bootstrap over the values."""
    return _with_interval(values, of=np.median, seed=seed)


def _with_interval(
    values: Float[np.ndarray, " n"], *, of: Callable[..., np.ndarray], seed: int
) -> tuple[float, float, float]:
    rng, n = np.random.default_rng(seed), len(values)
    drawn = [
        of(values[rng.integers(n, size=(DRAWS_AT_ONCE, n))], axis=1)
        for _ in range(DRAWS // DRAWS_AT_ONCE)
    ]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(of(values)), float(low), float(high)
