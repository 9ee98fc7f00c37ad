"""Writes a shard folder so that a kill at any moment loses at most one shard of work.

While it is written the folder has incomplete.json, whole shards under their working names
(shard-00003.npy) and one shard.part; manifest.json appears last, at once.
"""

import dataclasses
import errno
import fcntl
import json
import os
import pathlib
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from sae_jax.data import dtypes, records
from sae_jax.data import manifest as manifests
from sae_jax.data.manifest import INCOMPLETE, Manifest, Provenance, ShardEntry
from sae_jax.data.shard_file import ShardFile
from sae_jax.errors import ShardError


class ShardWriter:
    """Appends rows to a folder; `finish` makes it readable.

    `identity` names what is written (source, encoder, settings). The same identity goes on
    after `n_rows_done`, the rows that an earlier, killed run left in whole shards, and
    `n_source_rows_done`, which also counts rows dropped on the way.
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        *,
        d_in: int,
        dtype: str,
        provenance: Provenance,
        identity: str,
        rows_per_shard: int = 65_536,
        held_out_fraction: float = 0.1,
        held_out_seed: int = 0,
        drop_bad_rows: bool = False,
    ) -> None:
        """Raises ShardError where the folder is complete, another's, or not writable."""
        self.folder = pathlib.Path(folder)
        self.d_in = d_in
        self.dtype = dtypes.dtype_named(dtype)
        self.provenance = provenance
        self.rows_per_shard = rows_per_shard
        self.drop_bad_rows = drop_bad_rows
        self._fraction = held_out_fraction
        self._seed = held_out_seed
        self._plan = {
            "identity": identity,
            "d_in": d_in,
            "dtype": dtype,
            "rows_per_shard": rows_per_shard,
        }
        self._entries: list[ShardEntry] = []
        self._with_records: bool | None = None
        self._part: ShardFile | None = None
        self._records: list[Mapping[str, Any]] = []
        self.n_dropped = 0
        self.n_source_rows_done = 0
        # A finalizer also runs when the writer is forgotten half-way, after an error.
        self._unlock = weakref.finalize(self, os.close, _prepare(self.folder))
        self._resume()
        self.n_rows_done = sum(entry.n_rows for entry in self._entries)
        self._n_source_rows = self.n_source_rows_done

    def append(
        self,
        rows: Shaped[np.ndarray, "n d"],
        *,
        records: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Adds rows after a cast to the folder's dtype; raises ShardError on unusable ones."""
        self._check_call(rows, records)
        with np.errstate(over="ignore"):  # what overflows becomes Inf, and is named below
            cast = np.ascontiguousarray(rows, self.dtype)
        good = self._good_rows(cast)
        source_rows = self._n_source_rows + 1 + good
        n_written = 0
        while n_written < len(good):
            part = self._part = self._part or self._new_part()
            here = good[n_written : n_written + self.rows_per_shard - part.n_rows]
            part.write(cast if len(here) == len(cast) else cast[here])
            if records is not None:
                self._records += [records[i] for i in here]
            n_written += len(here)
            if part.n_rows == self.rows_per_shard:
                self._close_shard(n_source_rows=int(source_rows[n_written - 1]))
        self.n_dropped += len(rows) - len(good)
        self._n_source_rows += len(rows)

    def finish(self) -> Manifest:
        """Closes the last shard and writes the manifest; the folder is then whole."""
        if self._part is not None:
            self._close_shard(n_source_rows=self._n_source_rows)
        if not self._entries:
            raise ShardError(f"{self.folder}: no rows were written; the source is empty.")
        n_rows = sum(entry.n_rows for entry in self._entries)
        held_out = manifests.write_held_out(
            self.folder,
            manifests.held_out_row_ids(n_rows, fraction=self._fraction, seed=self._seed),
            rule=manifests.held_out_rule(fraction=self._fraction, seed=self._seed),
        )
        rows_file = self._join_records(n_rows) if self._with_records else None
        shards = self._final_names()
        manifest = Manifest(
            d_in=self.d_in,
            dtype=self.dtype.name,
            n_rows=n_rows,
            shards=shards,
            held_out=held_out,
            provenance=self.provenance,
            rows_file=rows_file,
            identity=str(self._plan["identity"]),
            n_dropped=self.n_dropped,
        )
        manifest.write(self.folder)
        (self.folder / INCOMPLETE).unlink()
        for part in self.folder.glob("rows-*.parquet"):
            part.unlink()
        self.close()
        return manifest

    def close(self) -> None:
        """Lets another writer go on; whole shards stay, the open one is lost."""
        if self._part is not None:
            self._part.abandon()
        self._unlock()

    def _new_part(self) -> ShardFile:
        path = self._path(len(self._entries))
        return ShardFile(
            path.with_name(path.name + ".part"),
            d_in=self.d_in,
            dtype=self.dtype.name,
            n_rows=self.rows_per_shard,
        )

    def _path(self, index: int) -> pathlib.Path:
        return self.folder / f"shard-{index:05d}.npy"

    def _records_path(self, index: int) -> pathlib.Path:
        return self.folder / f"rows-{index:05d}.parquet"

    def _check_call(self, rows: np.ndarray, records: Sequence[Any] | None) -> None:
        if rows.shape[1] != self.d_in:
            raise ShardError(
                f"{self.folder}: rows to append are {rows.shape[1]} wide; the folder was "
                f"started with d_in={self.d_in}."
            )
        if rows.dtype.name not in dtypes.BY_NAME:
            raise ShardError(
                f"{self.folder}: rows to append are {rows.dtype.name}; expected one of "
                f"{', '.join(dtypes.BY_NAME)}. Cast them first: rows.astype(np.float32)."
            )
        if records is not None and len(records) != len(rows):
            raise ShardError(
                f"{self.folder}: {len(records)} records came with {len(rows)} rows; expected "
                "one a row."
            )
        if self._with_records is None:
            self._with_records = records is not None
        if self._with_records != (records is not None):
            raise ShardError(
                f"{self.folder}: records came with some rows and not with others; give one "
                "for every row, or none."
            )

    def _good_rows(self, rows: np.ndarray) -> Int64[np.ndarray, " n_good"]:
        found = dtypes.faults(rows)
        bad = found.not_finite | found.all_zero
        if not bad.any():
            return np.arange(len(rows))
        if not self.drop_bad_rows:
            first = int(np.argmax(bad))
            what = "has a NaN or Inf" if found.not_finite[first] else "is all zeros"
            raise ShardError(
                f"{self.folder}: row {self._n_source_rows + first} of the source {what} as "
                f"{self.dtype.name} ({int(bad.sum())} of {len(rows)} rows of this block are "
                "so). Mend the source, use a wider dtype, or leave such rows out with "
                "--bad_rows=drop."
            )
        return np.flatnonzero(~bad)

    def _close_shard(self, *, n_source_rows: int) -> None:
        """Makes the open shard part of what a resume keeps; its records go first."""
        index = len(self._entries)
        assert self._part is not None
        if self._with_records:
            records.write_part(self._records_path(index), self._records)
        entry = self._part.close(self._path(index))
        self._entries.append(entry)
        self._part, self._records = None, []
        state = self._plan | {
            "with_records": self._with_records,
            "n_source_rows": n_source_rows,
            "n_dropped": n_source_rows - sum(entry.n_rows for entry in self._entries),
            "shards": [dataclasses.asdict(entry) for entry in self._entries],
        }
        manifests.write_atomically(self.folder / INCOMPLETE, json.dumps(state).encode())

    def _resume(self) -> None:
        """Takes over the whole shards of a killed run, and clears the rest of it away."""
        path = self.folder / INCOMPLETE
        if not path.exists():
            manifests.write_atomically(path, json.dumps(self._plan).encode())
        try:
            state = json.loads(path.read_bytes())
            different = [key for key in self._plan if state[key] != self._plan[key]]
        except (ValueError, KeyError, TypeError) as error:
            raise ShardError(
                f"{path}: is damaged ({error!r}). Remove {self.folder}."
            ) from error
        if different:
            raise ShardError(
                f"{self.folder}: holds a half-written folder of something else: "
                + ", ".join(
                    f"{k} was {state[k]!r}, is now {self._plan[k]!r}" for k in different
                )
                + ". Finish it with its own command, choose another folder, or remove it."
            )
        for entry in state.get("shards", ()):
            index = len(self._entries)
            for named in self.folder.glob(f"shard-{index:05d}-of-*.npy"):
                named.rename(self._path(index))  # the kill came while finish renamed
            shard = self._path(index)
            if not shard.exists() or shard.stat().st_size != entry["n_bytes"]:
                raise ShardError(
                    f"{shard}: is missing or not {entry['n_bytes']} bytes, though {INCOMPLETE} "
                    f"says that it is whole. Remove {self.folder} and start again."
                )
            self._entries.append(ShardEntry(**entry))
        for rest in self.folder.glob("*.part"):
            rest.unlink()
        self.n_source_rows_done = state.get("n_source_rows", 0)
        self.n_dropped = state.get("n_dropped", 0)
        self._with_records = state.get("with_records")

    def _join_records(self, n_rows: int) -> manifests.FileEntry:
        path = self.folder / records.ROWS_FILE
        parts = [self._records_path(i) for i in range(len(self._entries))]
        records.join_parts(parts, path=path)
        return manifests.file_entry(path, n_rows=n_rows)

    def _final_names(self) -> tuple[ShardEntry, ...]:
        n_shards = len(self._entries)
        named = []
        for index, entry in enumerate(self._entries):
            name = f"shard-{index:05d}-of-{n_shards:05d}.npy"
            self._path(index).rename(self.folder / name)
            named.append(dataclasses.replace(entry, file=name))
        manifests.sync_folder(self.folder)
        return tuple(named)


def _prepare(folder: pathlib.Path) -> int:
    """Makes the folder and locks it; the lock is the descriptor, so no kill leaves it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ShardError(
            f"{folder}: cannot be written ({error.strerror}). Choose another folder, or change "
            "who may write there."
        ) from error
    if (folder / manifests.MANIFEST).exists():
        raise ShardError(
            f"{folder}: is already complete (it has {manifests.MANIFEST}). Use it, choose "
            "another folder, or remove it first."
        )
    if not (folder / INCOMPLETE).exists():
        strangers = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        if strangers:
            raise ShardError(
                f"{folder}: is not empty (it has {strangers[0]}) and was not started by "
                "sae_jax. Choose another folder."
            )
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ShardError(f"{folder}: another process is writing into it.") from error
    except OSError:
        pass  # some network file systems have no locks
    return descriptor
