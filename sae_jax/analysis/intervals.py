"""How sure a measure is."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

DRAWS = 1_000


def mean_with_interval(
    values: Float[np.ndarray, " n"], *, seed: int
) -> tuple[float, float, float]:
    """The mean, and the ends of its 95 % interval by bootstrap over the values."""
    low, high = interval(
        lambda rows: values[rows].mean(axis=1), n=len(values), rng=np.random.default_rng(seed)
    )
    return float(values.mean()), low, high


def interval(
    measure: Callable[[Int[np.ndarray, "draws n"]], Float[np.ndarray, " draws"]],
    *,
    n: int,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """The ends of a 95 % interval by bootstrap over n rows.

    The measure is given rows drawn with replacement, a draw a row; draws of which it is NaN
    are left out.
    """
    values = measure(rng.integers(n, size=(draws, n)))
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
