"""What training starts from: the initial or the restored state, and the rows of each block."""

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Shaped

from sae_jax.config import Config
from sae_jax.data.shards import ShardReader
from sae_jax.data.stream import RowStream
from sae_jax.errors import CheckpointError, UsageError
from sae_jax.model.registry import architecture
from sae_jax.train import processes, sharding, statistics, step
from sae_jax.train.checkpoint import Checkpoints
from sae_jax.train.statistics import DataStatistics
from sae_jax.train.step import TrainState

Measured = dict[str, Float[Array, " steps"]]
TrainBlock = Callable[[TrainState, Array], tuple[TrainState, Measured]]
INIT_ROWS = 8_192  # for the geometric median: its error is 1 % of the rows' spread
PAPER_INIT_ROWS = 10_000  # the first ones, for the paper's coordinate-wise median


class Block(NamedTuple):
    """The rows of a few consecutive steps, on the devices."""

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


def check_run(config: Config, *, reader: ShardReader, mesh: Mesh) -> None:
    """Raises UsageError, on all processes, where this run cannot begin on this mesh."""
    with processes.together():
        check_data(config, reader)
        sharding.check_layout(config, mesh)
    processes.require_same(reader.fingerprint, what=f"the data in {reader.folder}")
    processes.require_same(config.to_json(), what="the settings")


def measure_data(reader: ShardReader) -> DataStatistics:
    """By process 0 for all: a large corpus is read once, and all have the same bits."""
    return processes.from_first(lambda: statistics.measure(reader))


def held_out_ids(config: Config, *, reader: ShardReader) -> Int[np.ndarray, " rows"]:
    """The rows of an evaluation during training, spread over all held-out ones."""
    spread = statistics.spread_positions(len(reader.held_out_ids), most=config.eval_rows)
    return reader.held_out_ids[spread]


def row_stream(config: Config, *, reader: ShardReader) -> RowStream:
    return RowStream(
        reader=reader,
        seed=config.data_seed,
        batch_size=config.batch_size,
        window_rows=config.window_rows,
    )


def initial_state(
    config: Config, *, reader: ShardReader, data: DataStatistics, mesh: Mesh | None = None
) -> TrainState:
    """The state at step 0, a function of the config's seed and the data alone.

    Its place on the mesh does not change a bit of it.
    """
    if config.sae.init == "paper":
        positions = np.arange(min(PAPER_INIT_ROWS, reader.n_train))
    else:
        positions = statistics.spread_positions(reader.n_train, most=INIT_ROWS)
    rows = reader.read(reader.train_row_ids(positions)).astype(np.float32)

    create = functools.partial(_create, config, rows=rows, variance=data.variance)
    return sharding.created(create, mesh=mesh or sharding.one_device())


def _create(config: Config, *, rows: np.ndarray, variance: float) -> TrainState:
    create = architecture(config.sae.architecture).create
    model = create(config.sae, seed=config.seed, rows=rows)
    return step.create_state(model, config=config, data_variance=jnp.float32(variance))


def compile_block(config: Config, *, mesh: Mesh, state: TrainState) -> jax.stages.Wrapped:
    """The program of a block of steps: to be called under `jax.set_mesh`; donates the state."""
    of_state = sharding.state_shardings(mesh, state)
    return jax.jit(
        functools.partial(step.train_block, config=config),
        in_shardings=(of_state, NamedSharding(mesh, sharding.ROWS_SPEC)),
        out_shardings=(of_state, NamedSharding(mesh, P())),
        donate_argnums=0,
    )


def compile_ahead(config: Config, *, mesh: Mesh, reader: ShardReader) -> TrainBlock:
    """`compile_block`, before there is a state to make room for.

    What compiling takes for a while then serves the state instead of adding to it.
    """
    state = abstract_state(config)
    jitted = compile_block(config, mesh=mesh, state=state)
    return compile_for_blocks(jitted, state, config=config, mesh=mesh, dtype=reader.dtype)


def abstract_state(config: Config) -> TrainState:
    """The shapes and types of a state."""
    rows = np.zeros((1, config.sae.d_in), np.float32)
    return jax.eval_shape(functools.partial(_create, config, rows=rows, variance=1.0))


def compile_for_blocks(
    jitted: jax.stages.Wrapped,
    state: Any,
    *more: Any,
    config: Config,
    mesh: Mesh,
    dtype: np.dtype,
) -> Callable[..., tuple[Any, Any]]:
    """A function of (state, rows, *more), compiled for blocks of this config's length."""

    @functools.cache  # a run's last block may have fewer steps
    def compiled(n_steps: int) -> jax.stages.Compiled:
        shape = (n_steps, config.batch_size, config.sae.d_in)
        block = jax.ShapeDtypeStruct(shape, dtype)
        with jax.set_mesh(mesh):
            return compile_lowered(jitted.lower(state, block, *more))

    with _freed_memory_goes_back():
        compiled(min(config.block_steps, config.n_steps))

    def run(state: Any, rows: Array, *more: Any) -> tuple[Any, Any]:
        if jax.default_backend() == "cpu":
            # A second block under way would take its memory twice, and gain nothing.
            jax.block_until_ready(state.step)
        return compiled(len(rows))(state, rows, *more)

    return run


def compile_lowered(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """By the older of XLA:CPU's two ways to emit code, while it has both.

    The programs are as fast, and compiling one takes 110 MB at its peak instead of more than
    300 (d_in 384, n_latents 6,144; JAX 0.10). JAX 0.12 has only the newer one.
    """
    if jax.default_backend() == "cpu":
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # there is no such option
            return lowered.compile(compiler_options={"xla_cpu_use_fusion_emitters": False})
    return lowered.compile()


@contextlib.contextmanager
def _freed_memory_goes_back() -> Iterator[None]:
    """Has glibc return what is freed in here, and large arrays from then on.

    Otherwise it keeps room for each thread and, after the first large array is freed, for
    others like it: 60 MB of 350 in a run of 6,144 latents. Other libraries need no telling.
    """
    arena_max, mmap_threshold = -8, -3  # of malloc.h
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(arena_max, 2)
        library.mallopt(mmap_threshold, 4 * 2**20)
    yield
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


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


def draw(stream: RowStream, *, start: int, config: Config, mesh: Mesh | None = None) -> Block:
    """The rows of the steps from `start` to the end of its block, put on the devices.

    Each process reads only those of its own devices.
    """
    mesh = mesh or sharding.one_device()
    steps = range(start, min(start + config.block_steps, config.n_steps))
    here = sharding.rows_here(mesh, n_rows=config.batch_size)
    drawn = stream.batches(steps, rows=here)
    placed = sharding.put(
        drawn.rows, mesh=mesh, spec=sharding.ROWS_SPEC, n_rows=config.batch_size
    )
    return Block(start, drawn.row_ids, placed)
