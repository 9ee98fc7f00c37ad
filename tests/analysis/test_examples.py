"""The strongest rows of each latent equal a full sort of the dense codes."""

import numpy as np
import pytest
from tiny import config, planted_rows

import sae_jax
from sae_jax.analysis import examples
from sae_jax.data.shards import open_shards
from sae_jax.train import loop


@pytest.fixture
def sae(rows_folder, tmp_path):
    (tmp_path / "run").mkdir()
    settings = config(rows_folder, n_steps=20)
    loop.train(settings, reader=open_shards(rows_folder), workdir=tmp_path / "run")
    return sae_jax.load(tmp_path / "run")


@pytest.mark.parametrize("rows_per_block", [4_096, 130])
def test_the_strongest_rows_equal_a_full_sort(sae, rows_folder, monkeypatch, rows_per_block):
    monkeypatch.setattr(examples, "ROWS_PER_BLOCK", rows_per_block)
    reader = open_shards(rows_folder)
    found = examples.strongest_examples(sae, reader, n_examples=4)
    codes = sae.encode(planted_rows(2_000))
    dense = np.zeros((2_000, 64), np.float32)
    np.put_along_axis(dense, np.asarray(codes.indices), np.asarray(codes.values), axis=1)
    order = np.argsort(-dense, axis=0, kind="stable")[:4].T
    best = np.take_along_axis(dense.T, order, axis=1)
    np.testing.assert_allclose(found.values, best, atol=1e-6)
    np.testing.assert_array_equal(found.row_ids, np.where(best > 0, order, -1))
    np.testing.assert_allclose(found.density, (dense > 0).mean(axis=0))
