"""Scaling laws: planted ones are found, and the paper's own numbers give its exponents."""

import numpy as np
import pytest

from sae_jax.analysis import scaling

SIZES = (3_072, 4_608, 6_144, 9_216, 12_288)
# arXiv 2408.00657, figure 2: final training error at each size.
PAPER = {
    ("astro-ph", 16): (0.2300, 0.2174, 0.2113, 0.1994, 0.1943),
    ("astro-ph", 32): (0.1751, 0.1649, 0.1594, 0.1516, 0.1459),
    ("astro-ph", 64): (0.1419, 0.1308, 0.1262, 0.1195, 0.1150),
    ("astro-ph", 128): (0.1111, 0.1051, 0.1023, 0.0972, 0.0923),
    ("cs.LG", 16): (0.2308, 0.2164, 0.2064, 0.1986, 0.1910),
    ("cs.LG", 32): (0.1810, 0.1698, 0.1632, 0.1548, 0.1483),
    ("cs.LG", 64): (0.1486, 0.1397, 0.1312, 0.1230, 0.1170),
    ("cs.LG", 128): (0.1205, 0.1129, 0.1084, 0.0999, 0.0939),
}


@pytest.mark.parametrize("of", PAPER, ids=str)
def test_the_papers_points_give_the_papers_exponents(of):
    law, (corpus, k) = scaling.fit_power_law(SIZES, PAPER[of]), of
    alpha = scaling.PAPER_ALPHA[corpus][k]
    assert law.alpha == pytest.approx(alpha, abs=0.0015)  # digitised to four places
    assert law.low < alpha < law.high
    assert law.r_squared > 0.98


def test_a_planted_power_law_is_found_and_its_interval_covers_it():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        losses = 2.0 * np.asarray(SIZES, float) ** -0.14 * np.exp(rng.normal(0, 0.01, 5))
        law = scaling.fit_power_law(SIZES, losses)
        covered += law.low < 0.14 < law.high
    assert 0.92 <= covered / 300 <= 0.98
    exact = scaling.fit_power_law(SIZES, 2.0 * np.asarray(SIZES, float) ** -0.14)
    assert exact[:2] == pytest.approx((2.0, 0.14))
    np.testing.assert_allclose(exact(np.array([1e3])), 2.0 * 1e3**-0.14)


def test_two_points_give_a_line_without_an_interval():
    law = scaling.fit_power_law((1, 4), (1.0, 0.5))
    assert law.alpha == pytest.approx(0.5)
    assert np.isnan(law.low)


def test_seeds_are_points_of_their_own():
    law = scaling.fit_power_law((1, 1, 4, 4), (1.0, 1.1, 0.5, 0.6))
    assert law.n_points == 4
    assert law.low < law.alpha < law.high


@pytest.mark.parametrize("losses", [(0.1, 0.0), (0.1, np.nan), (0.1, -1.0)])
def test_a_loss_that_has_no_logarithm_is_refused(losses):
    with pytest.raises(ValueError, match="expected positive"):
        scaling.fit_power_law((1, 2), losses)


def test_one_size_is_no_law():
    with pytest.raises(ValueError, match="at least two different sizes"):
        scaling.fit_power_law((3, 3), (0.1, 0.2))


def test_a_planted_joint_law_is_found():
    planted = scaling.JointLaw(-0.5, 0.26, -0.02, -0.042, -1.9, -0.1, 0.0)
    n, k = (a.ravel() for a in np.meshgrid(2.0 ** np.arange(9, 16), 2.0 ** np.arange(3, 9)))
    found = scaling.fit_joint_law(n, k, planted(n, k))
    assert found.rms_error < 1e-4
    # Beyond the fitted points too.
    np.testing.assert_allclose(found(3e5, 500.0), planted(3e5, 500.0), rtol=0.02)


def test_the_joint_law_needs_three_sizes_and_seven_points():
    n, k = (1, 2, 4, 1, 2, 4), (8, 8, 8, 16, 16, 16)
    assert scaling.fit_joint_law(n, k, (0.5, 0.4, 0.3, 0.4, 0.3, 0.2)) is None
    n, k = (1, 2) * 4, (8, 16, 32, 64) * 2
    assert scaling.fit_joint_law(n, k, (0.5,) * 8) is None


def test_the_papers_compute_is_that_of_its_axis():
    # The end of its curve for k 16 and 3,072 latents: 13,300 steps, 1.26e11.
    flops = 13_300 * scaling.paper_step_flops(d_in=1_536, n_latents=3_072, k=16)
    assert flops == pytest.approx(1.26e11, rel=0.005)


def test_a_steps_compute_is_mostly_the_encoders_product():
    flops = scaling.step_flops(d_in=384, n_latents=6_144, k=32, batch_size=1_024)
    product = 2 * 1_024 * 384 * 6_144
    assert product < flops < 1.1 * product


def test_the_frontier_is_what_nothing_cheaper_reaches():
    flops = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    loss = np.array([0.9, 0.7, 0.8, 0.7, 0.2])
    np.testing.assert_array_equal(
        scaling.on_frontier(flops, loss), [True, True, False, False, True]
    )
