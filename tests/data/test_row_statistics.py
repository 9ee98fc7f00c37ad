import ml_dtypes
import numpy as np
import pytest

from sae_jax.data.row_statistics import Statistics, row_hashes


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("d_in", [1, 3, 8])
def test_equal_rows_and_no_others_share_a_hash(make, dtype, d_in):
    rows = make.rows(2_000, d_in=d_in).astype(dtype)
    n_different = len({row.tobytes() for row in rows})
    assert len(np.unique(row_hashes(rows))) == n_different
    np.testing.assert_array_equal(row_hashes(rows), row_hashes(rows.copy()))


def test_the_report_agrees_with_numpy(make):
    rows = make.rows(1_000)
    rows[:, 2] = 0.5
    rows[7] = rows[3]
    statistics = Statistics(8)
    for first in range(0, 1_000, 300):
        statistics.add(rows[first : first + 300])
    report = "\n".join(statistics.report())
    norms = np.linalg.norm(rows, axis=1)
    mean = rows.mean(axis=0)
    assert f"{norms.min():.4g} to {norms.max():.4g}" in report
    assert f"‖mean‖ = {np.linalg.norm(mean):.4g}" in report
    assert f"variance    {((rows - mean) ** 2).sum(axis=1).mean():.4g}" in report
    assert "1 coordinates: [2]" in report
    assert "duplicates  1 rows" in report


def test_no_rows_make_no_report():
    assert Statistics(8).report() == []
