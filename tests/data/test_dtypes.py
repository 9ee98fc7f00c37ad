import ml_dtypes
import numpy as np
import pytest

from sae_jax.data import dtypes
from sae_jax.errors import ShardError

DTYPES = [np.float32, np.float16, ml_dtypes.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_a_row_with_nan_or_inf_is_found(dtype, value):
    rows = np.ones((5, 3), dtype)
    rows[3, 2] = value
    assert dtypes.faults(rows).not_finite.tolist() == [False, False, False, True, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_of_zeros_is_found_and_one_of_tiny_numbers_is_not(dtype):
    rows = np.zeros((3, 4), dtype)
    rows[0, 1] = np.frombuffer(b"\x01\0\0\0", dtype)[0]  # the least number above 0
    rows[1] = -0.0
    found = dtypes.faults(rows)
    assert found.all_zero.tolist() == [False, True, True]
    assert not found.not_finite.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_number_is_finite(dtype):
    rows = np.full((1, 2), ml_dtypes.finfo(dtype).max, dtype)
    assert not dtypes.faults(rows).not_finite.any()


def test_an_unknown_dtype_lists_the_known_ones():
    with pytest.raises(ShardError, match="'int8' is not one of float32, float16, bfloat16"):
        dtypes.dtype_named("int8")
