"""A train step against the NumPy oracle, and what it promises of its state."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from tiny import assert_same, config, planted_rows

from sae_jax.model.topk import TopKAutoencoder
from sae_jax.train import optimizer, setup, step


def start(settings, rows):
    model = TopKAutoencoder.create(settings.sae, seed=0, rows=rows)
    return step.create_state(model, config=settings, data_variance=jnp.float32(0.7))


def in_numpy(model):
    named = {name: getattr(model, name)[...] for name in ("b_enc", "W_dec", "b_dec")}
    return {name: np.asarray(a, float) for name, a in (named | {"W_enc": model.W_enc}).items()}


@pytest.mark.parametrize("clip_norm", [1e9, 0.05])
def test_five_steps_equal_the_oracle(tmp_path, clip_norm):
    """Projection, clip, Adam, unit rows, AuxK on dead latents: all of it, five times."""
    settings = config(
        tmp_path, n_steps=10, warmup_steps=3, clip_norm=clip_norm, learning_rate=1e-3
    )
    rows = planted_rows(320)
    state = start(settings, rows)
    dead = np.arange(64) >= 40
    silent = jnp.where(dead, settings.sae.dead_after_examples, 0).astype(jnp.int32)
    state = state._replace(examples_since_fired=silent)
    p, moments = in_numpy(state.model), {}
    one_step = jax.jit(functools.partial(step.train_step, config=settings))
    for t in range(5):
        x = rows[64 * t : 64 * (t + 1)]
        dead = np.asarray(state.examples_since_fired) >= settings.sae.dead_after_examples
        state, metrics = one_step(state, jnp.asarray(x))
        loss, _, _, gradient = oracle.loss_and_gradient(
            p, x.astype(float), k=3, k_aux=8, alpha=1 / 32, dead=dead, variance=0.7
        )
        assert metrics["loss"] == pytest.approx(loss, rel=1e-4)
        p, moments = oracle.adam_step(
            p, gradient, moments, t=t + 1, rate=1e-3 * min(1, (t + 1) / 3), clip=clip_norm
        )
    for name, found in in_numpy(state.model).items():
        # Adam divides by the root of a squared float32 gradient: where that is tiny, its
        # error is magnified, up to a few per cent of one step of 1e-3.
        np.testing.assert_allclose(found, p[name], atol=5e-5, err_msg=name)


def test_a_latent_is_dead_after_so_many_examples_and_alive_when_it_fires(tmp_path):
    settings = config(tmp_path, dead_after_examples=100)
    state = start(settings, planted_rows(100))
    x = jnp.asarray(planted_rows(64))
    state, _ = step.train_step(state, x, config=settings)
    codes = state.model.encode(x, settings.sae)
    silent = np.asarray(state.examples_since_fired)
    assert set(silent) == {0, 64}
    state, metrics = step.train_step(state, x, config=settings)
    assert metrics["dead_fraction"] == 0
    assert set(np.asarray(state.examples_since_fired)) <= {0, 64, 100}, (
        "saturates at the setting"
    )
    _, metrics = step.train_step(state, x, config=settings)
    assert metrics["dead_fraction"] == np.mean(np.asarray(state.examples_since_fired) == 100)
    assert codes.values.shape == (64, 3)


def test_a_block_is_its_steps_one_after_another(tmp_path):
    settings = config(tmp_path)
    rows = planted_rows(192)
    together, _ = jax.jit(functools.partial(step.train_block, config=settings))(
        start(settings, rows), jnp.asarray(rows.reshape(3, 64, 16))
    )
    alone = start(settings, rows)
    one_step = jax.jit(functools.partial(step.train_step, config=settings))
    for x in rows.reshape(3, 64, 16):
        alone, _ = one_step(alone, jnp.asarray(x))
    for found, wanted in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_rows_are_cast_on_the_device(tmp_path, dtype):
    settings = config(tmp_path)
    stored = planted_rows(64).astype(dtype)
    block = jax.jit(functools.partial(step.train_block, config=settings))
    found, _ = block(start(settings, planted_rows(64)), jnp.asarray(stored[None]))
    wanted, _ = block(
        start(settings, planted_rows(64)), jnp.asarray(stored[None].astype(np.float32))
    )
    assert_same(found, wanted)


def test_averaged_parameters_follow_and_are_what_is_evaluated(tmp_path):
    settings = config(tmp_path, ema_decay=0.9, learning_rate=1e-2, warmup_steps=0)
    state = start(settings, planted_rows(64))
    first = np.asarray(state.model.W_enc)
    state, _ = step.train_step(state, jnp.asarray(planted_rows(64)), config=settings)
    expected = 0.9 * first + 0.1 * np.asarray(state.model.W_enc)
    np.testing.assert_allclose(state.ema.W_enc, expected, atol=1e-6)
    assert step.evaluated(state) is state.ema
    assert start(config(tmp_path), planted_rows(64)).ema is None


def test_the_learning_rate_rises_stays_and_falls_to_nothing(tmp_path):
    settings = config(
        tmp_path, n_steps=100, warmup_steps=10, decay_fraction=0.2, learning_rate=1.0
    )
    rates = [float(optimizer.learning_rate(settings, jnp.int32(s))) for s in range(100)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(rates[10:80], 1)
    np.testing.assert_allclose(rates[80:], np.arange(20, 0, -1) / 20, rtol=1e-6)
    constant = config(tmp_path, warmup_steps=0, decay_fraction=0.0, learning_rate=1e-4)
    for at in (0, 30, 59):
        assert float(optimizer.learning_rate(constant, jnp.int32(at))) == pytest.approx(1e-4)


def test_a_planted_dictionary_is_recovered(tmp_path):
    """Rows are sums of three of 24 known directions: the decoder finds them."""
    settings = config(
        tmp_path, n_latents=32, n_steps=1_500, batch_size=256, learning_rate=5e-3,
        dead_after_examples=10_000,
    )  # fmt: skip
    rng = np.random.default_rng(99)
    directions = rng.normal(size=(24, 16))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    which = rng.permuted(np.tile(np.arange(24), (20_000, 1)), axis=1)[:, :3]
    rows = np.einsum("rk,rkd->rd", rng.uniform(0.5, 1.5, (20_000, 3)), directions[which])
    rows = rows.astype(np.float32)
    state = start(settings, rows[:5_000])
    block = jax.jit(functools.partial(step.train_block, config=settings))
    for _ in range(30):
        drawn = rng.integers(0, len(rows), (50, 256))
        state, metrics = block(state, jnp.asarray(rows[drawn]))
    cosines = np.asarray(state.model.W_dec[...]) @ directions.T
    found = cosines.max(axis=0)
    assert np.mean(found > 0.95) > 0.8, found
    assert float(metrics["fvu"][-1]) * 0.7 / rows.var(axis=0).sum() < 0.1


@pytest.mark.parametrize("selection", ["lax", "chunks"])
@pytest.mark.parametrize("batch_size", [64, 520, 1_000])
def test_no_step_sorts_whole_rows(tmp_path, selection, batch_size):
    """XLA on a CPU does where a top-k's result is cut, as for the last 8 of 520: see _top_k."""
    settings = config(tmp_path, n_latents=512, k=32, selection=selection)
    settings.batch_size = batch_size
    state = start(settings, planted_rows(64))
    rows = jnp.zeros((2, batch_size, 16))
    block = jax.jit(functools.partial(step.train_block, config=settings))
    text = setup.compile_lowered(block.lower(state, rows)).as_text()
    assert 'custom_call_target="TopK"' in text
    assert not re.findall(r"= \(f32\S* .* sort\(", text)
