"""Our Adam equals Optax's; its options do what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sae_jax.config import Config, OptimizerConfig, SaeConfig
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.train import optimizer as optim

N, D = 24, 9


def make_config(**changes):
    return Config(
        sae=SaeConfig(d_in=D, n_latents=N, k=4),
        optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=0, **changes),
        shards="-",
        n_steps=100,
    )


def random_model(seed):
    rng = np.random.default_rng(seed)
    shapes = {"W_enc": (D, N), "b_enc": N, "W_dec": (N, D), "b_dec": D}
    return TopKAutoencoder(
        **{k: jnp.asarray(rng.normal(size=s), jnp.float32) for k, s in shapes.items()}
    )


@pytest.mark.parametrize("clip_norm", [1.0, 1e9])
def test_steps_equal_optax_with_projection_and_unit_rows(clip_norm):
    config = make_config(clip_norm=clip_norm, decay_fraction=0.0)
    ours = wanted = random_model(0).constrained()
    state = optim.init_adam(ours, config)
    reference = optax.chain(optax.clip_by_global_norm(clip_norm), optax.adam(1e-2))
    reference_state = reference.init(wanted)
    for step in range(12):
        gradient = random_model(step + 1)
        ours, state, measured = optim.adam_step(
            ours, gradient, state, step=jnp.int32(step), config=config
        )
        projected = wanted.project(gradient)
        updates, reference_state = reference.update(projected, reference_state)
        wanted = optax.apply_updates(wanted, updates).constrained()
        np.testing.assert_allclose(
            measured["gradient_norm"], optax.tree.norm(projected), rtol=1e-5
        )
    for found, expected in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6)


def test_a_bfloat16_first_moment_is_stored_so_and_changes_little():
    models, states = {}, {}
    for dtype in ("float32", "bfloat16"):
        config = make_config(first_moment=dtype)
        model = random_model(0).constrained()
        state = optim.init_adam(model, config)
        for step in range(12):
            model, state, _ = optim.adam_step(
                model, random_model(step), state, step=jnp.int32(step), config=config
            )
        models[dtype], states[dtype] = model, state
    assert {leaf.dtype for leaf in jax.tree.leaves(states["bfloat16"].mu)} == {
        jnp.dtype(jnp.bfloat16)
    }
    assert {leaf.dtype for leaf in jax.tree.leaves(states["bfloat16"].nu)} == {
        jnp.dtype(jnp.float32)
    }
    difference = np.abs(models["bfloat16"].W_dec[...] - models["float32"].W_dec[...]).max()
    assert 0 < difference < 2e-3  # of steps that sum up to 0.1


@pytest.mark.parametrize(
    ("n_latents", "k", "batch_size", "expected"),
    [
        (3_072, 32, 1_024, 4e-3),
        (49_152, 32, 1_024, 2e-3),
        (3_072, 128, 1_024, 8e-3),
        (3_072, 32, 256, 2e-3),
    ],
)
def test_the_rule_knows_size_k_and_batch(n_latents, k, batch_size, expected):
    sae = SaeConfig(d_in=384, n_latents=n_latents, k=k)
    config = Config(sae=sae, shards="-", n_steps=1, batch_size=batch_size)
    assert optim.peak_learning_rate(config) == pytest.approx(expected)
    config.optimizer.learning_rate = 1e-4
    assert optim.peak_learning_rate(config) == 1e-4
