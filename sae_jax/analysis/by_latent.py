"""Codes by row to codes by latent: a transpose on disk.

Memory does not grow with the rows, but for a latent that is on for most of them.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.format import open_memmap

ENTRIES_AT_ONCE = 4_194_304  # sorted in memory: about 150 MB


def write_by_latent(
    folder: pathlib.Path,
    *,
    values: Float[np.ndarray, "n_rows k"],
    indices: Int[np.ndarray, "n_rows k"],
    n_latents: int,
) -> int:
    """Writes latent_starts, latent_rows and latent_values; returns how many entries are on.

    First every entry goes to its latent, in order of rows; then each latent's are sorted.
    """
    n_on = np.zeros(n_latents, np.int64)
    for chunk in _chunks(len(values), values.shape[1]):
        n_on += np.bincount(indices[chunk][values[chunk] > 0], minlength=n_latents)
    starts = np.concatenate([[0], np.cumsum(n_on)])
    total = int(starts[-1])
    np.save(folder / "latent_starts.npy", starts)
    if not total:
        np.save(folder / "latent_rows.npy", np.zeros(0, np.int32))
        np.save(folder / "latent_values.npy", np.zeros(0, np.float32))
        return 0
    rows_out = _create(folder / "latent_rows.npy", n=total, dtype=np.int32)
    values_out = _create(folder / "latent_values.npy", n=total, dtype=np.float32)
    free = starts[:-1].copy()
    for chunk in _chunks(len(values), values.shape[1]):
        rows, places = np.nonzero(values[chunk] > 0)
        latents = indices[chunk][rows, places]
        order = np.argsort(latents, kind="stable")
        n_here = np.bincount(latents, minlength=n_latents)
        within = np.arange(len(order)) - np.repeat(np.cumsum(n_here) - n_here, n_here)
        target = np.repeat(free, n_here) + within
        rows_out[target] = chunk.start + rows[order]
        values_out[target] = values[chunk][rows, places][order]
        free += n_here
    _sort_each(starts, rows=rows_out, values=values_out)
    rows_out.flush()
    values_out.flush()
    return total


def _create(path: pathlib.Path, *, n: int, dtype: type) -> np.memmap:
    return open_memmap(path, mode="w+", dtype=dtype, shape=(n,))


def _chunks(n_rows: int, k: int) -> Iterator[slice]:
    at_once = max(1, ENTRIES_AT_ONCE // k)
    for start in range(0, n_rows, at_once):
        yield slice(start, min(start + at_once, n_rows))


def _sort_each(
    starts: Int[np.ndarray, " n_latents_and_one"],
    *,
    rows: Int[np.ndarray, " n_on"],
    values: Float[np.ndarray, " n_on"],
) -> None:
    """Each latent's entries by value, strongest first; of equals the earlier row first."""
    first, n_latents = 0, len(starts) - 1
    while first < n_latents:
        end = int(np.searchsorted(starts, starts[first] + ENTRIES_AT_ONCE, side="right")) - 1
        end = min(max(end, first + 1), n_latents)
        span = slice(int(starts[first]), int(starts[end]))
        latents = np.repeat(np.arange(first, end), np.diff(starts[first : end + 1]))
        here_rows, here_values = np.asarray(rows[span]), np.asarray(values[span])
        order = np.lexsort((here_rows, -here_values, latents))
        rows[span], values[span] = here_rows[order], here_values[order]
        first = end
