"""Intervals hold what they should hold, and their memory is bounded."""

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


def test_an_interval_is_that_of_the_measure_over_drawn_rows():
    values = np.random.default_rng(0).normal(size=30)
    rng = np.random.default_rng(5)
    medians = [np.median(values[rows]) for rows in rng.integers(30, size=(400, 30))]
    found = intervals.interval(
        lambda rows: np.median(values[rows], axis=1),
        n=30,
        rng=np.random.default_rng(5),
        draws=400,
    )
    low, high = np.quantile(medians, [0.025, 0.975])
    assert found == pytest.approx((np.median(values), low, high))


def test_draws_without_a_value_are_left_out():
    def measure(rows):
        return np.where(rows[:, 0] == 1, np.nan, 3.0)

    assert intervals.interval(measure, n=10, rng=np.random.default_rng(0)) == (3, 3, 3)


def test_few_values_have_no_ends_and_none_no_value():
    found = intervals.mean_with_interval(np.arange(9.0), seed=0)
    assert found.value == 4
    assert np.isnan(found[1:]).all()
    assert np.isfinite(intervals.mean_with_interval(np.arange(10.0), seed=0)).all()
    assert np.isnan(intervals.mean_with_interval(np.zeros(0), seed=0)).all()
