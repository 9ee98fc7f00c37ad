"""Held-out metrics against NumPy, whatever the number of rows."""

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import config, planted_rows

from sae_jax.data.shards import open_shards
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.train import evaluate


@pytest.mark.parametrize("n_rows", [1, 100, evaluate.ROWS_PER_CALL + 3])
def test_quality_equals_numpy(tmp_path, n_rows):
    rows = planted_rows(3_000)
    np.save(tmp_path / "a.npy", rows)
    settings = config(tmp_path).sae
    model = TopKAutoencoder.create(settings, seed=0, rows=rows)
    row_ids = np.random.default_rng(0).permutation(len(rows))[:n_rows].astype(np.int64)
    mean = rows.mean(axis=0)
    quality = evaluate.make_evaluator(open_shards(tmp_path), mean=mean, config=settings)(
        model, row_ids
    )
    x = rows[row_ids]
    codes = model.encode(jnp.asarray(x), settings)
    x_hat = np.asarray(model.decode(codes, settings))
    on = np.asarray(codes.values) > 0
    cosine = (x * x_hat).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(x_hat, axis=1)
    assert quality.fvu == pytest.approx(
        ((x - x_hat) ** 2).sum() / ((x - mean) ** 2).sum(), rel=1e-4
    )
    assert quality.cosine == pytest.approx(cosine.mean(), rel=1e-4)
    assert quality.l0 == pytest.approx(on.sum(axis=1).mean())
    counts = np.bincount(np.asarray(codes.indices)[on], minlength=64)
    np.testing.assert_allclose(quality.density, counts / n_rows)
    assert quality.n_rows == n_rows
