"""What `sae-jax ingest` reads: arrays, tables and TFDS data sets, a block of rows at a time."""

import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from sae_jax.data import mapped, plain, records, shards
from sae_jax.data.manifest import MANIFEST, Provenance
from sae_jax.data.mapped import Layout, MappedRows
from sae_jax.errors import ShardError, UsageError

ROWS_PER_BLOCK = 4_096


class Block(NamedTuple):
    rows: Shaped[np.ndarray, "rows d_in"]
    records: list[dict[str, Any]] | None


class Columns(NamedTuple):
    """Which parts of a source to take; "" lets the source choose where there is one only."""

    embedding: str = ""
    split: str = ""
    id: str = "id"
    text: str = "text"


@runtime_checkable
class Source(Protocol):
    """Rows in a fixed order, with their texts where it has them."""

    description: str
    fingerprint: str
    d_in: int
    dtype: str  # numpy's name, or bfloat16
    n_rows: int
    provenance: Provenance

    def blocks(self, start: int) -> Iterator[Block]:
        """Yields the rows from `start` on."""
        ...


def open_source(path: str | pathlib.Path, *, columns: Columns = Columns()) -> Source:  # noqa: B008
    """Finds out what lies at the path; raises ShardError where it is nothing we read."""
    path = pathlib.Path(str(path).removeprefix("tfds:")).expanduser()
    if not path.exists():
        raise ShardError(f"{path}: does not exist. Expected a file or folder of embeddings.")
    infos = _found(path, "dataset_info.json")
    if infos:
        from sae_jax.data.sources_tfds import TfdsSource

        return TfdsSource(_only(infos, path).parent, columns=columns)
    arrays = plain.plain_files(path)
    if arrays or (path / MANIFEST).exists():
        return ArraySource(path, columns=columns)
    tables = [p for kind in ("parquet", "arrow", "feather") for p in _found(path, f"*.{kind}")]
    if tables:
        from sae_jax.data.sources_table import TableSource

        return TableSource(
            path, files=of_split(tables, path=path, split=columns.split), columns=columns
        )
    raise ShardError(
        f"{path}: has nothing to ingest. Expected .npy, .safetensors, .parquet, .arrow or "
        ".feather files, a folder of sae_jax, or a TFDS data set (with dataset_info.json)."
    )


def _found(path: pathlib.Path, pattern: str) -> list[pathlib.Path]:
    """Files of the folder or, where it has none, of its subfolders."""
    if path.is_file():
        return [path] if path.match(pattern) else []
    return sorted(path.glob(pattern)) or sorted(path.rglob(pattern))


def _only(infos: list[pathlib.Path], path: pathlib.Path) -> pathlib.Path:
    if len(infos) > 1:
        listed = ", ".join(str(info.parent) for info in infos[:5])
        raise UsageError(f"{path}: has several TFDS data sets; name one of {listed}.")
    return infos[0]


def of_split(
    files: list[pathlib.Path], *, path: pathlib.Path, split: str
) -> list[pathlib.Path]:
    """Tables named as data sets on the web are: train-00000-of-00002.parquet."""
    if not split:
        return files
    chosen = [file for file in files if file.name.split("-")[0].split(".")[0] == split]
    if not chosen:
        splits = sorted({file.name.split("-")[0].split(".")[0] for file in files})
        raise UsageError(f"{path}: has no split {split!r}; its files begin with {splits}.")
    return chosen


class ArraySource:
    """Files of .npy or .safetensors, and folders of sae_jax."""

    def __init__(self, path: pathlib.Path, *, columns: Columns) -> None:
        self.description = str(path)
        self.provenance = Provenance(source=path.name)
        self._store: records.RecordStore | None = None
        if (path / MANIFEST).exists():
            reader = shards.open_shards(path)
            self._layouts = [
                plain.layout_of(f.path, dtype=reader.dtype.name) for f in reader.files
            ]
            self._store, self.provenance = reader.store, reader.provenance
        else:
            self._layouts = [_layout(file, columns=columns) for file in plain.plain_files(path)]
            self._store = plain.records_beside(path)
        self.d_in, self.dtype = self._layouts[0].shape[1], self._layouts[0].dtype
        for layout in self._layouts:
            if (layout.shape[1], layout.dtype) != (self.d_in, self.dtype):
                raise ShardError(
                    f"{layout.path}: rows are {layout.shape[1]} wide, {layout.dtype}; those of "
                    f"{self._layouts[0].path.name} are {self.d_in} wide, {self.dtype}."
                )
        self.n_rows = sum(layout.shape[0] for layout in self._layouts)
        if self._store is not None and len(self._store) != self.n_rows:
            raise ShardError(
                f"{self._store.path}: has {len(self._store)} records for {self.n_rows} rows. "
                "Expected one a row; mend it, or move it elsewhere."
            )
        sampled = "".join(mapped.sampled_sha256(layout.path) for layout in self._layouts)
        self.fingerprint = hashlib.sha256(sampled.encode()).hexdigest()

    def blocks(self, start: int) -> Iterator[Block]:
        first_row = 0
        for layout in self._layouts:
            n_rows = layout.shape[0]
            if first_row + n_rows > start:
                yield from self._file_blocks(layout, first_row=first_row, start=start)
            first_row += n_rows

    def _file_blocks(self, layout: Layout, *, first_row: int, start: int) -> Iterator[Block]:
        file = MappedRows(layout)
        for i in range(max(0, start - first_row), len(file.rows), ROWS_PER_BLOCK):
            rows = file.rows[i : i + ROWS_PER_BLOCK]
            if not rows.dtype.isnative:
                rows = rows.astype(rows.dtype.newbyteorder("="))
            row_ids = np.arange(first_row + i, first_row + i + len(rows))
            yield Block(rows, self._store.read(row_ids) if self._store is not None else None)
            file.forget()


def _layout(file: pathlib.Path, *, columns: Columns) -> Layout:
    if file.suffix == ".safetensors":
        layout = mapped.safetensors_layout(file, tensor=columns.embedding)
    else:
        layout = mapped.npy_layout(file)
    mapped.check_whole(layout)
    if layout.dtype != "bfloat16" and layout.numpy_dtype.kind != "f":
        raise ShardError(
            f"{file}: rows are {layout.dtype}; expected floating-point numbers. Turn codes "
            "back into embeddings first."
        )
    return layout
