"""Training, from the first step or the last checkpoint to the end: the place with effects."""

import contextlib
import pathlib
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from sae_jax.config import Config
from sae_jax.data.prefetch import prefetch
from sae_jax.data.shards import ShardReader
from sae_jax.errors import RunAgain, TrainingError
from sae_jax.train import (
    evaluate,
    processes,
    run_folder,
    setup,
    sharding,
    statistics,
    step,
    summary,
)
from sae_jax.train.checkpoint import Checkpoints
from sae_jax.train.metrics import Log, open_log
from sae_jax.train.processes import StopAgreement
from sae_jax.train.setup import Block, Measured
from sae_jax.train.watchdog import Watchdog

SHOWN = ("fvu", "l0", "dead_fraction")


def train(
    config: Config, *, reader: ShardReader, workdir: pathlib.Path,
    mesh: Mesh | None = None, watch: Watchdog | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Trains to n_steps, resuming by itself; returns the summary, which it also writes.

    In the order evaluate → save → draw the rows → step → log, so that a resume repeats
    nothing. What a block of steps measured is fetched after the next was dispatched, so
    the devices never wait for the host. All processes call it alike; the first one writes.
    Mesh (default: all devices along `data`) and processes may differ from resume to resume.

    Raises:
        RunAgain: stopped by SIGTERM or Ctrl-C, with everything saved.
        TrainingError: the loss is not finite; the message names step and rows.
    """
    mesh, watch = mesh or sharding.make_mesh(latent_shards=1), watch or Watchdog()
    setup.check_run(config, reader=reader, mesh=mesh)
    processes.from_first(lambda: run_folder.settle_config(config, workdir=workdir))
    data = setup.measure_data(reader)
    measure = evaluate.make_evaluator(reader, mean=data.mean, config=config.sae, mesh=mesh)
    held_out_ids = setup.held_out_ids(config, reader=reader)
    stream = setup.row_stream(config, reader=reader)
    checkpoints = Checkpoints(workdir / "checkpoints")
    train_block = setup.compile_ahead(config, mesh=mesh, reader=reader)
    state = setup.initial_state(config, reader=reader, data=data, mesh=mesh)
    state, first, seconds_before = setup.resume(checkpoints, state, reader=reader)
    log = open_log(workdir, config=config, step=first)
    blocks = prefetch(
        lambda start: setup.draw(stream, start=start, config=config, mesh=mesh),
        steps=range(first, config.n_steps, config.block_steps),
    )
    started = time.monotonic()

    def finish(pending: tuple[Block, Measured]) -> None:
        settle(*pending, config=config, reader=reader, log=log)
        watch.progress(pending[0].end)
        if logged(pending[0].end, config=config):
            log.timing(pending[0].end, starved_seconds=blocks.starved_seconds)

    def save(at: int) -> None:
        watch.slow()
        quality = measure(step.evaluated(state), held_out_ids)
        measured = {"fvu": quality.fvu, "cosine": quality.cosine, "l0": quality.l0}
        log.write(at, measured, split="held_out")
        seconds = seconds_before + time.monotonic() - started
        meta = {"data_fingerprint": reader.fingerprint, "seconds": seconds}
        checkpoints.save(state, step=at, meta=meta, fvu=quality.fvu)
        watch.progress(at)

    with contextlib.ExitStack() as at_the_end, stop_requests() as requested, watch.guard():
        for resource in (checkpoints, log, blocks):
            at_the_end.callback(resource.close)
        stop = StopAgreement(requested, mesh=mesh)
        watch.progress(first)
        pending: tuple[Block, Measured] | None = None
        for block in blocks:
            stopping = stop.agreed()
            due = block.start % config.checkpoint_every_steps == 0 or stopping
            if due and pending:
                finish(pending)
                pending = None
                save(block.start)
                stopping = stop.agreed()  # asked meanwhile: everything is saved right now
            if stopping:
                checkpoints.wait()
                raise RunAgain(
                    f"stopped at step {block.start} of {config.n_steps}, everything saved in "
                    f"{workdir}. Run the same command again to go on from there."
                )
            stop.ask()
            with jax.transfer_guard("disallow"), jax.set_mesh(mesh):
                state, measured = train_block(state, block.rows)
                if pending:
                    finish(pending)
            pending = block, measured
        if pending:
            finish(pending)
            save(config.n_steps)
        checkpoints.wait()
        watch.rest()
        result = summary.summarise(
            config, reader=reader, data=data, model=step.evaluated(state), mesh=mesh,
            seconds=seconds_before + time.monotonic() - started,
        )  # fmt: skip
        processes.from_first(lambda: run_folder.write_summary(workdir, result))
    return result


def settle(
    block: Block, measured: Measured, *, config: Config, reader: ShardReader, log: Log
) -> None:
    """Fetches what a block measured; stops at a loss that is not finite; logs where due."""
    host = jax.device_get(measured)
    finite = np.isfinite(host["loss"]) & np.isfinite(host["gradient_norm"])
    if not finite.all():
        at = int(np.argmin(finite))
        processes.from_first(lambda: _explain_not_finite(block, at=at, reader=reader))
    if not logged(block.end, config=config):
        return
    means = {name: float(np.mean(values)) for name, values in host.items()}
    # The order of rows is a promise; the checksum lets anyone audit it.
    order = {"row_ids_crc32": zlib.crc32(block.row_ids.tobytes())}
    log.write(block.end, means | order, split="train")
    log.show(block.end, {name: means[name] for name in SHOWN})


def logged(step: int, *, config: Config) -> bool:
    return step % config.log_every_steps == 0 or step == config.n_steps


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
