"""Adam with a clipped gradient, and how its learning rate moves with size and time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sae_jax.config import Config
from sae_jax.model import init
from sae_jax.model.protocol import Autoencoder, Metrics

# Measured: experiments/studies/learning_rate.py and experiments/learning_rate_k.py; BUILD.md.
BASE_LEARNING_RATE = 4e-3  # at n_latents 3,072, k 32 and batch 1,024
ADAM_B1, ADAM_B2, ADAM_EPS = 0.9, 0.999, 1e-8


def peak_learning_rate(config: Config) -> float:
    """The setting, or a rule: 4e-3 · (3,072 / n_latents)^¼ · (k / 32 · batch_size / 1,024)^½.

    The rule stays 1.4 times below the rates at which latents begin to die.
    """
    if config.optimizer.learning_rate:
        return config.optimizer.learning_rate
    by_size = (3_072 / config.sae.n_latents) ** 0.25
    by_use = (config.sae.k / 32 * config.batch_size / 1_024) ** 0.5
    return BASE_LEARNING_RATE * by_size * by_use


def learning_rate(
    config: Config, step: Int[Array, ""], *, peak: Float[Array, ""] | None = None
) -> Float[Array, ""]:
    """Linear warm-up to the peak, constant, then linear decay to 0 at n_steps."""
    optimizer = config.optimizer
    rising = (step + 1) / max(optimizer.warmup_steps, 1)
    n_decay = max(round(optimizer.decay_fraction * config.n_steps), 1)
    falling = (config.n_steps - step) / n_decay
    if not optimizer.decay_fraction:
        falling = jnp.ones(())
    share = jnp.clip(jnp.minimum(rising, falling), 0.0, 1.0)
    return (peak_learning_rate(config) if peak is None else peak) * share


class AdamState(NamedTuple):
    """Adam's moments, in the shape of the parameters."""

    mu: Autoencoder
    nu: Autoencoder


def init_adam(model: Autoencoder, config: Config) -> AdamState:
    """Moments of zero. The first may be bfloat16; the second must be float32.

    Its increments are a thousandth of it, which bfloat16 would round away.
    """
    dtype = jnp.dtype(config.optimizer.first_moment)
    return AdamState(
        mu=jax.tree.map(lambda p: jnp.zeros_like(p, dtype), model),
        nu=jax.tree.map(jnp.zeros_like, model),
    )


def adam_step(
    model: Autoencoder,
    gradient: Autoencoder,
    state: AdamState,
    *,
    step: Int[Array, ""],
    config: Config,
    peak: Float[Array, ""] | None = None,
) -> tuple[Autoencoder, AdamState, Metrics]:
    """One step of Adam after clipping by global norm; the decoder's rows stay unit.

    Equal to Optax's clip_by_global_norm and adam (tests/train/test_optimizer.py), in the
    order of operations that reads and writes each array least: XLA on a CPU otherwise
    writes the bias corrections out in full, for 20 ms a step instead of 8 (n_latents
    6,144, d_in 384).
    """
    gradient = model.project(gradient)
    norm = jnp.sqrt(
        sum(init.squared_norms(jnp.atleast_2d(g)).sum() for g in jax.tree.leaves(gradient))
    )
    clip = jnp.minimum(1.0, config.optimizer.clip_norm / jnp.maximum(norm, 1e-30))
    rate = learning_rate(config, step, peak=peak)
    done = (step + 1).astype(jnp.float32)
    correction = jnp.sqrt(1 - ADAM_B2**done)
    step_size, eps = rate * correction / (1 - ADAM_B1**done), ADAM_EPS * correction

    def first(m: Array, g: Array) -> Array:
        return (ADAM_B1 * m + ((1 - ADAM_B1) * clip) * g).astype(m.dtype)

    def second(v: Array, g: Array) -> Array:
        return ADAM_B2 * v + ((1 - ADAM_B2) * clip**2) * g**2

    mu = jax.tree.map(first, state.mu, gradient)
    nu = jax.tree.map(second, state.nu, gradient)
    moved = jax.tree.map(lambda p, m, v: p - step_size * m / (jnp.sqrt(v) + eps), model, mu, nu)
    model = moved.constrained()
    return model, AdamState(mu, nu), {"gradient_norm": norm, "learning_rate": rate}
