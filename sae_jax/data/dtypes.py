"""The three number formats that rows are stored in, and the tests that look at bits only."""

from typing import NamedTuple

import ml_dtypes
import numpy as np
from jaxtyping import Bool, Shaped

from sae_jax.errors import ShardError

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
BY_NAME = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": BFLOAT16,
}
# The exponent's bits: all of them set means Inf or NaN.
_EXPONENT = {"float32": 0x7F800000, "float16": 0x7C00, "bfloat16": 0x7F80}


class Faults(NamedTuple):
    """Which rows cannot be trained on."""

    not_finite: Bool[np.ndarray, " rows"]
    all_zero: Bool[np.ndarray, " rows"]


def dtype_named(name: str) -> np.dtype:
    """Raises ShardError, listing the known ones, where rows cannot be stored so."""
    if name not in BY_NAME:
        raise ShardError(f"dtype {name!r} is not one of {', '.join(BY_NAME)}.")
    return BY_NAME[name]


def file_dtype(name: str) -> np.dtype:
    """What the .npy file says: numpy has no name for bfloat16 and would load it as void."""
    return np.dtype("<u2") if name == "bfloat16" else dtype_named(name).newbyteorder("<")


def faults(rows: Shaped[np.ndarray, "rows d_in"]) -> Faults:
    """Finds rows with a NaN or Inf, and rows of zeros only.

    Works on the bits: float16 and bfloat16 arithmetic is emulated by numpy and slow.
    """
    bits: np.ndarray = rows.view(np.uint32 if rows.dtype.itemsize == 4 else np.uint16)
    exponent = _EXPONENT[rows.dtype.name]
    highest = (bits & exponent).max(axis=1, initial=0)
    magnitude = bits & (np.iinfo(bits.dtype).max >> 1)
    return Faults(np.equal(highest, exponent), np.logical_not(magnitude.any(axis=1)))
