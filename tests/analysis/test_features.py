"""A feature's page holds rows of the right kinds, the same each time, and at once."""

import time

import numpy as np
import pytest
from planted_codes import stored_of
from tiny import planted_rows, run_command, train

from sae_jax.analysis import feature_tables, features
from sae_jax.errors import ShardError


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    rng = np.random.default_rng(0)
    density = np.geomspace(0.002, 0.6, 30)
    values = rng.random((3_000, 30)) * (rng.random((3_000, 30)) < density)
    values[:, 4] = 0
    near = rng.permuted(np.tile(np.arange(3_000), (30, 1)), axis=1)[:, :20]
    near[3, 5:] = -1
    values[near, np.arange(30)[:, None]] = 0
    stored = stored_of(values.astype(np.float32), near=near)
    tables = feature_tables.make(
        stored, W_dec=rng.normal(size=(30, 8)), out=tmp_path_factory.mktemp("tables")
    )
    return values.astype(np.float32), stored, tables, near


def test_rows_are_those_of_the_dense_codes(case):
    values, stored, tables, near = case
    pages = features.FeaturePages(stored, tables)
    for latent in range(30):
        page, own = pages.page(latent), values[:, latent]
        order = np.argsort(-own, kind="stable")[: (own > 0).sum()]
        assert page.n_on == len(order)
        assert page.density == len(order) / 3_000
        np.testing.assert_array_equal(page.top.rows, order[: features.N_TOP])
        for examples in (page.top, page.random, *page.deciles):
            np.testing.assert_array_equal(examples.values, own[examples.rows])
            assert (examples.values > 0).all()
            assert len(set(examples.rows.tolist())) == len(examples.rows)
        place = {int(row): i for i, row in enumerate(order)}
        for decile, examples in enumerate(page.deciles):
            places = [place[int(row)] for row in examples.rows]
            low, high = len(order) * decile // 10, len(order) * (decile + 1) // 10
            assert all(low <= one < high for one in places)
            assert len(places) == min(features.N_PER_DECILE, high - low)
        assert (own[page.near.rows] == 0).all()
        assert page.near.rows.tolist() == [row for row in near[latent] if row >= 0]
        assert page.highest == (own.max() if len(order) else 0)
        assert page.histogram.sum() == len(order)
    assert pages.page(4).top.rows.tolist() == []
    assert pages.page(4).together == []


def test_company_has_lift_and_share(case, tmp_path):
    values, *_ = case
    values = values.copy()
    values[:, 25] = np.where(values[:, 24] > 0, 0.5, values[:, 25])
    stored = stored_of(values)
    tables = feature_tables.make(stored, W_dec=np.eye(30), out=tmp_path)
    pages = features.FeaturePages(stored, tables)
    assert [one.latent for one in pages.page(24).together] == [25]
    for latent in range(30):
        for one in pages.page(latent).together:
            expected = pages.n_on[latent] * pages.n_on[one.latent] / 3_000
            assert one.lift == pytest.approx(one.n_rows / expected)
            assert one.share == pytest.approx(one.n_rows / pages.n_on[latent])


def test_draws_depend_on_seed_and_latent_alone(case):
    _, stored, tables, _ = case
    first, same, other = (
        features.FeaturePages(stored, tables, seed=seed).page(29) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.random.rows, same.random.rows)
    assert first.random.rows.tolist() != other.random.rows.tolist()
    with pytest.raises(IndexError, match="latent 30: expected 0 to 29"):
        features.FeaturePages(stored, tables).page(30)


def test_draws_reach_all_rows(case):
    _, stored, tables, _ = case
    drawn = {
        int(row)
        for seed in range(400)
        for row in features.FeaturePages(stored, tables, seed=seed).page(20).random.rows
    }
    assert drawn == set(stored.rows_of(20).tolist())


def test_a_page_takes_less_than_a_millisecond(case):
    _, stored, tables, _ = case
    pages, seconds = features.FeaturePages(stored, tables), []
    for latent in list(range(30)) * 5:
        began = time.perf_counter()
        pages.page(latent)
        seconds.append(time.perf_counter() - began)
    # The type checks of tests take their time, too; without them it is .2 ms.
    assert np.median(seconds) < 1e-3 * 5


def test_a_run_is_opened_after_encode_and_not_before(tmp_path):
    (tmp_path / "rows").mkdir()
    np.save(tmp_path / "rows" / "a.npy", planted_rows(500))
    train(tmp_path / "rows", tmp_path / "run", n_steps=4)
    with pytest.raises(ShardError, match="has no codes"):
        features.open_pages(tmp_path / "run")
    assert run_command("encode", str(tmp_path / "run")).returncode == 0
    pages = features.open_pages(tmp_path / "run")
    assert pages.n_latents == 64
    assert pages.page(int(np.argmax(pages.n_on))).n_on == pages.n_on.max()
