"""Reads chosen rows of a file without mapping it, for folders too large to stay mapped."""

import collections
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Shaped

from sae_jax.errors import ShardError

CHUNK_BYTES = 256 * 2**10  # 6.8 GB/s, of 7.2 in pieces of 1 MiB, and it stays in a core's L2
# A call takes 1.2 to 2 µs beside its copy. In that time one already begun reads 12 KiB more:
# where one row of 12 is wanted (of 768 bytes), both ways give 0.6 to 0.9 million a second.
CALL_BYTES = 12 * 2**10
N_CALLS_OF_NUMPY = 4  # take as long as picking rows out of a chunk, however few
# Reads under way at once: 73,000 rows far apart a second from a disk, where one after the
# other gives 10,000 to 14,000, 32 give 60,000, and 16 threads that wait 23,000 to 41,000.
MOST_ASKED = 256
MOST_CHUNKS_ASKED = 8  # 1.1 to 1.5 GB/s from a disk; 0.4 to 0.9 one by one, 0.3 for 32
# From the page cache or not at all. macOS has no such flag: there each read waits.
_AT_ONCE = getattr(os, "RWF_NOWAIT", 0)


class RowFile(NamedTuple):
    """An open file whose rows begin at byte `offset`."""

    path: pathlib.Path
    descriptor: int
    offset: int


class _Chunk(NamedTuple):
    """The rows start:stop of those wanted, and the bytes from the first to the last."""

    file: RowFile
    at: int
    n_bytes: int
    start: int
    stop: int


def gather(
    files: Sequence[RowFile],
    *,
    file_ids: Int64[np.ndarray, " n"],
    row_ids: Int64[np.ndarray, " n"],
    into: Shaped[np.ndarray, " rows"],
    places: Int64[np.ndarray, " n"],
) -> None:
    """into[places] = these rows of these files, which ascend; each is one void of its bytes.

    Where many rows of a chunk are wanted, it is read whole and they are picked out of it;
    elsewhere each has a read of its own. Through a map that is forgotten again, so that the
    resident set stays small, each would be a page fault: 0.12 to 0.2 million a second, where
    reads give 0.7 million of 768 bytes, and chunks up to 3.7 million.

    Raises:
        ShardError: a file ends before a row.
    """
    row_bytes = into.itemsize
    at = row_ids * row_bytes + np.array([file.offset for file in files])[file_ids]
    chunk_ids = row_ids // max(1, CHUNK_BYTES // row_bytes)
    changes = (np.diff(chunk_ids) != 0) | (np.diff(file_ids) != 0)
    starts = np.append(0, np.flatnonzero(changes) + 1)
    stops = np.append(starts[1:], len(row_ids))
    n_bytes = at[stops - 1] - at[starts] + row_bytes
    whole = (stops - starts - N_CALLS_OF_NUMPY) * CALL_BYTES >= n_bytes
    alone = np.repeat(~whole, stops - starts)
    _read_alone(files, file_ids=file_ids[alone], at=at[alone], into=into, places=places[alone])
    fields = (file_ids[starts], at[starts], n_bytes, starts, stops)
    listed = zip(*(field[whole].tolist() for field in fields), strict=True)
    chunks = [_Chunk(files[i], *rest) for i, *rest in listed]
    _read_chunks(chunks, at=at, into=into, places=places)


def _read_alone(
    files: Sequence[RowFile],
    *,
    file_ids: Int64[np.ndarray, " n"],
    at: Int64[np.ndarray, " n"],
    into: Shaped[np.ndarray, " rows"],
    places: Int64[np.ndarray, " n"],
) -> None:
    """One call a row, straight to its place."""
    memory, size, preadv = into.view(np.uint8).data, into.itemsize, os.preadv
    late: collections.deque[tuple[int, int, int]] = collections.deque()

    def wait_for(i: int, offset: int, start: int) -> None:
        _wait_for(files[i], at=offset, into=memory[start : start + size])

    descriptors = np.array([file.descriptor for file in files])[file_ids].tolist()
    starts = (places * size).tolist()
    # No function of ours is called for a row in the page cache: it would cost a fifth.
    for i, descriptor, offset, start in zip(
        file_ids.tolist(), descriptors, at.tolist(), starts, strict=True
    ):
        try:
            n = preadv(descriptor, (memory[start : start + size],), offset, _AT_ONCE)
        except OSError:  # it would have to wait, or the file system cannot tell, such as NFS
            n = 0
        if n != size:
            _ask_for(files[i], at=offset, n_bytes=size)
            late.append((i, offset, start))
            if len(late) == MOST_ASKED:
                wait_for(*late.popleft())
    for request in late:
        wait_for(*request)


def _read_chunks(
    chunks: Sequence[_Chunk],
    *,
    at: Int64[np.ndarray, " n"],
    into: Shaped[np.ndarray, " rows"],
    places: Int64[np.ndarray, " n"],
) -> None:
    """One call a chunk, out of which its rows are picked."""
    size = into.itemsize
    rows = np.empty(max((chunk.n_bytes for chunk in chunks), default=0) // size, into.dtype)
    memory = rows.view(np.uint8).data
    late: collections.deque[_Chunk] = collections.deque()

    def pick(chunk: _Chunk) -> None:
        here = slice(chunk.start, chunk.stop)
        into[places[here]] = rows[(at[here] - chunk.at) // size]

    def wait_for(chunk: _Chunk) -> None:
        _wait_for(chunk.file, at=chunk.at, into=memory[: chunk.n_bytes])
        pick(chunk)

    for chunk in chunks:
        buffers = (memory[: chunk.n_bytes],)
        try:
            n = os.preadv(chunk.file.descriptor, buffers, chunk.at, _AT_ONCE)
        except OSError:
            n = 0
        if n == chunk.n_bytes:
            pick(chunk)
        else:
            _ask_for(chunk.file, at=chunk.at, n_bytes=chunk.n_bytes)
            late.append(chunk)
            if len(late) == MOST_CHUNKS_ASKED:
                wait_for(late.popleft())
    for chunk in late:
        wait_for(chunk)


def _ask_for(file: RowFile, *, at: int, n_bytes: int) -> None:
    """Has the system begin to read into its page cache."""
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(file.descriptor, at, n_bytes, os.POSIX_FADV_WILLNEED)


def _wait_for(file: RowFile, *, at: int, into: memoryview) -> None:
    if os.preadv(file.descriptor, (into,), at) != len(into):
        raise ShardError(
            f"{file.path}: ends before byte {at + len(into)}: it was cut short while it "
            "was open. Restore the file."
        )
