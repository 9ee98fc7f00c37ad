"""Intervals hold what they should hold, and their memory is bounded."""

import numpy as np
import pytest

from sae_jax.analysis import intervals


def test_an_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(3, 2, size=4_000)
    found = intervals.mean_with_interval(values, seed=0)
    assert found.value == pytest.approx(values.mean())
    error = values.std() / np.sqrt(len(values))
    # A quantile of 1,000 draws is known to a tenth of the error.
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.2 * error)


def test_a_ratio_is_of_sums_and_moves_with_both():
    rng = np.random.default_rng(1)
    wholes = rng.uniform(1, 9, size=2_000)
    found = intervals.ratio_with_interval(wholes / 4, wholes, seed=0)
    assert found == pytest.approx((0.25, 0.25, 0.25))
    found = intervals.ratio_with_interval(np.ones(2_000), wholes, seed=0)
    assert found.value == pytest.approx(2_000 / wholes.sum())
    assert found.low < found.value < found.high


def test_draws_do_not_depend_on_how_many_fit_in_memory(monkeypatch):
    values = np.random.default_rng(2).normal(size=50)
    whole = intervals.mean_with_interval(values, seed=3)
    monkeypatch.setattr(intervals, "ENTRIES_AT_ONCE", 333)
    assert intervals.mean_with_interval(values, seed=3) == whole
    assert intervals.mean_with_interval(values, seed=4) != whole
