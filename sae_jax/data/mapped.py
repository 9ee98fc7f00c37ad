"""Files of rows, mapped into memory: .npy and .safetensors, read where they lie."""

import functools
import hashlib
import json
import math
import mmap
import os
import pathlib
import resource
import struct
import weakref
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, Shaped

from sae_jax.data import dtypes
from sae_jax.data.gather import RowFile
from sae_jax.errors import ShardError

_LOT = 1_024  # rows picked at once: 6.3 million a second; 3.9 where they leave a core's L2
SAFETENSORS_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class Layout(NamedTuple):
    """Where the rows lie in a file."""

    path: pathlib.Path
    offset: int  # bytes
    shape: tuple[int, ...]
    dtype: str  # ours; or numpy's where we do not store it

    @property
    def n_bytes(self) -> int:
        """What the file must have at least."""
        return self.offset + math.prod(self.shape) * self.numpy_dtype.itemsize

    @property
    def numpy_dtype(self) -> np.dtype:
        return (
            dtypes.BY_NAME[self.dtype] if self.dtype in dtypes.BY_NAME else np.dtype(self.dtype)
        )


class MappedRows:
    """One file's rows as a read-only array over its pages."""

    def __init__(self, layout: Layout) -> None:
        self.path = layout.path
        self._offset = layout.offset
        with layout.path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        flat = np.frombuffer(
            self._map,
            layout.numpy_dtype,
            count=math.prod(layout.shape),
            offset=layout.offset,
        )
        self.rows: Shaped[np.ndarray, "rows d_in"] = flat.reshape(layout.shape)

    @functools.cached_property
    def opened(self) -> RowFile:
        """The file, for reads that leave the map alone."""
        descriptor = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, descriptor)
        return RowFile(self.path, descriptor, self._offset)

    def pick(
        self,
        row_ids: Int64[np.ndarray, " n"],
        *,
        into: Shaped[np.ndarray, " rows"],
        places: Int64[np.ndarray, " n"],
    ) -> None:
        """into[places] = the rows of these ids, out of the map; each is one void."""
        rows = self.rows.view(into.dtype)[:, 0]
        for start in range(0, len(row_ids), _LOT):
            lot = slice(start, start + _LOT)
            into[places[lot]] = rows[row_ids[lot]]

    def forget(self) -> None:
        """Gives the pages back: they stay in the page cache, but not in our resident set."""
        self._map.madvise(mmap.MADV_DONTNEED)


def npy_layout(path: pathlib.Path) -> Layout:
    """Reads the header; raises ShardError where it is none, or rows are not row-major."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran_order, dtype = read(file)
            offset = file.tell()
    except ValueError as error:
        raise ShardError(
            f"{path}: is not a whole .npy file ({error}). Write or copy it again."
        ) from error
    if fortran_order and len(shape) > 1 and 1 not in shape:
        raise ShardError(
            f"{path}: is stored column by column; expected rows. Save it again with "
            "np.save(path, np.ascontiguousarray(rows))."
        )
    # np.save writes a bfloat16 array as void of two bytes.
    name = "bfloat16" if dtype.str[1:] == "V2" else dtype.name
    return Layout(
        path, offset, shape, name if dtype.isnative or name == "bfloat16" else dtype.str
    )


def safetensors_header(path: pathlib.Path) -> tuple[int, dict[str, Any]]:
    """The offset of the data, and the entry of each tensor."""
    try:
        with path.open("rb") as file:
            (n_bytes,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(n_bytes, 100_000_000)))
    except (struct.error, ValueError) as error:
        raise ShardError(
            f"{path}: is not a whole .safetensors file ({error}). Write or copy it again."
        ) from error
    header.pop("__metadata__", None)
    return 8 + n_bytes, header


def safetensors_layout(path: pathlib.Path, *, tensor: str = "") -> Layout:
    """The named tensor, or the only one with two axes."""
    offset, header = safetensors_header(path)
    named = [name for name in header if name == tensor or not tensor]
    found = [name for name in named if len(header[name]["shape"]) == 2]
    if len(found) != 1:
        listed = ", ".join(f"{n} {header[n]['shape']}" for n in list(header)[:8]) or "none"
        raise ShardError(
            f"{path}: expected {tensor or 'one tensor'} of shape [rows, d_in], found {listed}. "
            f"Choose one: `sae-jax ingest {path} --column=NAME --out=FOLDER`."
        )
    entry = header[found[0]]
    dtype = SAFETENSORS_DTYPES.get(entry["dtype"], {"F64": "float64"}.get(entry["dtype"], ""))
    if not dtype:
        raise ShardError(
            f"{path}: tensor {found[0]} is {entry['dtype']}; expected one of "
            f"{', '.join(SAFETENSORS_DTYPES)}."
        )
    return Layout(path, offset + entry["data_offsets"][0], tuple(entry["shape"]), dtype)


def check_layout(layout: Layout) -> None:
    """Raises ShardError where the file is cut short, or its rows are not ours to read."""
    check_whole(layout)
    if layout.dtype not in dtypes.BY_NAME:
        raise ShardError(
            f"{layout.path}: rows are {layout.dtype}; expected one of "
            f"{', '.join(dtypes.BY_NAME)}. Convert once: "
            f"`sae-jax ingest {layout.path.parent} --dtype=float32 --out=FOLDER`."
        )


def check_whole(layout: Layout) -> None:
    """Raises ShardError where rows have no width, or the file is cut short."""
    if len(layout.shape) != 2:
        raise ShardError(
            f"{layout.path}: has shape {layout.shape}; expected [rows, d_in], one embedding a "
            "row."
        )
    n_bytes = layout.path.stat().st_size
    if n_bytes < layout.n_bytes:
        raise ShardError(
            f"{layout.path}: has {n_bytes:,} bytes; shape {layout.shape} of {layout.dtype} "
            f"needs {layout.n_bytes:,}. It was cut short: copy or write it again."
        )


def sampled_sha256(path: pathlib.Path) -> str:
    """Name, size, and 64 evenly spread pieces: cheap, and sees most changes."""
    n_bytes = path.stat().st_size
    digest = hashlib.sha256(f"{path.name} {n_bytes}".encode())
    with path.open("rb") as file:
        for offset in np.linspace(0, max(0, n_bytes - 4096), 64).astype(int):
            digest.update(os.pread(file.fileno(), 4096, int(offset)))
    return digest.hexdigest()


def allow_open_files(n_files: int) -> None:
    """Raises the soft limit: each file takes two descriptors, and 1024 is a common limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * n_files + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
