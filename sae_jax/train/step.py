"""One optimiser step, and a block of them in one compiled program: pure functions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from sae_jax.config import Config
from sae_jax.model import sparse
from sae_jax.model.protocol import Autoencoder, Metrics, Varied
from sae_jax.train import optimizer as optim
from sae_jax.train.optimizer import AdamState


class TrainState(NamedTuple):
    """All that a run needs to go on: what a checkpoint holds."""

    step: Int[Array, ""]
    model: Autoencoder
    opt_state: AdamState
    ema: Autoencoder | None  # averaged parameters, where the setting asks for them
    examples_since_fired: Int[Array, " n_latents"]  # stops at dead_after_examples
    data_variance: Float[Array, ""]  # mean ‖x − mean(x)‖² over the training rows


def create_state(
    model: Autoencoder, *, config: Config, data_variance: Float[Array, ""]
) -> TrainState:
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        model=model,
        opt_state=optim.init_adam(model, config),
        ema=jax.tree.map(jnp.copy, model) if config.optimizer.ema_decay else None,
        examples_since_fired=jnp.zeros(config.sae.n_latents, jnp.int32),
        data_variance=jnp.asarray(data_variance, jnp.float32),
    )


def varied_of(config: Config) -> Varied:
    """The settings of this config that the members of a population may differ in."""
    sae = config.sae
    return Varied(
        k=jnp.asarray(sae.k, jnp.int32),
        auxk_coefficient=jnp.asarray(sae.auxk_coefficient, jnp.float32),
        multi_topk_coefficient=jnp.asarray(sae.multi_topk_coefficient, jnp.float32),
        learning_rate=jnp.asarray(optim.peak_learning_rate(config), jnp.float32),
    )


def train_step(
    state: TrainState,
    x: Float[Array, "batch d_in"],
    *,
    config: Config,
    varied: Varied | None = None,
) -> tuple[TrainState, Metrics]:
    """Gradient, its projection, clip, Adam, unit rows, counters: in this order."""
    sae, model = config.sae, state.model
    dead = state.examples_since_fired >= sae.dead_after_examples

    gradient, (codes, metrics) = model.gradient(
        x, dead=dead, data_variance=state.data_variance, config=sae, varied=varied
    )
    peak = varied.learning_rate if varied else None
    model, opt_state, of_step = optim.adam_step(
        model, gradient, state.opt_state, step=state.step, config=config, peak=peak
    )

    ema, decay = state.ema, config.optimizer.ema_decay
    if ema is not None:
        ema = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, ema, model).constrained()

    fired = sparse.fired(codes, n_latents=sae.n_latents)
    # Saturates, so that the counter cannot overflow.
    silent = jnp.minimum(state.examples_since_fired + len(x), sae.dead_after_examples)
    state = TrainState(
        step=state.step + 1,
        model=model,
        opt_state=opt_state,
        ema=ema,
        examples_since_fired=jnp.where(fired, 0, silent),
        data_variance=state.data_variance,
    )
    return state, metrics | {
        "l0": jnp.mean(jnp.sum(codes.values > 0, axis=-1).astype(jnp.float32)),
        "dead_fraction": jnp.mean(dead.astype(jnp.float32)),
        **of_step,
    }


def train_block(
    state: TrainState,
    rows: Shaped[Array, "steps batch d_in"],
    *,
    config: Config,
    varied: Varied | None = None,
) -> tuple[TrainState, dict[str, Float[Array, " steps"]]]:
    """As many steps as there are batches; rows come in their stored dtype and are cast here."""

    def one_step(state: TrainState, x: Array) -> tuple[TrainState, Metrics]:
        return train_step(state, x.astype(jnp.float32), config=config, varied=varied)

    return jax.lax.scan(one_step, state, rows)


def evaluated(state: TrainState) -> Autoencoder:
    """The parameters that are evaluated and loaded: the averaged ones where there are any."""
    return state.model if state.ema is None else state.ema
