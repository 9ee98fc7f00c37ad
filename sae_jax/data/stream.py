"""Which rows a step trains on: a pure function of (seed, step, data), so that a resume, or
another number of processes, sees the same batches.
"""

import dataclasses
import itertools
import threading
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Shaped

from sae_jax.config import ROWS_PER_BLOCK
from sae_jax.data import permutation
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError


class _Window(NamedTuple):
    key: tuple[int, ...]  # epoch, window, and the part of each batch
    places: Int64[np.ndarray, " rows"]  # in the whole stream, ascending
    rows: Shaped[np.ndarray, "rows d_in"]


@dataclasses.dataclass
class _Cache:
    """What reading has left in memory. No result depends on it."""

    windows: tuple[_Window, ...] = ()
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowStream:
    """Training rows in a shuffled order without end, each once per epoch.

    A batch may straddle two epochs; no row is left out. With `window_rows` blocks of 1,024
    neighbouring rows are shuffled, and rows only within windows of so many rows: reading
    is then sequential, for data larger than memory. 0 shuffles all rows.
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
        first = step * self.batch_size
        return self._row_ids_at(np.arange(first, first + self.batch_size))

    def batch(self, step: int, *, rows: slice = slice(None)) -> Shaped[np.ndarray, "rows d_in"]:
        """The embeddings of a step, as stored; `rows` is this process's part of the batch."""
        if not self.window_rows:
            return self.reader.read(self.row_ids(step)[rows])
        with self._cache.lock:
            return self._windowed_batch(step, part=rows)

    def _row_ids_at(self, places: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The rows at ascending places of the stream."""
        if not len(places):
            return places
        n_train = self.reader.n_train
        period = self.window_rows or n_train
        epochs, places_in_epoch = np.divmod(places, n_train)
        windows = places_in_epoch // period
        # Runs of one epoch and one window have one key each.
        changes = np.flatnonzero((np.diff(epochs) != 0) | (np.diff(windows) != 0)) + 1
        positions = np.empty_like(places)
        for start, stop in itertools.pairwise([0, *changes.tolist(), len(places)]):
            positions[start:stop] = self._positions(
                places_in_epoch[start:stop],
                epoch=int(epochs[start]),
                window=int(windows[start]),
            )
        return self.reader.train_row_ids(positions)

    def _positions(
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

    def _windowed_batch(self, step: int, *, part: slice) -> Shaped[np.ndarray, "rows d_in"]:
        start, stop, stride = part.indices(self.batch_size)
        wanted = step * self.batch_size + np.arange(start, stop, stride)
        found = np.empty((len(wanted), self.reader.d_in), self.reader.dtype)
        epochs, places_in_epoch = np.divmod(wanted, self.reader.n_train)
        windows = places_in_epoch // self.window_rows
        for epoch, window in sorted(set(zip(epochs.tolist(), windows.tolist(), strict=True))):
            here = (epochs == epoch) & (windows == window)
            held = self._window(epoch, window, part=(start, stop, stride))
            found[here] = held.rows[np.searchsorted(held.places, wanted[here])]
        return found

    def _window(self, epoch: int, window: int, *, part: tuple[int, int, int]) -> _Window:
        """This process's rows of a window, in memory in the order of the stream."""
        key = (epoch, window, *part)
        for held in self._cache.windows:
            if held.key == key:
                return held
        n_train = self.reader.n_train
        first = epoch * n_train + window * self.window_rows
        last = epoch * n_train + min((window + 1) * self.window_rows, n_train)
        places = np.arange(first, last)
        places = places[np.isin(places % self.batch_size, np.arange(*part))]
        self._cache.windows = self._cache.windows[-1:]  # room for one more
        held = _Window(key, places, self.reader.read(self._row_ids_at(places)))
        self.reader.forget()
        self._cache.windows += (held,)
        return held
