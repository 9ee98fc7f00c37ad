"""One .npy file of rows, written as they come."""

import hashlib
import io
import os
import pathlib
import weakref

import numpy as np

from sae_jax.data import dtypes
from sae_jax.data.manifest import ShardEntry
from sae_jax.errors import ShardError


class ShardFile:
    """The shard being written: bytes go to the file as they come, and into its sha256."""

    def __init__(self, path: pathlib.Path, *, d_in: int, dtype: str, n_rows: int) -> None:
        """`n_rows` is how many it takes."""
        self.path = path
        self.n_rows = 0
        self._capacity = n_rows
        self._d_in = d_in
        self._dtype = dtypes.file_dtype(dtype)
        self._file = path.open("w+b", buffering=0)
        self.abandon = weakref.finalize(self, self._file.close)
        self._sha256 = hashlib.sha256()
        self._put(self._header(n_rows))

    def write(self, rows: np.ndarray) -> None:
        self._put(rows.view(np.uint8).data)
        self.n_rows += len(rows)

    def close(self, path: pathlib.Path) -> ShardEntry:
        """Gives the shard its name; a short one gets its true length in the header first."""
        if self.n_rows != self._capacity:
            self._file.seek(0)
            self._put(self._header(self.n_rows))
            self._file.seek(0)
            self._sha256 = hashlib.file_digest(self._file, "sha256")
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.rename(path)
        return ShardEntry(
            file=path.name,
            n_rows=self.n_rows,
            n_bytes=path.stat().st_size,
            sha256=self._sha256.hexdigest(),
        )

    def _put(self, content: bytes | memoryview) -> None:
        self._sha256.update(content)
        rest = memoryview(content).cast("B")
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise ShardError(
                f"{self.path}: cannot be written ({error.strerror}). Whole shards are safe: "
                "mend the cause (free some space?), then run the same command again."
            ) from error

    def _header(self, n_rows: int) -> bytes:
        """128 bytes whatever n_rows is: numpy pads for growth."""
        header = io.BytesIO()
        shape = (n_rows, self._d_in)
        np.lib.format.write_array_header_1_0(
            header, {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        )
        return header.getvalue()
