"""The autoencoder against an independent NumPy oracle, in float64."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from sae_jax.config import SaeConfig
from sae_jax.model.topk import TopKAutoencoder

BATCH, D, N = 32, 12, 48
CONFIG = SaeConfig(d_in=D, n_latents=N, k=4, k_aux=6)
# float32 against float64: sums of 32 products carry about 1e-6 of their terms.
CLOSE = {"rtol": 2e-4, "atol": 2e-6}


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    W_dec = rng.normal(size=(N, D))
    unit = W_dec / np.linalg.norm(W_dec, axis=1, keepdims=True)
    return {
        "W_enc": rng.normal(size=(D, N)).astype(np.float32).astype(float),
        "b_enc": (0.1 * rng.normal(size=N)).astype(np.float32).astype(float),
        "W_dec": unit.astype(np.float32).astype(float),
        "b_dec": rng.normal(size=D).astype(np.float32).astype(float),
    }  # fmt: skip


def as_model(p):
    return TopKAutoencoder(**{name: jnp.asarray(a, jnp.float32) for name, a in p.items()})


@pytest.fixture
def x():
    return np.random.default_rng(7).normal(size=(BATCH, D)).astype(np.float32)


def test_encode_and_decode_equal_the_oracle(x):
    p = parameters()
    model = as_model(p)
    codes = model.encode(jnp.asarray(x), CONFIG)
    values, indices = oracle.pick((x - p["b_dec"]) @ p["W_enc"] + p["b_enc"], CONFIG.k)
    np.testing.assert_array_equal(codes.indices, indices)
    np.testing.assert_allclose(codes.values, values, **CLOSE)
    x_hat = oracle.scatter(values, indices, N) @ p["W_dec"] + p["b_dec"]
    np.testing.assert_allclose(model.decode(codes, CONFIG), x_hat, **CLOSE)


@pytest.mark.parametrize("products", ["sparse", "dense"])
@pytest.mark.parametrize("n_dead", [0, 3, 20])
@pytest.mark.parametrize(("multi", "every"), [(0.0, 1), (0.0, 2), (0.125, 2)])
def test_the_loss_and_every_gradient_equal_the_oracle(x, products, n_dead, multi, every):
    p, dead = parameters(), np.arange(N) < n_dead
    changes = {"multi_topk_coefficient": multi, "auxk_every": every}
    config = dataclasses.replace(CONFIG, products=products, **changes)
    gradient, objective = as_model(p).gradient(
        jnp.asarray(x), dead=jnp.asarray(dead), data_variance=jnp.float32(11.0), config=config
    )
    of = {"k": 4, "k_aux": 6, "alpha": 1 / 32, "dead": dead, "variance": 11.0}
    expected = oracle.loss_and_gradient(p, x.astype(float), **of, multi=multi, every=every)
    assert objective.metrics["loss"] == pytest.approx(expected[0], rel=1e-5)
    assert objective.metrics["fvu"] == pytest.approx(expected[1], rel=1e-5)
    assert objective.metrics["auxk_loss"] == pytest.approx(expected[2], rel=1e-5)
    for name, wanted in expected[3].items():
        found = gradient.W_enc if name == "W_enc" else getattr(gradient, name)[...]
        np.testing.assert_allclose(found, wanted, err_msg=name, **CLOSE)


def test_dead_latents_below_zero_outrank_live_ones(x):
    """The −inf mask: with a mask of zeros no negative dead latent is ever chosen."""
    p, dead = parameters(), np.arange(N) < 6
    p["b_enc"][:6] = -100.0  # never positive
    p["b_enc"][0] = 50.0  # but one is always on

    def gradient(coefficient):
        config = dataclasses.replace(CONFIG, auxk_coefficient=coefficient)
        found, _ = as_model(p).gradient(
            jnp.asarray(x),
            dead=jnp.asarray(dead),
            data_variance=jnp.float32(1.0),
            config=config,
        )
        return np.asarray(found.W_dec[...])

    reached = np.abs(gradient(1.0) - gradient(0.0)).sum(1) > 0
    assert reached[0]
    assert not reached[6:].any(), "AuxK must not reach a live latent"


def test_the_batch_normaliser_is_the_variance_of_the_batch(x):
    config = dataclasses.replace(CONFIG, loss_normaliser="batch")
    p = parameters()
    _, objective = as_model(p).gradient(
        jnp.asarray(x), dead=jnp.zeros(N, bool), data_variance=jnp.float32(1.0), config=config
    )
    variance = ((x - x.mean(0)) ** 2).sum(1).mean()
    _, fvu, _, _ = oracle.loss_and_gradient(
        p, x.astype(float), k=4, k_aux=6, alpha=0, dead=np.zeros(N, bool), variance=variance
    )
    assert objective.metrics["fvu"] == pytest.approx(fvu, rel=1e-5)


def test_the_projected_gradient_is_orthogonal_to_each_row_and_keeps_the_rest(x):
    p, dead = parameters(), np.zeros(N, bool)
    model = as_model(p)
    gradient, _ = model.gradient(
        jnp.asarray(x), dead=jnp.asarray(dead), data_variance=jnp.float32(1.0), config=CONFIG
    )
    projected = model.project(gradient)
    along = np.sum(np.asarray(projected.W_dec[...]) * p["W_dec"], axis=1)
    largest = np.abs(gradient.W_dec[...]).max()
    np.testing.assert_allclose(along / largest, 0, atol=1e-6)
    np.testing.assert_array_equal(projected.W_enc, gradient.W_enc)
    np.testing.assert_array_equal(projected.b_dec[...], gradient.b_dec[...])


def test_decoder_rows_are_brought_back_to_unit_norm():
    p = parameters()
    p["W_dec"] *= 3
    norms = np.linalg.norm(as_model(p).constrained().W_dec[...], axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)


@pytest.mark.parametrize(("kind", "middle"), [("paper", np.median), ("default", None)])
def test_a_new_model_has_tied_unit_rows_and_a_centred_bias(kind, middle):
    rows = np.random.default_rng(0).normal(size=(500, D)).astype(np.float32) + 2
    rows[:20] += 100  # outliers that a mean would follow
    config = dataclasses.replace(CONFIG, init=kind)
    model = TopKAutoencoder.create(config, seed=0, rows=rows)
    np.testing.assert_array_equal(model.W_enc, model.W_dec[...].T)
    np.testing.assert_allclose(np.linalg.norm(model.W_dec[...], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(model.b_dec[...], 2, atol=0.3)
    if middle is not None:
        np.testing.assert_array_equal(model.b_dec[...], middle(rows, axis=0))
    other = TopKAutoencoder.create(config, seed=1, rows=rows)
    assert not np.array_equal(model.W_dec[...], other.W_dec[...])
