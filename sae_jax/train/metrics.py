"""Where metrics go: JSON lines, TensorBoard events, and a line for the person watching."""

import json
import math
import pathlib
import sys
import time
from typing import Any

from tensorboardX import SummaryWriter

from sae_jax.config import Config
from sae_jax.data.numbers import to_json
from sae_jax.train import processes

JSON_LINES = "metrics.jsonl"


class Log:
    """What a process other than the first makes of its metrics: nothing."""

    def write(self, step: int, metrics: dict[str, Any], *, split: str) -> None:
        pass

    def timing(self, step: int, *, starved_seconds: float | int) -> None:
        pass

    def show(self, step: int, metrics: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


def open_log(workdir: pathlib.Path, *, config: Config, step: int) -> Log:
    """The log of a run that begins at this step: on the first process a real one."""
    if not processes.is_first():
        return Log()
    return MetricsLog(workdir, n_steps=config.n_steps, batch_size=config.batch_size, step=step)


class MetricsLog(Log):
    """Appends to `metrics.jsonl` and TensorBoard; shows progress with rate and ETA."""

    def __init__(
        self, workdir: pathlib.Path, *, n_steps: int, batch_size: int, step: int
    ) -> None:
        self._n_steps, self._batch_size = n_steps, batch_size
        self._started, self._first_step = time.monotonic(), step
        self._timed = (self._started, step, 0.0)  # at the last line of timing
        path = workdir / JSON_LINES
        _forget_after(path, step)
        self._lines = path.open("a", buffering=1)
        self._events = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=step or None, flush_secs=10
        )
        self._terminal = sys.stderr.isatty()

    def write(self, step: int, metrics: dict[str, Any], *, split: str) -> None:
        """Writes numbers of the training batch (`train`) or the held-out rows (`held_out`)."""
        self._lines.write(to_json({"step": step, "split": split} | metrics))
        for name, value in metrics.items():
            if isinstance(value, float) and math.isfinite(value):
                self._events.add_scalar(f"{split}/{name}", value, step)

    def timing(self, step: int, *, starved_seconds: float | int) -> None:
        """A line of its own: times differ between runs that are otherwise the same.

        `starved_seconds` is how long all steps so far have waited for rows.
        """
        now = time.monotonic()
        before, step_before, starved_before = self._timed
        seconds = max(now - before, 1e-9)
        measured = {
            "examples_per_second": (step - step_before) * self._batch_size / seconds,
            "starved_fraction": (starved_seconds - starved_before) / seconds,
        }
        self._timed = (now, step, starved_seconds)
        self.write(step, measured, split="timing")

    def show(self, step: int, metrics: dict[str, Any]) -> None:
        """One line: redrawn in place on a terminal, plain elsewhere."""
        elapsed = time.monotonic() - self._started
        rate = (step - self._first_step) / elapsed if elapsed > 0 else 0.0
        remaining = (self._n_steps - step) / rate if rate else math.nan
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        text = (
            f"step {step:,}/{self._n_steps:,}  {numbers}  "
            f"{rate * self._batch_size:,.0f} examples/s  ETA {duration(remaining)}"
        )
        end = "\n" if not self._terminal or step == self._n_steps else ""
        start = "\r\x1b[K" if self._terminal else ""
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        self._lines.close()
        self._events.close()


def _forget_after(path: pathlib.Path, step: int) -> None:
    """Drops lines beyond the step resumed from, and a last line cut short by a kill."""
    if not path.exists():
        return
    kept = []
    for text in path.read_text().splitlines():
        try:
            if json.loads(text)["step"] <= step:
                kept.append(text + "\n")
        except (ValueError, KeyError, TypeError):
            break
    new = path.with_suffix(".new")
    new.write_text("".join(kept))
    new.replace(path)


def duration(seconds: float | int) -> str:
    """Seconds as a person says them: 42 s, 3 min 10 s, 2 h 05 min."""
    if not math.isfinite(seconds):
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
