import numpy as np
import pytest
import safetensors.numpy

from sae_jax.data import mapped
from sae_jax.errors import ShardError


def test_the_layout_of_an_array_is_where_numpy_reads_it(tmp_path, make):
    np.save(tmp_path / "x.npy", make.rows(20))
    layout = mapped.npy_layout(tmp_path / "x.npy")
    assert layout[1:] == (128, (20, 8), "float32")
    assert layout.n_bytes == (tmp_path / "x.npy").stat().st_size
    np.testing.assert_array_equal(mapped.MappedRows(layout).rows, make.rows(20))


def test_mapped_rows_cannot_be_written_to(tmp_path, make):
    np.save(tmp_path / "x.npy", make.rows(2))
    rows = mapped.MappedRows(mapped.npy_layout(tmp_path / "x.npy")).rows
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


def test_an_array_of_no_rows_can_be_mapped(tmp_path, make):
    np.save(tmp_path / "x.npy", make.rows(0))
    assert mapped.MappedRows(mapped.npy_layout(tmp_path / "x.npy")).rows.shape == (0, 8)


def test_a_named_tensor_is_found_among_others(tmp_path, make):
    tensors = {"bias": np.ones(3, np.float32), "rows": make.rows(5, dtype=np.float16)}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors")
    for name in ("", "rows"):
        layout = mapped.safetensors_layout(tmp_path / "x.safetensors", tensor=name)
        np.testing.assert_array_equal(mapped.MappedRows(layout).rows, tensors["rows"])
    with pytest.raises(ShardError, match="expected bias of shape"):
        mapped.safetensors_layout(tmp_path / "x.safetensors", tensor="bias")


def test_a_sampled_checksum_sees_size_name_and_content(tmp_path):
    for name, content in (("a", b"x" * 9_000), ("b", b"x" * 9_000), ("c", b"x" * 9_001)):
        (tmp_path / name).write_bytes(content)
    sums = {mapped.sampled_sha256(tmp_path / name) for name in "abc"}
    (tmp_path / "a").write_bytes(b"x" * 4_000 + b"y" + b"x" * 4_999)
    assert len(sums | {mapped.sampled_sha256(tmp_path / "a")}) == 4
