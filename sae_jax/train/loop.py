"""Training, from the first step or the last checkpoint to the end: the place with effects."""

import contextlib
import pathlib
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from sae_jax.config import Config
from sae_jax.data.prefetch import Prefetch, prefetch
from sae_jax.data.shards import ShardReader
from sae_jax.errors import RunAgain
from sae_jax.train import processes, run_folder, setup, sharding
from sae_jax.train.processes import StopAgreement
from sae_jax.train.run import Run
from sae_jax.train.setup import Block, Measured, TrainBlock
from sae_jax.train.step import TrainState
from sae_jax.train.watchdog import Watchdog


class Trained:
    """What the loop drives: one run, or several that share a program."""

    def advance(self, block: Block, *, starved_seconds: float | int) -> None:
        """Sends a block of steps to the devices, then settles the block before."""

    def settle(self, *, starved_seconds: float | int) -> None:
        """Settles the block that was sent last."""

    def save(self, at: int) -> None:
        """Evaluates and saves, in the background, the state at this step."""

    def wait(self) -> None:
        """Returns when everything saved is on disk."""

    def is_over(self) -> bool:
        """Whether no more rows are of use to it."""
        return False


class Single(Trained):
    """One run, with its program and its state."""

    def __init__(self, run: Run, *, program: TrainBlock, state: TrainState) -> None:
        self.run, self._program, self.state = run, program, state
        self._pending: tuple[Block, Measured] | None = None

    def advance(self, block: Block, *, starved_seconds: float | int) -> None:
        self.state, measured = self._program(self.state, block.rows)
        self.settle(starved_seconds=starved_seconds)
        self._pending = block, measured

    def settle(self, *, starved_seconds: float | int) -> None:
        pending, self._pending = self._pending, None
        if pending:
            block, measured = pending
            host = jax.device_get(measured)
            self.run.settle(block, host, starved_seconds=starved_seconds)

    def save(self, at: int) -> None:
        self.run.save(self.state, at=at)

    def wait(self) -> None:
        self.run.checkpoints.wait()


def train(
    config: Config, *, reader: ShardReader, workdir: pathlib.Path,
    mesh: Mesh | None = None, watch: Watchdog | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Trains to n_steps, resuming by itself; returns the summary, which it also writes.

    All processes call it alike; the first one writes. Mesh (default: all devices along
    `data`) and processes may differ from resume to resume.

    Raises:
        RunAgain: stopped by SIGTERM or Ctrl-C, with everything saved.
        TrainingError: the loss is not finite; the message names step and rows.
    """
    mesh, watch = mesh or sharding.make_mesh(latent_shards=1), watch or Watchdog()
    setup.check_run(config, reader=reader, mesh=mesh)
    processes.from_first(lambda: run_folder.settle_config(config, workdir=workdir))
    data = setup.measure_data(reader)
    run = Run(config, reader=reader, workdir=workdir, data=data, mesh=mesh)
    with contextlib.closing(run), stop_requests() as requested, watch.guard():
        program = setup.compile_ahead(config, mesh=mesh, reader=reader)
        state = setup.initial_state(config, reader=reader, data=data, mesh=mesh)
        state, first = run.begin(state)
        single = Single(run, program=program, state=state)
        del state  # the program donates it
        stream = Stream(reader, config, first=first, mesh=mesh, workdir=workdir)
        drive([single], stream, watch=watch, stop=StopAgreement(requested, mesh=mesh))
        watch.rest()
        return run.end(single.state)


class Stream(NamedTuple):
    """The blocks of rows that training is driven by."""

    reader: ShardReader
    config: Config  # whose batches, order and number of steps it has
    first: int  # step
    mesh: Mesh
    workdir: pathlib.Path  # where what is trained is saved, for the message

    def blocks(self) -> Prefetch[Block]:
        config = self.config
        stream = setup.row_stream(config, reader=self.reader)
        return prefetch(
            lambda start: setup.draw(stream, start=start, config=config, mesh=self.mesh),
            steps=range(self.first, config.n_steps, config.block_steps),
        )


def drive(
    trained: Sequence[Trained], stream: Stream, *, watch: Watchdog, stop: StopAgreement
) -> None:
    """Trains all of them from the stream's first step to its last, and saves them.

    In the order evaluate → save → draw the rows → step → log, so that a resume repeats
    nothing. What a block of steps measured is fetched after the next was dispatched, so
    the devices never wait for the host.

    Raises:
        RunAgain: a stop was asked for, and everything is saved.
    """
    config = stream.config
    with stream.blocks() as blocks:

        def save(at: int) -> None:
            watch.slow()
            for one in trained:
                one.settle(starved_seconds=blocks.starved_seconds)
                one.save(at)
            watch.progress(at)

        watch.progress(stream.first)
        for block in blocks:
            if all(one.is_over() for one in trained):
                return
            stopping = stop.agreed()
            due = block.start % config.checkpoint_every_steps == 0 or stopping
            if due and block.start > stream.first:
                save(block.start)
                stopping = stop.agreed()  # asked meanwhile: everything is saved right now
            if stopping:
                for one in trained:
                    one.wait()
                raise RunAgain(
                    f"stopped at step {block.start} of {config.n_steps}, everything saved in "
                    f"{stream.workdir}. Run the same command again to go on from there."
                )
            stop.ask()
            with jax.transfer_guard("disallow"), jax.set_mesh(stream.mesh):
                for one in trained:
                    one.advance(block, starved_seconds=blocks.starved_seconds)
            watch.progress(block.start)
        if stream.first < config.n_steps:
            save(config.n_steps)


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
