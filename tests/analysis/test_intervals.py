"""Intervals by bootstrap, against the same draws made by hand."""

import numpy as np

from sae_jax.analysis.intervals import interval, mean_with_interval


def test_an_interval_is_that_of_the_measure_over_drawn_rows():
    values = np.random.default_rng(0).normal(size=30)
    rng = np.random.default_rng(5)
    medians = [np.median(values[rows]) for rows in rng.integers(30, size=(400, 30))]
    found = interval(
        lambda rows: np.median(values[rows], axis=1),
        n=30,
        rng=np.random.default_rng(5),
        draws=400,
    )
    np.testing.assert_allclose(found, np.quantile(medians, [0.025, 0.975]))


def test_draws_without_a_value_are_left_out():
    def measure(rows):
        return np.where(rows.min(axis=1) == 0, np.nan, 3.0)

    assert interval(measure, n=3, rng=np.random.default_rng(0)) == (3.0, 3.0)


def test_a_mean_lies_in_its_interval_which_narrows_with_more_values():
    rng = np.random.default_rng(0)
    widths = []
    for n in (20, 2_000):
        mean, low, high = mean_with_interval(rng.normal(size=n), seed=1)
        assert low < mean < high
        widths.append(high - low)
    assert 7 < widths[0] / widths[1] < 14  # the square root of 100
