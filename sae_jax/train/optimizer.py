"""Adam with a clipped gradient, and how its learning rate moves with size and time."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from sae_jax.config import Config

# Measured: experiments/studies/learning_rate.py, its table in BUILD.md.
BASE_LEARNING_RATE = 4e-3  # at n_latents 3,072 and batch 1,024
ADAM_B1, ADAM_B2, ADAM_EPS = 0.9, 0.999, 1e-8


def peak_learning_rate(config: Config) -> float:
    """The setting, or by rule: 4e-3 · (3,072 / n_latents)^¼ · (batch_size / 1,024)^½.

    The rule stays 1.4 times below the rates at which latents begin to die.
    """
    if config.optimizer.learning_rate:
        return config.optimizer.learning_rate
    by_size = (3_072 / config.sae.n_latents) ** 0.25
    by_batch = (config.batch_size / 1_024) ** 0.5
    return BASE_LEARNING_RATE * by_size * by_batch


def learning_rate(config: Config, step: Int[Array, ""]) -> Float[Array, ""]:
    """Linear warm-up to the peak, constant, then linear decay to 0 at n_steps."""
    optimizer = config.optimizer
    rising = (step + 1) / max(optimizer.warmup_steps, 1)
    n_decay = max(round(optimizer.decay_fraction * config.n_steps), 1)
    falling = (config.n_steps - step) / n_decay
    if not optimizer.decay_fraction:
        falling = jnp.ones(())
    share = jnp.clip(jnp.minimum(rising, falling), 0.0, 1.0)
    return peak_learning_rate(config) * share


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Clip by global norm, then Adam. The decoder's gradient is projected before."""
    return optax.chain(
        optax.clip_by_global_norm(config.optimizer.clip_norm),
        optax.scale_by_adam(b1=ADAM_B1, b2=ADAM_B2, eps=ADAM_EPS),
    )


def apply_step(model, updates, *, rate: Float[Array, ""]):  # type: ignore[no-untyped-def]
    """The parameters moved by −rate times the updates."""
    return jax.tree.map(lambda p, u: p - rate * u, model, updates)
