"""What training starts from: the initial or the restored state, and the rows of each block."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from sae_jax.config import Config
from sae_jax.data.shards import ShardReader
from sae_jax.data.stream import RowStream
from sae_jax.errors import CheckpointError, UsageError
from sae_jax.model.registry import architecture
from sae_jax.train import statistics, step
from sae_jax.train.checkpoint import Checkpoints
from sae_jax.train.statistics import DataStatistics
from sae_jax.train.step import TrainState

INIT_ROWS = 8_192  # for the geometric median: its error is 1 % of the rows' spread
PAPER_INIT_ROWS = 10_000  # the first ones, for the paper's coordinate-wise median


class Block(NamedTuple):
    """The rows of a few consecutive steps, on the device."""

    start: int  # its first step
    row_ids: Int[np.ndarray, "steps batch"]
    rows: Shaped[Array, "steps batch d_in"]

    @property
    def end(self) -> int:
        """The step after its last."""
        return self.start + len(self.row_ids)


def check_data(config: Config, reader: ShardReader) -> None:
    """Raises UsageError where the data cannot serve this config."""
    if reader.d_in != config.sae.d_in:
        raise UsageError(
            f"{reader.folder}: its rows are {reader.d_in} wide; expected sae.d_in="
            f"{config.sae.d_in}. Set --config.sae.d_in={reader.d_in}, or choose other shards."
        )
    if not len(reader.held_out_ids) or not reader.n_train:
        raise UsageError(
            f"{reader.folder}: has {reader.n_train} training and {len(reader.held_out_ids)} "
            "held-out rows; expected at least one of each, and many more for a useful "
            "dictionary. Add rows."
        )


def initial_state(config: Config, *, reader: ShardReader, data: DataStatistics) -> TrainState:
    """The state at step 0, a function of the config's seed and the data alone."""
    if config.sae.init == "paper":
        positions = np.arange(min(PAPER_INIT_ROWS, reader.n_train))
    else:
        positions = statistics.spread_positions(reader.n_train, most=INIT_ROWS)
    rows = reader.read(reader.train_row_ids(positions)).astype(np.float32)
    create = architecture(config.sae.architecture).create
    model = create(config.sae, seed=config.seed, rows=rows)
    return step.create_state(model, config=config, data_variance=jnp.float32(data.variance))


def resume(
    checkpoints: Checkpoints, state: TrainState, *, reader: ShardReader
) -> tuple[TrainState, int, float]:
    """The newest whole checkpoint's state, its step, and the seconds trained before it.

    Raises:
        CheckpointError: it was trained on other data.
    """
    restored = checkpoints.restore_latest(state)
    if restored is None:
        return state, 0, 0.0
    state, meta = restored
    if meta["data_fingerprint"] != reader.fingerprint:
        raise CheckpointError(
            f"{checkpoints.folder}: was trained on data with fingerprint "
            f"{meta['data_fingerprint'][:12]}…; {reader.folder} has "
            f"{reader.fingerprint[:12]}…. Nothing was changed. Give the shards that the run "
            "began with, or another --workdir."
        )
    return state, int(meta["step"]), float(meta["seconds"])


def draw(stream: RowStream, *, start: int, config: Config) -> Block:
    """The rows of the steps from `start` to the end of its block, put on the device."""
    steps = range(start, min(start + config.block_steps, config.n_steps))
    row_ids = np.stack([stream.row_ids(step) for step in steps])
    rows = np.stack([stream.batch(step) for step in steps])
    return Block(start, row_ids, jax.device_put(rows))
