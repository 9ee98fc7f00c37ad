"""Opens a folder of embeddings and reads rows by number: ours, or plain files in place."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from sae_jax.data import dtypes, mapped, plain, records
from sae_jax.data import manifest as manifests
from sae_jax.data.manifest import Manifest, Provenance, ShardEntry
from sae_jax.data.mapped import Layout, MappedRows
from sae_jax.data.records import RecordStore
from sae_jax.errors import ShardError

# A folder up to this size stays mapped whole: rows are read three times faster, and the
# resident set grows by no more than this. Larger ones are read without mapping.
MAX_MAPPED_BYTES = 32 * 2**20
_NEAR = 16  # rows


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

    @property
    def n_train(self) -> int:
        return self.n_rows - len(self.held_out_ids)

    @property
    def n_bytes(self) -> int:
        return self.n_rows * self.d_in * self.dtype.itemsize

    def train_row_ids(self, positions: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The row that is p-th among those not held out, for each p."""
        # held_out_ids[j] - j training rows come before the j-th held-out row.
        before = self.held_out_ids - np.arange(len(self.held_out_ids))
        return positions + np.searchsorted(before, positions, side="right")

    def read(self, row_ids: Int64[np.ndarray, " n"]) -> Shaped[np.ndarray, "n d_in"]:
        """Copies rows out in the order asked for, as stored; raises ShardError off the end."""
        rows = np.empty((len(row_ids), self.d_in), self.dtype)
        if not len(row_ids):
            return rows
        order = np.argsort(row_ids)  # a file's rows together, in the order on the disk
        ascending = row_ids[order]
        if ascending[0] < 0 or ascending[-1] >= self.n_rows:
            outside = ascending[0] if ascending[0] < 0 else ascending[-1]
            raise ShardError(f"{self.folder}: has no row {outside}, only {self.n_rows} rows.")
        # Many rows near each other are read fastest through the map, as are all rows of a
        # folder that may stay mapped; single rows of a large one would map it all in time.
        near = np.count_nonzero(np.diff(ascending) <= _NEAR) > len(ascending) // 2
        by_map = bool(near) or self.n_bytes <= MAX_MAPPED_BYTES
        ends = np.searchsorted(ascending, self.first_rows)
        for i in np.flatnonzero(np.diff(ends)):
            here = slice(ends[i], ends[i + 1])
            in_file = ascending[here] - self.first_rows[i]
            rows[order[here]] = self.files[i].gather(in_file, by_map=by_map)
        return rows

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
