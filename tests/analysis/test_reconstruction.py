"""Errors of reconstructions are those of their definitions, beside what k numbers keep."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import planted_rows, train

from sae_jax.analysis import reconstruction, untrained
from sae_jax.data.shards import open_shards
from sae_jax.notebook import load


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reconstruction")
    np.save(folder / "a.npy", planted_rows(2_000))
    reader = open_shards(folder)
    return load(train(folder, folder / "run", n_steps=200)), reader


def test_fvu_and_cosine_are_those_of_the_rows(trained, monkeypatch):
    monkeypatch.setattr(reconstruction, "ROWS_PER_BLOCK", 33)  # not a divisor
    sae, reader = trained
    x = reader.read(reader.held_out_ids)
    mean = x.mean(axis=0)
    found = reconstruction.measure(
        {
            "autoencoder": reconstruction.by_autoencoder(sae),
            "mean": reconstruction.by_directions(np.zeros((0, 16), np.float32), mean=mean),
        },
        reader,
        row_ids=reader.held_out_ids,
        mean=mean,
        seed=0,
    )
    x_hat = np.asarray(sae.decode(sae.encode(x)))
    fvu = np.sum((x - x_hat) ** 2) / np.sum((x - mean) ** 2)
    assert found["autoencoder"].fvu.value == pytest.approx(fvu, rel=1e-5)
    cosine = np.sum(x * x_hat, axis=1) / np.linalg.norm(x, axis=1)
    cosine = cosine / np.linalg.norm(x_hat, axis=1)
    assert found["autoencoder"].cosine.value == pytest.approx(cosine.mean(), rel=1e-5)
    assert found["mean"].fvu.value == pytest.approx(1.0)
    assert found["autoencoder"].fvu.high < 0.5


def test_another_k_encodes_with_as_many_latents(trained):
    sae, reader = trained
    x = jnp.asarray(reader.read(reader.held_out_ids))
    at_2 = dataclasses.replace(sae.config, k=2)
    codes = sae.model.encode(x, at_2)
    assert codes.values.shape[1] == 2
    expected = np.asarray(sae.model.decode(codes, at_2))
    np.testing.assert_array_equal(
        reconstruction.by_autoencoder(sae, k=2)(np.asarray(x)), expected
    )
    assert reconstruction.kept_latents(sae) == [1, 2, 3, 6, 12]  # k is 3


def test_least_squares_is_the_best_that_the_chosen_latents_can_do(trained):
    sae, reader = trained
    bare = untrained.untrained(sae, reader, seed=1)
    x = reader.read(reader.held_out_ids[:40])
    found = reconstruction.by_least_squares(bare)(x)
    indices = np.asarray(bare.encode(x).indices)
    for row, latents, x_hat in zip(x, indices, found, strict=True):
        directions = np.asarray(bare.W_dec)[latents].T
        values = np.linalg.lstsq(directions, row - np.asarray(bare.b_dec), rcond=None)[0]
        expected = directions @ values + np.asarray(bare.b_dec)
        np.testing.assert_allclose(x_hat, expected, atol=2e-3)  # the ridge of 1e-4
    own = np.asarray(bare.decode(bare.encode(x)))
    assert np.sum((x - found) ** 2) < np.sum((x - own) ** 2)


def test_untrained_is_the_same_shape_with_random_unit_directions(trained):
    sae, reader = trained
    bare = untrained.untrained(sae, reader, seed=1)
    assert (bare.n_latents, bare.k, bare.d_in) == (sae.n_latents, sae.k, sae.d_in)
    np.testing.assert_allclose(np.linalg.norm(bare.W_dec, axis=1), 1, atol=1e-5)
    other = untrained.untrained(sae, reader, seed=2)
    assert np.abs(np.sum(np.asarray(bare.W_dec) * np.asarray(other.W_dec))) < 20
    assert reconstruction.encoder_alignment(bare)["mean"] == pytest.approx(1, abs=1e-5)
    assert reconstruction.encoder_alignment(sae)["mean"] < 0.999
