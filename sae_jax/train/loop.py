"""Training, from the first step or the last checkpoint to the end: the place with effects."""

import contextlib
import functools
import pathlib
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from sae_jax.config import Config
from sae_jax.data.prefetch import prefetch
from sae_jax.data.shards import ShardReader
from sae_jax.data.stream import RowStream
from sae_jax.errors import RunAgain, TrainingError
from sae_jax.train import evaluate, run_folder, setup, statistics, step, summary
from sae_jax.train.checkpoint import Checkpoints
from sae_jax.train.metrics import MetricsLog
from sae_jax.train.setup import Block

Measured = dict[str, Float[Array, " steps"]]
SHOWN = ("fvu", "l0", "dead_fraction")


def train(config: Config, *, reader: ShardReader, workdir: pathlib.Path) -> dict[str, Any]:
    """Trains to n_steps, resuming by itself; returns the summary, which it also writes.

    In the order evaluate → save → draw the rows → step → log, so that a resume repeats
    nothing. What a block of steps measured is fetched after the next was dispatched, so
    the device never waits for the host.

    Raises:
        RunAgain: stopped by SIGTERM or Ctrl-C, with everything saved.
        TrainingError: the loss is not finite; the message names step and rows.
    """
    setup.check_data(config, reader)
    run_folder.settle_config(config, workdir=workdir)
    data = statistics.measure(reader)
    measure = evaluate.make_evaluator(reader, mean=data.mean, config=config.sae)
    spread = statistics.spread_positions(len(reader.held_out_ids), most=config.eval_rows)
    held_out_ids = reader.held_out_ids[spread]
    stream = RowStream(
        reader=reader,
        seed=config.seed,
        batch_size=config.batch_size,
        window_rows=config.window_rows,
    )
    checkpoints = Checkpoints(workdir / "checkpoints")
    state = setup.initial_state(config, reader=reader, data=data)
    state, first, seconds_before = setup.resume(checkpoints, state, reader=reader)
    train_block = jax.jit(
        functools.partial(step.train_block, config=config), donate_argnames="state"
    )
    log = MetricsLog(workdir, n_steps=config.n_steps, batch_size=config.batch_size, step=first)
    blocks = prefetch(
        lambda start: setup.draw(stream, start=start, config=config),
        steps=range(first, config.n_steps, config.block_steps),
    )
    started = time.monotonic()

    def save(at: int) -> None:
        quality = measure(step.evaluated(state), held_out_ids)
        measured = {"fvu": quality.fvu, "cosine": quality.cosine, "l0": quality.l0}
        log.write(at, measured, split="held_out")
        seconds = seconds_before + time.monotonic() - started
        meta = {"data_fingerprint": reader.fingerprint, "seconds": seconds}
        checkpoints.save(state, step=at, meta=meta, fvu=quality.fvu)

    with contextlib.ExitStack() as at_the_end, stop_requests() as stop:
        for resource in (checkpoints, log, blocks):
            at_the_end.callback(resource.close)
        pending: tuple[Block, Measured] | None = None
        for block in blocks:
            due = block.start % config.checkpoint_every_steps == 0 or stop.is_set()
            if due and pending:
                settle(*pending, config=config, reader=reader, log=log)
                pending = None
                save(block.start)
            if stop.is_set():
                checkpoints.wait()
                raise RunAgain(
                    f"stopped at step {block.start} of {config.n_steps}, everything saved in "
                    f"{workdir}. Run the same command again to go on from there."
                )
            with jax.transfer_guard("disallow"):
                state, measured = train_block(state, block.rows)
                if pending:
                    settle(*pending, config=config, reader=reader, log=log)
            pending = block, measured
        if pending:
            settle(*pending, config=config, reader=reader, log=log)
            save(config.n_steps)
        checkpoints.wait()
        seconds = seconds_before + time.monotonic() - started
        result = summary.summarise(
            config, reader=reader, data=data, model=step.evaluated(state), seconds=seconds
        )
        run_folder.write_summary(workdir, result)
    return result


def settle(
    block: Block, measured: Measured, *, config: Config, reader: ShardReader, log: MetricsLog
) -> None:
    """Fetches what a block measured; stops at a loss that is not finite; logs where due."""
    host = jax.device_get(measured)
    finite = np.isfinite(host["loss"]) & np.isfinite(host["gradient_norm"])
    if not finite.all():
        _explain_not_finite(block, at=int(np.argmin(finite)), reader=reader)
    if block.end % config.log_every_steps and block.end != config.n_steps:
        return
    means = {name: float(np.mean(values)) for name, values in host.items()}
    # The order of rows is a promise; the checksum lets anyone audit it.
    order = {"row_ids_crc32": zlib.crc32(block.row_ids.tobytes())}
    log.write(block.end, means | order, split="train")
    log.show(block.end, {name: means[name] for name in SHOWN})


def _explain_not_finite(block: Block, *, at: int, reader: ShardReader) -> None:
    row_ids = block.row_ids[at]
    rows = reader.read(row_ids).astype(np.float32)
    cause = statistics.not_finite(reader, row_ids=row_ids, rows=rows) or (
        "its rows are finite, so the steps grew too large. Lower "
        "--config.optimizer.learning_rate, or raise --config.optimizer.warmup_steps"
    )
    raise TrainingError(
        f"the loss or gradient of step {block.start + at} is not finite: {cause}. The last "
        "checkpoint holds the state before and was kept."
    )


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that SIGTERM, or a first Ctrl-C, sets; a second Ctrl-C interrupts at once."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested  # a notebook's thread: signals are not ours there
        return

    def ask(number: int, _: object) -> None:
        requested.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
