"""CRC-32 of each array, whatever devices and processes hold its parts.

A part is some of an array's rows. Its CRC is computed where it is; those of all parts then
combine into the CRC of the whole array's bytes in order. So a checkpoint written by four
processes is verified by one, and nobody gathers a dictionary.
"""

import functools
import zlib
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

POLYNOMIAL = 0xEDB88320  # of CRC-32, its bits reversed
Parts = dict[tuple[int, int], int]  # (first row, row after the last): CRC


def of_arrays(arrays: dict[str, Any]) -> dict[str, str]:
    """Type, shape and CRC-32 of each: "float32[64, 16]:0badcafe". All processes call it.

    Where two processes hold different values of the same part, "differs" replaces the CRC.
    """
    parts_here = [_parts(array) for array in arrays.values()]
    of_all = _exchange(parts_here) if jax.process_count() > 1 else [parts_here]
    found = {}
    for i, (name, array) in enumerate(arrays.items()):
        crc = _combined([parts[i] for parts in of_all], n_bytes=_bytes_per_row(array))
        found[name] = f"{kind(array)}:{'differs' if crc is None else f'{crc:08x}'}"
    return found


def kind(array: Any) -> str:
    """Type and shape, as a checksum begins."""
    return f"{array.dtype}{list(array.shape)}"


def _bytes_per_row(array: Any) -> int:
    return int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize


def _parts(array: Any) -> Parts:
    """Of the rows that this process holds, each once; of one process, all of them."""
    parts: Parts = {}
    shards = array.addressable_shards if isinstance(array, jax.Array) else ()
    for shard in shards:
        n_rows = array.shape[0] if array.ndim else 1
        start, stop, _ = (shard.index[0] if array.ndim else slice(None)).indices(n_rows)
        if (start, stop) not in parts:
            parts[start, stop] = _crc(shard.data)
    return parts or {(0, array.shape[0] if array.ndim else 1): _crc(array)}


def _crc(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _exchange(parts_here: list[Parts]) -> list[list[Parts]]:
    """The parts of every process, as they are on every process."""
    table = np.zeros((len(parts_here), jax.local_device_count(), 3), np.uint32)
    for i, parts in enumerate(parts_here):
        for j, ((start, stop), crc) in enumerate(parts.items()):
            table[i, j] = start, stop, crc
    return [
        [
            {(int(start), int(stop)): int(crc) for start, stop, crc in rows if stop > start}
            for rows in of_process
        ]
        for of_process in multihost_utils.process_allgather(table)
    ]


def _combined(of_processes: list[Parts], *, n_bytes: int) -> int | None:
    """The CRC of the whole; None where two hold different values of a part."""
    whole: Parts = {}
    for parts in of_processes:
        if any(whole.get(rows, crc) != crc for rows, crc in parts.items()):
            return None
        whole |= parts
    total, end = 0, 0
    for (start, stop), crc in sorted(whole.items()):
        assert start == end, "parts overlap, or one is missing"
        total, end = join(total, crc, n_bytes=(stop - start) * n_bytes), stop
    return total


def join(first: int, second: int, *, n_bytes: int) -> int:
    """The CRC-32 of two byte strings in a row from theirs; the second has n_bytes.

    Appending n zero bits multiplies by xⁿ modulo the polynomial; as zlib's crc32_combine.
    """
    power, square = 1 << 31, 3  # x⁰; bits per byte are 2³
    while n_bytes:
        if n_bytes & 1:
            power = _product(_x_to_two_to(square), power)
        n_bytes, square = n_bytes >> 1, square + 1
    return _product(power, first) ^ second


@functools.cache
def _x_to_two_to(n: int) -> int:
    if n == 0:
        return 1 << 30  # x itself
    root = _x_to_two_to(n - 1)
    return _product(root, root)


def _product(a: int, b: int) -> int:
    """a · b modulo the polynomial; the highest bit is x⁰."""
    total = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            total ^= b
        b = b >> 1 ^ (POLYNOMIAL if b & 1 else 0)
    return total
