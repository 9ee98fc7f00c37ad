"""How far long work is, for a person: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any

SECONDS_PER_LINE = 10.0


class Progress:
    """Counts rows towards a total. `done` were there before the clock started."""

    def __init__(self, task: str, *, total: int, done: int = 0, unit: str = "rows") -> None:
        self._task, self._total, self._unit = task, total, unit
        self._done = self._first = done
        self._began = self._last_line = time.monotonic()
        self._bar: Any = None
        if sys.stderr.isatty():
            import tqdm

            self._bar = tqdm.tqdm(
                desc=task, total=total, initial=done, unit=f" {unit}", unit_scale=True
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def rate(self) -> float:
        """Rows per second since the start."""
        return (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)

    def add(self, n_rows: int) -> None:
        self._done += n_rows
        if self._bar is not None:
            self._bar.update(n_rows)
        elif time.monotonic() - self._last_line >= SECONDS_PER_LINE:
            self._last_line = time.monotonic()
            n_digits = 0 if self.rate >= 10 else 2  # calls to others are slow
            eta = (self._total - self._done) / max(self.rate, 1e-9)
            print(
                f"{self._task}: {self._done:,} of {self._total:,} {self._unit}, "
                f"{self.rate:,.{n_digits}f} {self._unit}/s, {eta:,.0f} s left",
                file=sys.stderr,
                flush=True,
            )
