"""Opens a folder of embeddings and reads rows by number: ours, or plain files in place."""

import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from sae_jax.data import dtypes, gather, mapped, plain, records
from sae_jax.data import manifest as manifests
from sae_jax.data.manifest import Manifest, Provenance, ShardEntry
from sae_jax.data.mapped import Layout, MappedRows
from sae_jax.data.records import RecordStore
from sae_jax.errors import ShardError

# A folder up to this size stays mapped whole: rows are read three times faster, and the
# resident set grows by no more than this. Larger ones are read without mapping.
MAX_MAPPED_BYTES = 32 * 2**20
MIN_BYTES_PER_THREAD = 2 * 2**20  # it takes 0.1 ms to start, and these 0.7 ms to read


def reading_threads() -> int:
    """Half of the cores we may use, for the step needs some: on two, none beside the caller.

    Eight at most: no machine of more than two cores was at hand to measure on.
    """
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS
    n_cores = len(usable(0)) if usable else os.cpu_count() or 1
    return min(8, max(1, n_cores // 2))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ShardReader:
    """Rows of a folder, memory-mapped. Safe to use from several threads."""

    folder: pathlib.Path
    d_in: int
    dtype: np.dtype
    n_rows: int
    fingerprint: str
    provenance: Provenance
    held_out_ids: Int64[np.ndarray, " n_held_out"]
    files: tuple[MappedRows, ...]
    first_rows: Int64[np.ndarray, " n_files_and_one"]  # of each file; last, the end
    store: RecordStore | None = None
    manifest: Manifest | None = None  # None where the folder is read in place without one
    n_threads: int = dataclasses.field(default_factory=reading_threads)

    @property
    def n_train(self) -> int:
        return self.n_rows - len(self.held_out_ids)

    @property
    def n_bytes(self) -> int:
        return self.n_rows * self.d_in * self.dtype.itemsize

    @functools.cached_property
    def _n_train_before(self) -> Int64[np.ndarray, " n_held_out"]:
        """How many training rows come before each held-out one."""
        return self.held_out_ids - np.arange(len(self.held_out_ids))

    def train_row_ids(self, positions: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The row that is p-th among those not held out, for each p; fastest in order."""
        return positions + np.searchsorted(self._n_train_before, positions, side="right")

    def read(self, row_ids: Int64[np.ndarray, " n"]) -> Shaped[np.ndarray, "n d_in"]:
        """Copies rows out in the order asked for, as stored; raises ShardError off the end."""
        rows = np.empty((len(row_ids), self.d_in), self.dtype)
        order = np.argsort(row_ids)
        self.read_into(rows, row_ids=row_ids[order], places=order)
        return rows

    def read_into(
        self,
        into: Shaped[np.ndarray, "rows d_in"],
        *,
        row_ids: Int64[np.ndarray, " n"],
        places: Int64[np.ndarray, " n"],
    ) -> None:
        """into[places] = the rows of these ids, which ascend: the order on the disk."""
        if not len(row_ids):
            return
        if row_ids[0] < 0 or row_ids[-1] >= self.n_rows:
            outside = row_ids[0] if row_ids[0] < 0 else row_ids[-1]
            raise ShardError(f"{self.folder}: has no row {outside}, only {self.n_rows} rows.")
        by_map = self.n_bytes <= MAX_MAPPED_BYTES
        row = np.dtype((np.void, self.d_in * self.dtype.itemsize))
        fill = functools.partial(self._fill, into=into.view(row)[:, 0], by_map=by_map)
        parts = [
            (row_ids[piece], places[piece]) for piece in self._pieces(row_ids, by_map=by_map)
        ]
        if len(parts) == 1:
            fill(*parts[0])
            return
        # Threads live as long as one call: there is nothing to close, or to leak.
        with ThreadPoolExecutor(len(parts), thread_name_prefix="read") as pool:
            for done in [pool.submit(fill, *part) for part in parts]:
                done.result()  # raises its error

    def _fill(
        self,
        row_ids: Int64[np.ndarray, " n"],
        places: Int64[np.ndarray, " n"],
        *,
        into: Shaped[np.ndarray, " rows"],
        by_map: bool,
    ) -> None:
        file_ids = np.searchsorted(self.first_rows, row_ids, side="right") - 1
        in_file = row_ids - self.first_rows[file_ids]
        used, file_ids = np.unique(file_ids, return_inverse=True)
        files = [self.files[i] for i in used]
        if not by_map:
            opened = [file.opened for file in files]
            gather.gather(opened, file_ids=file_ids, row_ids=in_file, into=into, places=places)
            return
        ends = np.searchsorted(file_ids, np.arange(len(files) + 1))
        for file, here in zip(files, map(slice, ends, ends[1:]), strict=True):
            file.pick(in_file[here], into=into, places=places[here])

    def _pieces(self, row_ids: Int64[np.ndarray, " n"], *, by_map: bool) -> list[slice]:
        """What each thread reads. Rows with a call each are left to one: calls so short wait
        for Python's lock (0.6 million rows a second with one thread, 0.5 with two).
        """
        row_bytes = self.d_in * self.dtype.itemsize
        n_rows = len(row_ids)
        spanned = int(row_ids[-1] - row_ids[0] + 1) * row_bytes
        n_pieces = min(self.n_threads, n_rows * row_bytes // MIN_BYTES_PER_THREAD)
        if n_pieces < 2 or not (by_map or n_rows * gather.CALL_BYTES >= spanned):
            return [slice(0, n_rows)]
        ends = np.linspace(0, n_rows, n_pieces + 1).astype(int).tolist()
        return [slice(start, stop) for start, stop in itertools.pairwise(ends)]

    def blocks(
        self, *, n_rows_per_block: int = 16_384
    ) -> Iterator[tuple[int, Shaped[np.ndarray, "_ d_in"]]]:
        """Yields (id of the first row, rows) over the whole folder, in bounded memory.

        The rows are a view of the map: copy what has to outlive the next block.
        """
        for file, first_row in zip(self.files, self.first_rows, strict=False):
            for start in range(0, len(file.rows), n_rows_per_block):
                yield int(first_row) + start, file.rows[start : start + n_rows_per_block]
                file.forget()

    def forget(self) -> None:
        """Lets go of the pages read so far: the resident set must not grow with the corpus."""
        for file in self.files:
            file.forget()

    def records(
        self, row_ids: Sequence[int] | Int64[np.ndarray, " n"]
    ) -> list[dict[str, Any]] | None:
        """Text and metadata of these rows, or None where the folder has none."""
        if self.store is None:
            return None
        if len(self.store) != self.n_rows:
            raise ShardError(
                f"{self.store.path}: has {len(self.store)} records; the folder has "
                f"{self.n_rows} rows. Expected one a row, in the same order."
            )
        return self.store.read(row_ids)

    def locate(self, row_id: int) -> str:
        """Where a row lies, for messages."""
        i = int(np.searchsorted(self.first_rows, row_id, side="right")) - 1
        return f"{self.files[i].path.name}, row {row_id - int(self.first_rows[i])} of the file"


def open_shards(folder: str | pathlib.Path) -> ShardReader:
    """Opens our folder, or plain .npy or .safetensors files where they lie.

    Sizes and the fingerprint are checked; `sae-jax check` also reads every row.

    Raises:
        ShardError: the folder is missing, half-written, damaged, or has to be ingested.
    """
    folder = pathlib.Path(folder)
    if folder.name == manifests.MANIFEST:
        folder = folder.parent
    if not folder.exists():
        raise ShardError(f"{folder}: does not exist. Make it with `sae-jax embed` or `ingest`.")
    if (folder / manifests.MANIFEST).exists():
        return _open_ours(folder)
    if (folder / manifests.INCOMPLETE).exists():
        raise ShardError(
            f"{folder}: is half-written (it has {manifests.INCOMPLETE}, not "
            f"{manifests.MANIFEST}). Run the command that was writing it again; it "
            "goes on where it stopped."
        )
    return _open_plain(folder)


def _open_ours(folder: pathlib.Path) -> ShardReader:
    manifest = manifests.read_manifest(folder)
    layouts = [
        fitting_layout(folder, entry=entry, manifest=manifest) for entry in manifest.shards
    ]
    check_size(folder, entry=manifest.held_out)
    if manifest.rows_file:
        check_size(folder, entry=manifest.rows_file)
    store = (
        records.open_records(folder / manifest.rows_file.file) if manifest.rows_file else None
    )
    return _reader(
        folder,
        layouts=layouts,
        fingerprint=manifest.fingerprint,
        provenance=manifest.provenance,
        held_out_ids=plain.read_held_out(folder, n_rows=manifest.n_rows),
        store=store,
        manifest=manifest,
    )


def fitting_layout(folder: pathlib.Path, *, entry: ShardEntry, manifest: Manifest) -> Layout:
    """Raises ShardError where the file is not what the manifest says."""
    check_size(folder, entry=entry)
    layout = plain.layout_of(folder / entry.file, dtype=manifest.dtype)
    expected = (entry.n_rows, manifest.d_in)
    if layout.shape != expected or layout.dtype != manifest.dtype:
        raise ShardError(
            f"{layout.path}: has shape {layout.shape}, {layout.dtype}; "
            f"{manifests.MANIFEST} says {expected}, {manifest.dtype}. The file changed "
            "after the manifest was written: restore it, or write the manifest anew with "
            f"`sae-jax check {folder} --rewrite`."
        )
    return layout


def check_size(folder: pathlib.Path, *, entry: manifests.FileEntry) -> None:
    """Raises ShardError where the file is missing, cut short or too long."""
    path = folder / entry.file
    if not path.exists():
        raise ShardError(
            f"{path}: is missing, and {manifests.MANIFEST} lists it. Restore the file, or "
            f"write the folder anew."
        )
    n_bytes = path.stat().st_size
    if n_bytes != entry.n_bytes:
        what = "was cut short" if n_bytes < entry.n_bytes else "has grown"
        raise ShardError(
            f"{path}: {what}: it has {n_bytes:,} bytes, {manifests.MANIFEST} says "
            f"{entry.n_bytes:,}. Restore the file, or if the change is meant, "
            f"`sae-jax check {folder} --rewrite`."
        )


def _open_plain(folder: pathlib.Path) -> ShardReader:
    paths = plain.plain_files(folder)
    if not paths:
        plain.refuse_unreadable(folder)
    layouts = [plain.layout_of(path) for path in paths]
    plain.check_layouts(layouts)
    n_rows = sum(layout.shape[0] for layout in layouts)
    place = folder if folder.is_dir() else folder.parent
    held_out_ids = (
        plain.read_held_out(place, n_rows=n_rows)
        if (place / manifests.HELD_OUT).exists()
        else manifests.held_out_row_ids(n_rows)
    )
    return _reader(
        folder,
        layouts=layouts,
        fingerprint=plain.sampled_fingerprint(layouts, held_out_ids=held_out_ids),
        provenance=Provenance(source=folder.name),
        held_out_ids=held_out_ids,
        store=plain.records_beside(folder),
        manifest=None,
    )


def _reader(folder: pathlib.Path, *, layouts: Sequence[Layout], **fields: Any) -> ShardReader:
    mapped.allow_open_files(len(layouts))
    n_rows = [layout.shape[0] for layout in layouts]
    return ShardReader(
        folder=folder,
        d_in=layouts[0].shape[1],
        dtype=dtypes.dtype_named(layouts[0].dtype),
        n_rows=sum(n_rows),
        files=tuple(MappedRows(layout) for layout in layouts),
        first_rows=np.cumsum([0, *n_rows]).astype(np.int64),
        **fields,
    )
