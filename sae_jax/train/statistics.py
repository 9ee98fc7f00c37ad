"""What is measured once of the training rows: mean, variance, and a PCA to compare with."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sae_jax.data.shards import ShardReader
from sae_jax.errors import ShardError

MOST_ROWS = 1_000_000  # a corpus beyond this is measured on as many evenly spaced rows
ROWS_PER_READ = 2_048


class DataStatistics(NamedTuple):
    """Of the training rows, in float64."""

    mean: Float[np.ndarray, " d_in"]
    variance: float  # mean ‖x − mean‖²
    directions: Float[np.ndarray, "d_in d_in"]  # principal ones as rows, strongest first


def spread_positions(n_train: int, *, most: int) -> np.ndarray:
    """At most so many training positions, evenly spaced over all shards."""
    n = min(n_train, most)
    return (np.arange(n, dtype=np.int64) * n_train) // n


def read_in_parts(
    reader: ShardReader, row_ids: np.ndarray
) -> Iterator[Float[np.ndarray, "rows d_in"]]:
    """The rows as float32, a bounded number at a time.

    Raises:
        ShardError: a row holds NaN or Inf; it is named.
    """
    for start in range(0, len(row_ids), ROWS_PER_READ):
        here = row_ids[start : start + ROWS_PER_READ]
        rows = reader.read(here).astype(np.float32)
        bad = not_finite(reader, row_ids=here, rows=rows)
        if bad:
            raise ShardError(
                f"{reader.folder}: {bad}; expected finite numbers. Run `sae-jax check "
                f"{reader.folder}` for all of them, and `sae-jax ingest --bad_rows=drop` to "
                "leave them out."
            )
        yield rows
        reader.forget()


def not_finite(
    reader: ShardReader, *, row_ids: np.ndarray, rows: Float[np.ndarray, "rows d_in"]
) -> str:
    """Says which of the rows hold NaN or Inf; empty where all are finite."""
    bad = ~np.isfinite(rows).all(axis=1)
    if not bad.any():
        return ""
    row_id = int(row_ids[np.argmax(bad)])
    return (
        f"{int(bad.sum())} of {len(rows)} rows hold NaN or Inf, the first of them row {row_id} "
        f"({reader.locate(row_id)})"
    )


def measure(reader: ShardReader) -> DataStatistics:
    """One pass over the training rows, in bounded memory."""
    row_ids = reader.train_row_ids(spread_positions(reader.n_train, most=MOST_ROWS))
    total = np.zeros(reader.d_in)
    products = np.zeros((reader.d_in, reader.d_in))
    for rows in read_in_parts(reader, row_ids):
        total += rows.sum(axis=0, dtype=np.float64)
        # float32 products of 2,048 rows at most, summed in float64: 1e-6 relative.
        products += rows.T @ rows
    mean = total / len(row_ids)
    covariance = products / len(row_ids) - np.outer(mean, mean)
    directions = np.linalg.eigh(covariance)[1].T[::-1]
    return DataStatistics(mean, float(np.trace(covariance)), np.ascontiguousarray(directions))


def pca_fvu(
    reader: ShardReader, statistics: DataStatistics, *, k: int, row_ids: np.ndarray
) -> float:
    """fvu of the best k-dimensional affine subspace of the training rows, on these rows."""
    missed = total = 0.0
    basis = statistics.directions[:k].astype(np.float32)
    mean = statistics.mean.astype(np.float32)
    for rows in read_in_parts(reader, row_ids):
        centred = rows - mean
        kept = centred @ basis.T
        total += float(np.sum(centred**2, dtype=np.float64))
        missed += float(
            np.sum(centred**2, dtype=np.float64) - np.sum(kept**2, dtype=np.float64)
        )
    return missed / total
