"""What a feature's page shows beside its rows is that of loops over the dense codes."""

import dataclasses

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.analysis import feature_tables
from sae_jax.errors import ShardError


def values_of(seed=0, n_rows=400, n_latents=40):
    rng = np.random.default_rng(seed)
    values = rng.random((n_rows, n_latents)) * (rng.random((n_rows, n_latents)) < 0.1)
    values[:, 1] = np.where(values[:, 0] > 0, 0.5, values[:, 1])  # on wherever 0 is
    values[:, 7] = 0
    return values.astype(np.float32)


@pytest.fixture
def case(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_tables, "LATENTS_AT_ONCE", 7)  # not a divisor
    values = values_of()
    W_dec = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)
    stored = stored_of(values)
    feature_tables.make(stored, W_dec=W_dec, out=tmp_path / "tables")
    tables = feature_tables.open_tables(stored, out=tmp_path / "tables")
    return values, W_dec, stored, tables, tmp_path / "tables"


def test_histograms_count_the_rows_by_value(case):
    values, _, _, tables, _ = case
    for latent, own in enumerate(values.T):
        on = own[own > 0]
        expected = np.zeros(feature_tables.N_BINS)
        for value in on:
            expected[min(int(value / on.max() * feature_tables.N_BINS), 49)] += 1
        np.testing.assert_array_equal(tables.histograms[latent], expected)
    assert tables.histograms[7].sum() == 0


def test_likeness_is_a_full_sort_of_cosines_without_itself(case):
    _, W_dec, _, tables, _ = case
    unit = W_dec / np.linalg.norm(W_dec, axis=1, keepdims=True)
    cosines = unit @ unit.T
    for latent in range(40):
        others = [i for i in np.argsort(-cosines[latent]) if i != latent]
        assert tables.alike[latent].tolist() == others[: feature_tables.N_ALIKE]
        assert tables.unlike[latent].tolist() == others[::-1][: feature_tables.N_UNLIKE]
        np.testing.assert_allclose(
            tables.alike_cosines[latent], cosines[latent][tables.alike[latent]], atol=1e-6
        )
        np.testing.assert_allclose(
            tables.unlike_cosines[latent], cosines[latent][tables.unlike[latent]], atol=1e-6
        )


def test_company_is_ordered_by_correlation_and_counts_rows(case):
    values, _, _, tables, _ = case
    on = values > 0
    assert tables.together[0, 0] == 1
    assert tables.together[1, 0] == 0
    for latent in range(40):
        others = tables.together[latent][tables.together[latent] >= 0]
        assert latent not in others
        both = [(on[:, latent] & on[:, other]).sum() for other in others]
        np.testing.assert_array_equal(tables.together_rows[latent, : len(others)], both)
        phi = [np.corrcoef(on[:, latent], on[:, other])[0, 1] for other in others]
        assert (np.diff(phi) <= 1e-9).all()
    assert (tables.together[7] == -1).all()


def test_independent_latents_have_no_company(tmp_path):
    rng = np.random.default_rng(5)
    values = (rng.random((2_000, 30)) < 0.05).astype(np.float32)
    made = feature_tables.make(stored_of(values), W_dec=np.eye(30), out=tmp_path)
    assert (made.together >= 0).sum() <= 2  # one false discovery in a hundred


def test_few_latents_leave_places_empty(tmp_path):
    values = values_of(n_latents=8)[:, :3]
    made = feature_tables.make(stored_of(values), W_dec=np.eye(3), out=tmp_path)
    assert made.alike.shape == (3, feature_tables.N_ALIKE)
    assert (made.alike[:, 2:] == -1).all()
    assert (made.alike[:, :2] >= 0).all()


def test_tables_of_other_codes_are_not_opened(case):
    _, _, stored, _, out = case
    other = dataclasses.replace(
        stored, manifest=dataclasses.replace(stored.manifest, run_fingerprint="other")
    )
    assert not feature_tables.are_of(other, out=out)
    with pytest.raises(ShardError, match="no tables of features of these codes"):
        feature_tables.open_tables(other, out=out)
    with pytest.raises(ShardError, match="no tables"):
        feature_tables.open_tables(stored, out=out / "nowhere")
