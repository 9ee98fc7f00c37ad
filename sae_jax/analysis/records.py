"""The records beside a corpus's embeddings, all of them, a few at a time."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError

ROWS_PER_READ = 8_192


def all_records(reader: ShardReader, *, wanted: str) -> Iterator[Mapping[str, Any]]:
    """In order of rows.

    Raises:
        UsageError: the embeddings come without records, so that what is wanted is not known.
    """
    for start in range(0, reader.n_rows, ROWS_PER_READ):
        row_ids = np.arange(start, min(start + ROWS_PER_READ, reader.n_rows))
        yield from records_at(reader, row_ids, wanted=wanted)


def records_at(
    reader: ShardReader, row_ids: Int64[np.ndarray, " n"], *, wanted: str
) -> list[dict[str, Any]]:
    """Of these rows, in their order. Raises UsageError as above."""
    found = reader.records(row_ids)
    if found is None:
        raise UsageError(
            f"{reader.folder}: has no {wanted} beside its rows; expected embeddings with "
            "records, as `sae-jax embed` writes them."
        )
    return found


def texts_at(reader: ShardReader, row_ids: Int64[np.ndarray, " n"]) -> dict[int, str]:
    """Of these rows, each once, by row. Raises UsageError as above."""
    distinct = np.unique(row_ids)
    records = records_at(reader, distinct, wanted="texts")
    return {
        row: str(record.get("text") or "")
        for row, record in zip(distinct.tolist(), records, strict=True)
    }
