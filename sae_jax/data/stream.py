"""Which rows a step trains on: a pure function of (seed, step, data), so that a resume, or
another number of processes, sees the same batches.
"""

import dataclasses
import math
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Shaped

from sae_jax.config import ROWS_PER_BLOCK
from sae_jax.data import permutation
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError


class Batches(NamedTuple):
    """Some consecutive steps, read together."""

    row_ids: Int64[np.ndarray, "steps batch"]
    rows: Shaped[np.ndarray, "steps part d_in"]  # of this process's part of each batch


class _Window:
    """This process's rows of a window, in memory in the order of the stream.

    They are read in the order on the disk, and as little at a time as is asked for.
    """

    def __init__(
        self,
        reader: ShardReader,
        *,
        key: tuple[int, ...],
        places: Int64[np.ndarray, " rows"],
        positions: Int64[np.ndarray, " rows"],
    ) -> None:
        self.key = key  # epoch, window, and the part of each batch
        self.places = places  # in the whole stream, ascending
        self.rows = np.empty((len(places), reader.d_in), reader.dtype)
        self._reader = reader
        self._order = np.argsort(positions)
        self._row_ids = reader.train_row_ids(positions[self._order])
        self._n_read = 0

    def read_on(self, *, share: float) -> None:
        """Reads until this share of the window is there."""
        here = slice(self._n_read, math.ceil(share * len(self._order)))
        if here.stop > here.start:
            order, row_ids = self._order[here], self._row_ids[here]
            self._reader.read_into(self.rows, row_ids=row_ids, places=order)
            self._n_read = here.stop


@dataclasses.dataclass
class _Cache:
    """What reading has left in memory. No result depends on it."""

    windows: tuple[_Window, ...] = ()
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


