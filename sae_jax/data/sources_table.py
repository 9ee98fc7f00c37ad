"""Parquet and Arrow files with a column of lists, one embedding a row."""

import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from sae_jax.data import mapped
from sae_jax.data.manifest import Provenance
from sae_jax.data.sources import ROWS_PER_BLOCK, Block, Columns
from sae_jax.errors import ShardError, UsageError


class TableSource:
    """Tables of one schema, in order of their names. A null or its list counts as NaN."""

    def __init__(
        self, path: pathlib.Path, *, files: list[pathlib.Path], columns: Columns
    ) -> None:
        self.description = str(path)
        self.provenance = Provenance(source=path.name)
        self._files, self._columns = files, columns
        self._n_rows = [_n_rows(file) for file in files]
        self.n_rows = sum(self._n_rows)
        schema = _schema(files[0])
        self._embedding = _embedding_column(schema, path=path, wanted=columns.embedding)
        self._carried = _carried(schema)
        self.dtype = _NAMES[str(schema.field(self._embedding).type.value_type)]
        self.d_in = self._width(schema)
        sampled = "".join(mapped.sampled_sha256(file) for file in files)
        self.fingerprint = hashlib.sha256(sampled.encode()).hexdigest()

    def blocks(self, start: int) -> Iterator[Block]:
        first_row = 0
        for file, n_rows in zip(self._files, self._n_rows, strict=True):
            if first_row + n_rows > start:
                row = first_row
                for batch in self._batches(file):
                    skip = min(max(0, start - row), batch.num_rows)
                    if skip < batch.num_rows:
                        yield self._block(batch.slice(skip), file=file, first_row=row + skip)
                    row += batch.num_rows
            first_row += n_rows

    def _batches(self, file: pathlib.Path) -> Iterator[Any]:
        wanted = [self._embedding, *self._carried]
        missing = set(wanted) - set(_schema(file).names)
        if missing:
            raise ShardError(
                f"{file}: has no column {sorted(missing)[0]!r}, which "
                f"{self._files[0].name} has. Expected tables of one schema."
            )
        if file.suffix == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.ParquetFile(file)
            yield from table.iter_batches(ROWS_PER_BLOCK, columns=wanted)
            return
        for batch in _arrow_batches(file):
            for first in range(0, batch.num_rows, ROWS_PER_BLOCK):
                yield batch.slice(first, ROWS_PER_BLOCK).select(wanted)

    def _block(self, batch: Any, *, file: pathlib.Path, first_row: int) -> Block:
        rows = list_rows(
            batch.column(self._embedding), d_in=self.d_in, where=f"{file}, row {first_row}"
        )
        if not self._carried:
            return Block(rows, None)
        carried = batch.select(self._carried).to_pylist()
        records = [
            as_record(row, row_id=first_row + i, columns=self._columns)
            for i, row in enumerate(carried)
        ]
        return Block(rows, records)

    def _width(self, schema: Any) -> int:
        import pyarrow

        kind = schema.field(self._embedding).type
        if pyarrow.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        for file in self._files:
            for batch in self._batches(file):
                for row in batch.column(self._embedding):
                    if row.is_valid:
                        return len(row)
        raise ShardError(f"{self.description}: column {self._embedding!r} has no embeddings.")


_NAMES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def list_rows(column: Any, *, d_in: int, where: str) -> Shaped[np.ndarray, "rows d_in"]:
    """A block of lists as an array, without a Python object per number."""
    import pyarrow

    if pyarrow.types.is_fixed_size_list(column.type) and column.null_count == 0:
        values = column.values.slice(column.offset * d_in, len(column) * d_in)
        return values.to_numpy(zero_copy_only=False).reshape(-1, d_in)
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.flatten().to_numpy(zero_copy_only=False)  # leaves null lists out
    lengths = column.drop_null().value_lengths().to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != d_in)
    if len(wrong):
        place = np.flatnonzero(valid)[wrong[0]]
        raise ShardError(
            f"{where} + {place}: is {lengths[wrong[0]]} wide; the first row is {d_in} wide. "
            "Embeddings of one column must have one width."
        )
    rows = np.full((len(column), d_in), np.nan, values.dtype)
    rows[valid] = values.reshape(-1, d_in)
    return rows


def as_record(row: dict[str, Any], *, row_id: int, columns: Columns) -> dict[str, Any]:
    """Names the id and the text; a column of JSON named metadata is unpacked."""
    rest = dict(row)
    found = rest.pop(columns.id, None)
    record = {
        "id": str(row_id if found is None else found),
        "text": str(rest.pop(columns.text, None) or ""),
    }
    try:
        unpacked = json.loads(rest.get("metadata") or "null")
    except (ValueError, TypeError):
        unpacked = None
    if isinstance(unpacked, dict):
        del rest["metadata"]
        rest |= unpacked
    return record | {name: value for name, value in rest.items() if value is not None}


def _embedding_column(schema: Any, *, path: pathlib.Path, wanted: str) -> str:
    import pyarrow

    def is_embedding(field: Any) -> bool:
        kind = field.type
        listed = (
            pyarrow.types.is_list(kind)
            or pyarrow.types.is_large_list(kind)
            or pyarrow.types.is_fixed_size_list(kind)
        )
        return listed and str(kind.value_type) in _NAMES

    found = [field.name for field in schema if is_embedding(field)]
    if wanted in found:
        return wanted
    listed = ", ".join(f"{field.name} ({field.type})" for field in schema)
    if wanted:
        raise UsageError(
            f"{path}: column {wanted!r} is not a list of floats; the columns are {listed}."
        )
    if len(found) != 1:
        raise UsageError(
            f"{path}: expected one column of lists of floats, found {len(found)}; choose with "
            f"--column=NAME. The columns are {listed}."
        )
    return found[0]


def _carried(schema: Any) -> list[str]:
    """Text and numbers go along as metadata; what is nested does not."""
    import pyarrow

    plain = (
        pyarrow.types.is_string,
        pyarrow.types.is_large_string,
        pyarrow.types.is_integer,
        pyarrow.types.is_floating,
        pyarrow.types.is_boolean,
    )
    return [field.name for field in schema if any(is_kind(field.type) for is_kind in plain)]


def _schema(file: pathlib.Path) -> Any:
    if file.suffix == ".parquet":
        import pyarrow.parquet

        return _opened(file, pyarrow.parquet.ParquetFile).schema_arrow
    return _opened(file, _arrow_reader).schema


def _n_rows(file: pathlib.Path) -> int:
    if file.suffix == ".parquet":
        import pyarrow.parquet

        return int(_opened(file, pyarrow.parquet.ParquetFile).metadata.num_rows)
    return sum(batch.num_rows for batch in _arrow_batches(file))


def _arrow_reader(file: pathlib.Path) -> Any:
    """Arrow has two layouts under one suffix: data sets of Hugging Face are streams."""
    import pyarrow

    source = pyarrow.memory_map(str(file))
    try:
        return pyarrow.ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        return pyarrow.ipc.open_stream(pyarrow.memory_map(str(file)))


def _arrow_batches(file: pathlib.Path) -> Iterator[Any]:
    reader = _opened(file, _arrow_reader)
    if hasattr(reader, "num_record_batches"):
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)
    else:
        yield from reader


def _opened(file: pathlib.Path, opener: Any) -> Any:
    import pyarrow

    try:
        return opener(file)
    except (OSError, pyarrow.ArrowException) as error:
        raise ShardError(
            f"{file}: cannot be read ({error}). Copy or write it again."
        ) from error
