"""Rows that name and rows that judge: apart, of all strengths, with near misses and zeros."""

import json

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.analysis import llm_rows
from sae_jax.analysis.labels import naming_half
from sae_jax.data.shards import open_shards
from sae_jax.errors import UsageError

N_ROWS = 2_000
NAMING = naming_half(N_ROWS, seed=0)


@pytest.fixture(scope="module")
def stored():
    """Latent 0 is on for 400 rows, 1 for 60, 2 never, 3 for 12, 4 for all but 8; 5 as 1, but
    without near misses."""
    rng = np.random.default_rng(0)
    values = np.zeros((N_ROWS, 6), np.float32)
    for latent, n in enumerate((400, 60, 0, 12, N_ROWS - 8, 60)):
        values[rng.choice(N_ROWS, n, replace=False), latent] = rng.uniform(0.1, 3, n)
    near = np.full((6, 48), -1)
    for latent in (0, 1, 3):
        near[latent] = rng.choice(np.flatnonzero(values[:, latent] == 0), 48, replace=False)
    return stored_of(values, near=near)


def rows_of(stored, latent, *, seed=0):
    return llm_rows.rows_of(stored, latent, naming=naming_half(N_ROWS, seed=seed), seed=seed)


def test_a_latent_that_cannot_be_judged_says_why(stored):
    assert llm_rows.why_skipped(stored, NAMING) == [
        "", "", "never on", "too few rows", "on nearly everywhere", "",
    ]  # fmt: skip


def test_no_row_both_names_and_judges_and_none_is_there_twice(stored):
    for latent in (0, 1, 5):
        rows = rows_of(stored, latent)
        shown = np.concatenate([rows.strongest, rows.weaker, rows.near, rows.zeros])
        assert NAMING[shown].all()
        assert not NAMING[rows.judged].any()
        assert len(set(rows.all_rows().tolist())) == len(shown) + len(rows.judged)


def test_the_labeller_sees_the_strongest_and_one_of_each_tenth_of_the_others(stored):
    rows, on = rows_of(stored, 0), np.asarray(stored.rows_of(0))
    naming = on[NAMING[on]]
    np.testing.assert_array_equal(rows.strongest, naming[:10])
    places = [int(np.flatnonzero(naming == row)[0]) for row in rows.weaker]
    ninths = (np.array(places) - 10) * 9 // (len(naming) - 10)
    assert ninths.tolist() == list(range(9))
    values = dict(zip(on.tolist(), stored.values_of(0).tolist(), strict=True))
    expected = [10 * values[row] / stored.values_of(0)[0] for row in naming[:10].tolist()]
    np.testing.assert_allclose(rows.strengths[:10], expected, rtol=1e-6)
    assert (np.diff(rows.strengths) <= 0).all()


def test_rows_on_which_it_is_off_are_near_misses_and_random_ones(stored):
    rows = rows_of(stored, 0)
    near = stored.near_rows[0]
    np.testing.assert_array_equal(rows.near, near[NAMING[near]][:5])
    assert len(rows.zeros) == 5
    off = set(range(N_ROWS)) - set(stored.rows_of(0).tolist())
    assert {*rows.near.tolist(), *rows.zeros.tolist()} <= off
    kinds = dict(zip(rows.judged.tolist(), rows.kinds, strict=True))
    nearest = set(near[~NAMING[near]][:10].tolist())
    assert {row for row, kind in kinds.items() if kind == "near"} == nearest
    assert {row for row, kind in kinds.items() if kind != "on"} <= off


def test_those_that_judge_are_of_all_tenths_and_shuffled(stored):
    rows, on = rows_of(stored, 0), np.asarray(stored.rows_of(0))
    assert [rows.kinds.count(kind) for kind in ("on", "near", "zero")] == [20, 10, 10]
    judging = on[~NAMING[on]].tolist()
    places = np.array([judging.index(row) for row in rows.judged[rows.on]])
    assert np.bincount(places * 10 // len(judging)).tolist() == [2] * 10
    assert 10 < np.flatnonzero(rows.on).mean() < 30  # not all first
    assert (np.diff(places) < 0).any()


def test_where_near_misses_lack_random_rows_take_their_place(stored):
    rows = rows_of(stored, 5)
    assert (len(rows.near), len(rows.zeros)) == (0, 10)
    assert "near" not in rows.kinds
    assert rows.kinds.count("zero") == rows.kinds.count("on") == 20


def test_rows_depend_on_the_seed_alone(stored):
    first, again, other = (rows_of(stored, 0, seed=seed).judged.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_texts_are_read_for_the_rows_that_are_shown(stored, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((N_ROWS, 2), np.float32))
    rows = rows_of(stored, 1)
    with pytest.raises(UsageError, match="has no texts"):
        llm_rows.read_texts(open_shards(tmp_path), [rows])
    lines = (json.dumps({"text": f"text {row}"}) + "\n" for row in range(N_ROWS))
    (tmp_path / "texts.jsonl").write_text("".join(lines))
    texts = llm_rows.read_texts(open_shards(tmp_path), [rows])
    assert texts == {row: f"text {row}" for row in rows.all_rows().tolist()}