class _Run(NamedTuple):
    """The places start:stop of some, which lie in one window of one epoch."""

    start: int
    stop: int
    epoch: int
    window: int
    share: float  # of the window that is used up at its end


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowStream:
    """Training rows in a shuffled order without end, each once per epoch.

    A batch may straddle two epochs; no row is left out. With `window_rows` blocks of 1,024
    neighbouring rows are shuffled, and rows only within windows of so many rows: reading
    is then sequential, for data larger than memory, and as many rows of the next window are
    read with each batch as it uses up of this one. 0 shuffles all rows.
    """

    reader: ShardReader
    seed: int
    batch_size: int
    window_rows: int = 0
    _cache: _Cache = dataclasses.field(
        default_factory=_Cache, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch_size={self.batch_size}: expected at least 1.")
        if self.window_rows < 0 or self.window_rows % ROWS_PER_BLOCK:
            raise UsageError(
                f"window_rows={self.window_rows}: expected 0 (shuffle all rows), or a multiple "
                f"of {ROWS_PER_BLOCK}, the rows of a block."
            )
        if self.reader.n_train < 1:
            raise UsageError(f"{self.reader.folder}: has no rows to train on.")

    def row_ids(self, step: int) -> Int64[np.ndarray, " batch"]:
        """The rows of a step. Row i of the batch does not depend on who reads it."""
        return self.reader.train_row_ids(self._positions(self._places(range(step, step + 1))))

    def batch(self, step: int, *, rows: slice = slice(None)) -> Shaped[np.ndarray, "rows d_in"]:
        """The embeddings of a step, as stored; `rows` is this process's part of the batch."""
        return self.batches(range(step, step + 1), rows=rows).rows[0]

    def batches(self, steps: range, *, rows: slice = slice(None)) -> Batches:
        """What row_ids and batch give for each of these consecutive steps, up to 3 times
        faster: rows of 16 steps lie nearer each other than those of one.
        """
        part = range(self.batch_size)[rows]
        assert part.step > 0
        assert steps.step == 1
        places = self._places(steps)
        positions = self._positions(places)
        order = np.argsort(positions)
        ascending = self.reader.train_row_ids(positions[order])
        row_ids = np.empty_like(ascending)
        row_ids[order] = ascending
        n_found = len(steps) * len(part)
        found = np.empty((n_found, self.reader.d_in), self.reader.dtype)
        mine = places.reshape(len(steps), -1)[:, part].reshape(-1)
        if self.window_rows:
            with self._cache.lock:
                self._read_windowed(found, places=mine, part=part)
        else:
            slot = np.full(len(places), -1)  # where in `found`; not at all
            slot[mine - places[:1]] = np.arange(n_found)
            slot = slot[order]
            wanted = slot >= 0
            self.reader.read_into(found, row_ids=ascending[wanted], places=slot[wanted])
        return Batches(
            row_ids.reshape(len(steps), self.batch_size),
            found.reshape(len(steps), len(part), self.reader.d_in),
        )

    def _places(self, steps: range) -> Int64[np.ndarray, " n"]:
        return np.arange(steps.start * self.batch_size, steps.stop * self.batch_size)

    def _runs(self, places: Int64[np.ndarray, " n"]) -> Iterator[_Run]:
        """Ascending places of the stream, cut where an epoch or a window ends."""
        n_train = self.reader.n_train
        period = self.window_rows or n_train
        start = 0
        while start < len(places):
            epoch, within = divmod(int(places[start]), n_train)
            first = epoch * n_train + within // period * period
            end = min(first + period, (epoch + 1) * n_train)
            stop = int(np.searchsorted(places, end))
            share = (int(places[stop - 1]) + 1 - first) / (end - first)
            yield _Run(start, stop, epoch, within // period, share)
            start = stop

    def _positions(self, places: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Which training row comes at each of these ascending places."""
        positions = np.empty_like(places)
        for run in self._runs(places):
            here = slice(run.start, run.stop)
            positions[here] = self._shuffled(
                places[here] - run.epoch * self.reader.n_train,
                epoch=run.epoch,
                window=run.window,
            )
        return positions

    def _shuffled(
        self, places: Int64[np.ndarray, " n"], *, epoch: int, window: int
    ) -> Int64[np.ndarray, " n"]:
        n_train = self.reader.n_train
        if not self.window_rows:
            key = permutation.key(self.seed, epoch)
            return permutation.permute(places, size=n_train, key=key)
        start = window * self.window_rows
        size = min(self.window_rows, n_train - start)
        key = permutation.key(self.seed, epoch, window)
        places = start + permutation.permute(places - start, size=size, key=key)
        blocks, within = np.divmod(places, ROWS_PER_BLOCK)
        n_blocks = n_train // ROWS_PER_BLOCK
        whole = blocks < n_blocks  # the rows left over come last
        key = permutation.key(self.seed, epoch)
        blocks[whole] = permutation.permute(blocks[whole], size=n_blocks, key=key)
        # Which rows are left over, and where blocks begin, differs from epoch to epoch.
        turn = permutation.key(self.seed, epoch, -1) % n_train
        return (blocks * ROWS_PER_BLOCK + within + turn) % n_train

    def _read_windowed(
        self,
        found: Shaped[np.ndarray, "n d_in"],
        *,
        places: Int64[np.ndarray, " n"],
        part: range,
    ) -> None:
        """Read all at once, a window of a million rows would keep the device waiting for the
        time that reading it takes: prefetching covers the time of a few batches only.
        """
        n_windows = -(-self.reader.n_train // self.window_rows)
        for run in self._runs(places):
            window = self._window(run.epoch, run.window, part=part)
            window.read_on(share=1.0)
            first = np.searchsorted(window.places, places[run.start])
            held = window.rows[first : first + run.stop - run.start]
            found[run.start : run.stop] = held
            epoch, after = divmod(run.epoch * n_windows + run.window + 1, n_windows)
            self._window(epoch, after, part=part).read_on(share=run.share)

    def _window(self, epoch: int, window: int, *, part: range) -> _Window:
        key = (epoch, window, part.start, part.stop, part.step)
        for held in self._cache.windows:
            if held.key == key:
                return held
        n_train = self.reader.n_train
        first = epoch * n_train + window * self.window_rows
        last = epoch * n_train + min((window + 1) * self.window_rows, n_train)
        places = np.arange(first, last)
        places = places[np.isin(places % self.batch_size, part)]
        self._cache.windows = self._cache.windows[-1:]  # room for one more
        positions = self._positions(places)
        held = _Window(self.reader, key=key, places=places, positions=positions)
        self._cache.windows += (held,)
        return held
