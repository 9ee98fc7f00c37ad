"""The worker of our trainer: the compiled block of steps, fed and read as train/loop.py does.

A round counts everything that the loop does between checkpoints: rows drawn by RowStream on
the prefetch thread and put on the device, the donated state, metrics fetched one block late.
"""

import functools
import os
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness import protocol
from sae_jax.config import Config, SaeConfig
from sae_jax.data.prefetch import prefetch
from sae_jax.data.shards import open_shards
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.train import evaluate, optimizer, setup, sharding, statistics, step

STANDSTILL = 1e-9  # a learning rate at which dead latents stay dead


class OurTrainer:
    """The defaults of sae_jax at the cell's size."""

    def __init__(self, request: dict[str, Any]) -> None:
        cell = request["cell"]
        self._reader = open_shards(pathlib.Path(request["shards"]))
        jax.devices()  # the backend starts with the first array, or here
        self.start_mb = protocol.memory_mb()[1]
        self._config = config = Config(
            sae=SaeConfig(d_in=cell["d_in"], n_latents=cell["n_latents"], k=cell["k"]),
            shards=request["shards"],
            n_steps=request["n_steps"],
            batch_size=cell["batch_size"],
        )
        if request["dead_fraction"]:
            config.optimizer.learning_rate = STANDSTILL
        config.validate()
        self._mesh = sharding.make_mesh(latent_shards=request.get("latent_shards", 1))
        setup.check_run(config, reader=self._reader, mesh=self._mesh)
        self._data = statistics.measure(self._reader)
        began = time.perf_counter()
        self._program = setup.compile_ahead(config, mesh=self._mesh, reader=self._reader)
        self._compile_seconds = time.perf_counter() - began
        state = setup.initial_state(
            config, reader=self._reader, data=self._data, mesh=self._mesh
        )
        if request["dead_fraction"]:
            state = with_dead(state, fraction=request["dead_fraction"], config=config)
        self._state = state
        self._pending: Any = None
        self._start_input()
        self.data_bytes = 0  # rows are read from the shards
        self.config = self._describe()

    def _start_input(self) -> None:
        """Starts the prefetch, and waits until it is as far ahead as it goes."""
        config = self._config
        stream = setup.row_stream(config, reader=self._reader)
        starts = range(0, config.n_steps, config.block_steps)
        self._n_blocks = len(starts)
        self._n_drawn = self._n_used = 0

        def draw(start: int) -> setup.Block:
            block = setup.draw(stream, start=start, config=config, mesh=self._mesh)
            self._n_drawn += 1
            return block

        self._blocks = prefetch(draw, steps=starts)
        before = -1
        while before != self._n_drawn:
            before = self._n_drawn
            time.sleep(0.5)
        self._ahead = self._n_drawn

    def _describe(self) -> dict[str, Any]:
        config = self._config
        return {
            "recipe": "defaults of sae_jax",
            "learning_rate": round(optimizer.peak_learning_rate(config), 6),
            "auxk": f"k_aux {config.sae.k_aux}",
            "block_steps": config.block_steps,
            "compile_seconds": round(self._compile_seconds, 1),
            "devices": sharding.describe(self._mesh),
        }

    def run(self, n_steps: int) -> int:
        n_done = 0
        while n_done < n_steps:
            block = next(self._blocks)
            self._n_used += 1
            with jax.set_mesh(self._mesh):
                self._state, measured = self._program(self._state, block.rows)
            if self._pending is not None:
                jax.device_get(self._pending)
            self._pending = measured
            n_done += len(block.row_ids)
        jax.block_until_ready(self._state)
        jax.device_get(self._pending)
        # As many blocks are drawn as were used: a round neither borrows nor leaves work.
        while self._n_drawn < min(self._n_used + self._ahead, self._n_blocks):
            time.sleep(1e-4)
        return n_done

    def fvu(self) -> float:
        measure = evaluate.make_evaluator(
            self._reader, mean=self._data.mean, config=self._config.sae, mesh=self._mesh
        )
        return measure(step.evaluated(self._state), self._reader.held_out_ids).fvu

    def close(self) -> None:
        self._blocks.close()


def with_dead(state: step.TrainState, *, fraction: float, config: Config) -> step.TrainState:
    """The state with latents that are dead already, and too weak to fire.

    They respond a little, of either sign, as dead latents do: AuxK has all its work. The
    config's learning rate must be so low that they stay as they are.
    """
    dead = np.asarray(protocol.dead_latents(config.sae.n_latents, fraction=fraction))
    model = state.model
    assert isinstance(model, TopKAutoencoder)
    model.W_enc_rows[...] = model.W_enc_rows[...].at[dead].multiply(1e-2)
    since = state.examples_since_fired.at[dead].set(config.sae.dead_after_examples)
    return state._replace(model=model, examples_since_fired=since)


class JaxWorker:
    def make(self, request: dict[str, Any]) -> OurTrainer:
        return OurTrainer(request)

    def matmul_gflops(self, shapes: list[list[int]]) -> float:
        product = jax.jit(jnp.matmul)
        best = 0.0
        for m, k, n in shapes:
            a, b = jnp.ones((m, k)), jnp.ones((k, n))
            call = functools.partial(lambda a, b: product(a, b).block_until_ready(), a, b)
            best = max(best, 2e-9 * m * k * n / protocol.best_seconds(call))
        return best

    def device_peak_mb(self) -> float | None:
        stats = jax.devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
        return stats["peak_bytes_in_use"] / 1e6 if stats else None


if __name__ == "__main__":
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    protocol.serve(JaxWorker())
