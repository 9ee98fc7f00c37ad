"""What a run will cost, said before it starts: parameters, memory, time, disk."""

import dataclasses
import functools
import os
import pathlib
import shutil
import time

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from sae_jax.config import Config
from sae_jax.data.shards import ShardReader
from sae_jax.model import matmul as matmuls
from sae_jax.model import paths
from sae_jax.train import sharding
from sae_jax.train.metrics import duration
from sae_jax.train.optimizer import peak_learning_rate

# Measured on CPUs (sparse: d_in 384 to 1,536, n_latents 3,072 to 12,288): a step takes
# this many times its encoder product. Dense steps do five more such products.
STEP_OVER_ENCODER = {"sparse": 3.5, "dense": 6.0}
CHECKPOINTS_KEPT = 4  # the latest two, the best, and one in flight
PREFETCHED_BLOCKS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    n_parameters: int
    state_bytes: int
    device_bytes: int
    host_bytes: int
    disk_bytes: int
    seconds: float
    products: str
    peak_learning_rate: float
    n_epochs: float


def make_plan(config: Config, reader: ShardReader, *, mesh: Mesh | None = None) -> Plan:
    """Counts bytes; estimates time from one encoder product, timed here and now."""
    sae, mesh = config.sae, mesh or sharding.one_device()
    batch_size = config.batch_size // mesh.shape["data"]  # of one device, as is the next
    n_latents = sae.n_latents // mesh.shape["latent"]
    n_parameters = 2 * sae.d_in * sae.n_latents + sae.n_latents + sae.d_in
    # Bytes a parameter: its own, of Adam's two moments, of its average where there is one.
    kept = 8 + jnp.dtype(config.optimizer.first_moment).itemsize
    kept += 4 * bool(config.optimizer.ema_decay)
    state_bytes = kept * n_parameters + 4 * sae.n_latents
    row_bytes = sae.d_in * reader.dtype.itemsize
    block_bytes = config.block_steps * batch_size * row_bytes
    here = sharding.rows_here(mesh, n_rows=config.batch_size)
    host_block_bytes = config.block_steps * (here.stop - here.start) * row_bytes
    activations = 4 * batch_size * (2 * n_latents + 4 * sae.d_in)
    per_latent = (kept + 4) * (2 * sae.d_in + 1) + 4  # also gradients, and the counter
    device_share = per_latent * n_latents + (kept + 4) * sae.d_in
    products = paths.choose(sae).products
    if products == "dense":
        activations *= 3
    seconds = _encoder_seconds(
        batch_size, n_latents=n_latents, d_in=sae.d_in, matmul=sae.matmul
    )
    seconds *= STEP_OVER_ENCODER[products] * config.n_steps
    return Plan(
        n_parameters=n_parameters,
        state_bytes=state_bytes,
        device_bytes=device_share + activations + 2 * block_bytes,
        host_bytes=PREFETCHED_BLOCKS * host_block_bytes + config.window_rows * row_bytes * 2,
        disk_bytes=CHECKPOINTS_KEPT * state_bytes,
        seconds=seconds,
        products=products,
        peak_learning_rate=peak_learning_rate(config),
        n_epochs=config.n_steps * config.batch_size / reader.n_train,
    )


@functools.cache  # a sweep asks for many members of one size
def _encoder_seconds(batch_size: int, *, n_latents: int, d_in: int, matmul: str) -> float:
    """Best of three products [batch, d_in] × [d_in, n_latents] on this device."""
    x = jnp.ones((batch_size, d_in))
    W = jnp.ones((n_latents, d_in))
    product = jax.jit(lambda x, W: matmuls.product(x, W.T, matmul=matmul).sum())
    product(x, W).block_until_ready()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        product(x, W).block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)


def describe(
    plan: Plan,
    *,
    config: Config,
    reader: ShardReader,
    workdir: pathlib.Path,
    mesh: Mesh | None = None,
) -> str:
    """The plan as a person reads it."""
    sae, mesh = config.sae, mesh or sharding.one_device()
    each = "the device" if mesh.size == 1 else "each device"
    free = shutil.disk_usage(_existing(workdir)).free
    data_bytes = reader.n_rows * reader.d_in * reader.dtype.itemsize
    lines = [
        f"Plan for {workdir}",
        f"  data      {reader.folder}: {reader.n_train:,} training and "
        f"{len(reader.held_out_ids):,} held-out rows × {reader.d_in}, {reader.dtype.name}, "
        f"{size(data_bytes)}",
        f"  model     {sae.architecture}: {sae.n_latents:,} latents, k {sae.k}, "
        f"{plan.n_parameters:,} parameters",
        f"  steps     {config.n_steps:,} of {config.batch_size:,} examples: "
        f"{plan.n_epochs:.1f} epochs; learning rate up to {plan.peak_learning_rate:.2g}",
        f"  device    {sharding.describe(mesh)}",
        f"  step      {paths.describe(sae)}",
        f"  memory    {size(plan.device_bytes)} on {each}, "
        f"{size(plan.host_bytes)} of rows ahead of it on the host",
        f"  disk      up to {size(plan.disk_bytes)} of checkpoints ({size(free)} free)",
        f"  time      about {duration(plan.seconds)} of steps",
    ]
    if plan.disk_bytes > free:
        missing = size(plan.disk_bytes - free)
        lines.append(f"  WARNING   the checkpoints may need {missing} more than is free")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not config.window_rows and data_bytes > memory / 2:
        window = int(memory / 8 / (reader.d_in * reader.dtype.itemsize)) // 1_024 * 1_024
        lines.append(
            f"  WARNING   the data is more than half of this machine's {size(memory)} of "
            "memory: rows in random order would be read from disk one by one. "
            f"Add --config.window_rows={window} to shuffle within windows of rows"
        )
    return "\n".join(lines)


def _existing(path: pathlib.Path) -> pathlib.Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def size(n_bytes: float | int) -> str:
    """Bytes as a person says them: 640 kB, 1.5 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 999.5:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1_000
    return f"{n_bytes:.3g} TB"
