"""How sure a mean or a median is: a plain bootstrap agrees."""

import numpy as np
import pytest

from sae_jax.analysis import intervals


@pytest.mark.parametrize(
    ("ours", "of"),
    [(intervals.mean_with_interval, np.mean), (intervals.median_with_interval, np.median)],
)
def test_the_interval_is_that_of_a_bootstrap(ours, of):
    values = np.random.default_rng(0).normal(size=400)
    value, low, high = ours(values, seed=0)
    assert value == of(values)
    rng = np.random.default_rng(1)
    drawn = [of(rng.choice(values, 400)) for _ in range(2_000)]
    # A quantile of 1,000 draws, of a width of 0.2: good to a tenth of that.
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)
