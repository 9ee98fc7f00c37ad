"""Scores against brute force, with their intervals from the same draws."""

import numpy as np
import pytest

from sae_jax.analysis import llm_scores
from sae_jax.analysis.intervals import DRAWS


def measures(confidences, on):
    yes = confidences > 5
    f1 = 2 * (yes & on).sum() / max(yes.sum() + on.sum(), 1)
    pearson = np.nan
    if np.ptp(confidences) and np.ptp(on.astype(float)):
        pearson = np.corrcoef(confidences, on)[0, 1]
    wins = [(a > b) + 0.5 * (a == b) for a in confidences[on] for b in confidences[~on]]
    return f1, pearson, np.mean(wins) if wins else np.nan


def test_scores_and_intervals_are_those_of_loops():
    rng = np.random.default_rng(0)
    confidences, on = rng.integers(11, size=12).astype(float), np.arange(12) < 6
    found = llm_scores.score(confidences, on, rng=np.random.default_rng(7))
    assert (found.n, found.n_on) == (12, 6)
    draws = np.random.default_rng(7)
    for place, name in enumerate(("f1", "pearson", "auroc")):
        measure = getattr(found, name)
        assert measure.value == pytest.approx(measures(confidences, on)[place])
        drawn = [
            measures(confidences[rows], on[rows])[place]
            for rows in draws.integers(12, size=(DRAWS, 12))
        ]
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        assert (measure.low, measure.high) == pytest.approx((low, high))
        assert measure.low < measure.value < measure.high


def test_a_judge_who_says_the_same_of_all_has_no_pearson():
    on = np.arange(20) < 10
    for confidence, f1 in ((9.0, 2 / 3), (0.0, 0.0)):
        found = llm_scores.score(np.full(20, confidence), on, rng=np.random.default_rng(0))
        assert found.pearson is None
        assert found.f1.value == pytest.approx(f1)
        assert found.auroc == (0.5, 0.5, 0.5)


def test_five_of_ten_is_not_yes():
    on = np.array([True, False] * 6)
    found = llm_scores.score(np.where(on, 5.0, 0.0), on, rng=np.random.default_rng(0))
    assert (found.f1.value, found.auroc.value) == (0.0, 1.0)
