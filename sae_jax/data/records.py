"""Texts and metadata of rows: written beside the shards, and read back a few at a time.

A record is a mapping with "id" and "text" (strings) and whatever else the source knows.
"""

import contextlib
import gzip
import json
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from sae_jax.errors import ShardError

ROWS_FILE = "rows.parquet"
ROWS_PER_GROUP = 1_024  # Parquet decodes a whole group for one row of it
PLAIN_NAMES = ("rows.jsonl", "rows.jsonl.gz", "texts.jsonl", "texts.jsonl.gz")


@runtime_checkable
class RecordStore(Protocol):
    """A file of records in row order."""

    path: pathlib.Path

    def __len__(self) -> int: ...

    def read(self, row_ids: Sequence[int] | np.ndarray) -> list[dict[str, Any]]: ...


def open_records(path: pathlib.Path) -> RecordStore:
    """Picks the reader by the file's name."""
    return ParquetRecords(path) if path.suffix == ".parquet" else JsonLines(path)


class ParquetRecords:
    """rows.parquet: columns id, text, and metadata as JSON text."""

    def __init__(self, path: pathlib.Path) -> None:
        import pyarrow
        import pyarrow.parquet

        self.path = path
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except (OSError, pyarrow.ArrowException) as error:
            raise ShardError(
                f"{path}: cannot be read as Parquet ({error}). Restore the file, or write "
                "the folder anew."
            ) from error
        groups = [
            self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)
        ]
        self._first_rows = np.cumsum([0, *groups])

    def __len__(self) -> int:
        return int(self._first_rows[-1])

    def read(self, row_ids: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
        row_ids = np.asarray(row_ids, np.int64)
        group_of_row = np.searchsorted(self._first_rows, row_ids, side="right") - 1
        found: list[dict[str, Any]] = [{} for _ in row_ids]
        for group in np.unique(group_of_row):
            here = np.flatnonzero(group_of_row == group)
            table = self._file.read_row_group(int(group))
            rows = table.take(row_ids[here] - self._first_rows[group]).to_pylist()
            for place, row in zip(here, rows, strict=True):
                found[place] = _from_parquet(row, row_id=int(row_ids[place]))
        return found


def _from_parquet(row: dict[str, Any], *, row_id: int) -> dict[str, Any]:
    metadata = row.pop("metadata", None)
    row = {"id": str(row.pop("id", row_id)), "text": row.pop("text", None) or "", **row}
    return row | (json.loads(metadata) if metadata else {})


class JsonLines:
    """One JSON object a line, plain or gzip; line i belongs to row i."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._lines: IO[bytes] | None = None
        self._ends: Int64[np.ndarray, " n"] = np.zeros(0, np.int64)

    def __len__(self) -> int:
        self._open()
        return len(self._ends)

    def read(self, row_ids: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
        lines = self._open()
        found = []
        for row_id in map(int, row_ids):
            lines.seek(self._ends[row_id - 1] if row_id else 0)
            try:
                row = json.loads(lines.readline())
                found.append({"id": str(row_id), "text": ""} | row)
            except (ValueError, TypeError) as error:
                raise ShardError(
                    f"{self.path}, line {row_id + 1}: is not a JSON object ({error}). Each row "
                    "of the arrays needs one line."
                ) from error
        return found

    def _open(self) -> IO[bytes]:
        """Finds where lines end, once; gzip is unpacked into a temporary file first."""
        if self._lines is None:
            packed = self.path.suffix == ".gz"
            lines = tempfile.TemporaryFile() if packed else self.path.open("rb")  # noqa: SIM115
            weakref.finalize(self, lines.close)
            if packed:
                self._unpack(lines)
            lengths = np.fromiter((len(line) for line in lines if line.strip()), np.int64)
            self._ends = np.cumsum(lengths)
            self._lines = lines
        return self._lines

    def _unpack(self, lines: IO[bytes]) -> None:
        try:
            with gzip.open(self.path) as packed:
                shutil.copyfileobj(packed, lines)
        except (OSError, EOFError) as error:
            raise ShardError(f"{self.path}: cannot be unpacked ({error}).") from error
        lines.seek(0)


def write_part(path: pathlib.Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Writes the records of one shard."""
    with parquet_writer(path) as write:
        for first in range(0, len(records), ROWS_PER_GROUP):
            write(records[first : first + ROWS_PER_GROUP])


def join_parts(parts: Sequence[pathlib.Path], *, path: pathlib.Path) -> None:
    """Makes one file of the shards' parts, a group of rows at a time."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, _schema(), compression="zstd") as writer:
        for part in parts:
            source = pyarrow.parquet.ParquetFile(part)
            for group in range(source.num_row_groups):
                writer.write_table(source.read_row_group(group))


@contextlib.contextmanager
def parquet_writer(path: pathlib.Path) -> Iterator[Any]:
    """Yields a function that appends records as one row group."""
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, _schema(), compression="zstd") as writer:

        def write(records: Sequence[Mapping[str, Any]]) -> None:
            rows = [_to_parquet(record) for record in records]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=_schema()))

        yield write


def _to_parquet(record: Mapping[str, Any]) -> dict[str, str | None]:
    rest = {name: value for name, value in record.items() if name not in ("id", "text")}
    return {
        "id": str(record["id"]),
        "text": str(record.get("text") or ""),
        "metadata": json.dumps(rest, ensure_ascii=False, default=str) if rest else None,
    }


def _schema() -> Any:
    import pyarrow

    text = pyarrow.string()
    return pyarrow.schema([("id", text), ("text", text), ("metadata", text)])
