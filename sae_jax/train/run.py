"""One run folder while its autoencoder trains: what is checked, logged, saved and measured."""

import contextlib
import pathlib
import time
import zlib
from typing import Any

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from sae_jax.config import Config
from sae_jax.data.shards import ShardReader
from sae_jax.errors import TrainingError
from sae_jax.train import evaluate, processes, run_folder, setup, statistics, step, summary
from sae_jax.train.checkpoint import Checkpoints
from sae_jax.train.metrics import Log, open_log
from sae_jax.train.setup import Block
from sae_jax.train.statistics import DataStatistics
from sae_jax.train.step import TrainState

SHOWN = ("fvu", "l0", "dead_fraction")


class Run:
    """The effects of one run; the training itself is elsewhere. All processes call it alike."""

    def __init__(
        self,
        config: Config,
        *,
        reader: ShardReader,
        workdir: pathlib.Path,
        data: DataStatistics,
        mesh: Mesh,
        share: float | int = 1,
    ) -> None:
        """share: how much of the time that passes is its own; less than 1 beside others.

        Beside others it shows no progress of its own.
        """
        self._share, self.last = share, dict[str, float]()
        self.config, self.workdir = config, workdir
        self.checkpoints = Checkpoints(workdir / "checkpoints")
        self._reader, self._data, self._mesh = reader, data, mesh
        self._measure = evaluate.make_evaluator(
            reader, mean=data.mean, config=config.sae, mesh=mesh
        )
        self._log = Log()
        self._held_out_ids = setup.held_out_ids(config, reader=reader)

    def begin(self, state: TrainState) -> tuple[TrainState, int]:
        """The newest whole checkpoint's state and its step, else this state; opens the log."""
        state, first, self._seconds_before = setup.resume(
            self.checkpoints, state, reader=self._reader
        )
        self._log = open_log(self.workdir, config=self.config, step=first)
        self._started = time.monotonic()
        return state, first

    @property
    def _seconds(self) -> float:
        return self._seconds_before + self._share * (time.monotonic() - self._started)

    def settle(
        self,
        block: Block,
        measured: dict[str, Float[np.ndarray, " steps"]],
        *,
        starved_seconds: float | int,
    ) -> None:
        """Stops at a loss that is not finite; logs where due.

        Raises:
            TrainingError: a loss or gradient is not finite; the message names step and rows.
        """
        finite = np.isfinite(measured["loss"]) & np.isfinite(measured["gradient_norm"])
        if not finite.all():
            at = int(np.argmin(finite))
            processes.from_first(lambda: self._explain_not_finite(block, at=at))
        config = self.config
        if block.end % config.log_every_steps and block.end != config.n_steps:
            return
        means = {name: float(np.mean(values)) for name, values in measured.items()}
        # The order of rows is a promise; the checksum lets anyone audit it.
        order = {"row_ids_crc32": zlib.crc32(block.row_ids.tobytes())}
        self._log.write(block.end, means | order, split="train")
        self.last = means
        if self._share == 1:
            self._log.show(block.end, {name: means[name] for name in SHOWN})
        self._log.timing(block.end, starved_seconds=starved_seconds)

    def _explain_not_finite(self, block: Block, *, at: int) -> None:
        row_ids = block.row_ids[at]
        rows = self._reader.read(row_ids).astype(np.float32)
        cause = statistics.not_finite(self._reader, row_ids=row_ids, rows=rows) or (
            "its rows are finite, so the steps grew too large. Lower "
            "--config.optimizer.learning_rate, or raise --config.optimizer.warmup_steps"
        )
        raise TrainingError(
            f"the loss or gradient of step {block.start + at} is not finite: {cause}. The "
            "last checkpoint holds the state before and was kept."
        )

    def save(self, state: TrainState, *, at: int) -> None:
        """Measures the state on held-out rows, and writes it in the background."""
        quality = self._measure(step.evaluated(state), self._held_out_ids)
        measured = {"fvu": quality.fvu, "cosine": quality.cosine, "l0": quality.l0}
        self._log.write(at, measured, split="held_out")
        meta = {"data_fingerprint": self._reader.fingerprint, "seconds": self._seconds}
        self.checkpoints.save(state, step=at, meta=meta, fvu=quality.fvu)

    def end(self, state: TrainState) -> dict[str, Any]:
        """The summary, which is also written: last, as a run with a summary is finished."""
        self.checkpoints.wait()
        result = summary.summarise(
            self.config,
            reader=self._reader,
            data=self._data,
            model=step.evaluated(state),
            measure=self._measure,
            mesh=self._mesh,
            seconds=self._seconds,
        )
        processes.from_first(lambda: run_folder.write_summary(self.workdir, result))
        return result

    def close(self) -> None:
        with contextlib.ExitStack() as at_the_end:
            at_the_end.callback(self.checkpoints.close)
            at_the_end.callback(self._log.close)
