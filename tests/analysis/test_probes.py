"""A probe reads off what is linearly there, and nothing where nothing is."""

import numpy as np
import pytest
from scipy import optimize, sparse, special

from sae_jax.analysis import probes


def case(n=3_000, width=10, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width)).astype(np.float32)
    labels = (x @ rng.normal(size=(width, n_classes))).argmax(axis=1)
    return x, labels


@pytest.mark.parametrize("as_sparse", [False, True])
def test_what_is_linear_is_read_off_and_noise_is_not(as_sparse):
    x, labels = case()

    def vectors(rows):
        return sparse.csr_array(x[rows]) if as_sparse else x[rows]

    train, held_out = np.arange(2_000), np.arange(2_000, 3_000)

    def accuracy(of_row):
        probe = probes.fit(vectors, row_ids=train, of_row=of_row, n_classes=3)
        return probes.accuracy(probe, vectors, row_ids=held_out, of_row=of_row, seed=0)

    assert accuracy(labels).value > 0.97
    shuffled = np.random.default_rng(1).permutation(labels)
    found = accuracy(shuffled)
    largest = np.bincount(shuffled[held_out]).max() / 1_000
    assert found.low < largest + 0.03
    # Rows without a class neither fit nor count.
    some = np.where(np.arange(3_000) % 2, labels, -1)
    assert accuracy(some).value > 0.97


def test_the_fit_is_the_minimum_of_the_penalised_cross_entropy():
    x, labels = case(n=200, width=4)
    x = x.astype(np.float64)

    def loss(flat):
        w = flat.reshape(5, 3)
        log_p = special.log_softmax(x @ w[:4] + w[4], axis=1)
        return -log_p[np.arange(200), labels].mean() + 1e-2 * np.sum(w[:4] ** 2)

    best = optimize.minimize(loss, np.zeros(15), method="BFGS")
    found = probes._minimise(x, labels, n_classes=3, penalty=1e-2, start=np.zeros(15))
    assert loss(found) == pytest.approx(best.fun, rel=1e-3)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_the_penalty_is_chosen_by_rows_that_did_not_fit(seed, monkeypatch):
    """Nearly as many coordinates as rows: a free fit is right on its rows, poor on others."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3_000, 400)).astype(np.float32)
    of_row = (x[:, :5].sum(axis=1) + 3 * rng.normal(size=3_000) > 0).astype(int)
    x[:, 5:] *= 0.5
    train, held_out = np.arange(500), np.arange(500, 3_000)

    def accuracy(rows, penalties):
        monkeypatch.setattr(probes, "PENALTIES", penalties)
        probe = probes.fit(lambda own: x[own], row_ids=train, of_row=of_row, n_classes=2)
        return probe.right(x[rows], of_row[rows]).mean()

    assert accuracy(train, (1e-6,)) > accuracy(train, (3e-2,))
    free, held, chosen = (
        accuracy(held_out, penalties) for penalties in ((1e-6,), (3e-2,), (1e-6, 3e-2))
    )
    assert held > free + 0.04
    assert chosen == held
