"""How sure a mean is."""

import numpy as np
from jaxtyping import Float

DRAWS = 1_000


def mean_with_interval(
    values: Float[np.ndarray, " n"], *, seed: int
) -> tuple[float, float, float]:
    """The mean, and the ends of its 95 % interval by bootstrap over the values."""
    draws = np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)
