import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from sae_jax.data.sources import Columns, open_source
from sae_jax.errors import ShardError


def read_all(source, start=0):
    blocks = list(source.blocks(start))
    rows = np.concatenate([np.array(block.rows) for block in blocks])
    records = [record for block in blocks for record in block.records or []]
    return rows, records


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<f8", ">f4", ml_dtypes.bfloat16])
@pytest.mark.parametrize("start", [0, 1, 4_096, 5_000, 8_999, 9_000])
def test_arrays_are_read_from_any_row_on(tmp_path, make, dtype, start):
    rows = make.rows(9_000).astype(dtype)
    np.save(tmp_path / "a.npy", rows[:5_000])
    np.save(tmp_path / "b.npy", rows[5_000:])
    source = open_source(tmp_path)
    assert (source.n_rows, source.d_in) == (9_000, 8)
    found = np.concatenate([rows[:0].copy(), *[np.array(b.rows) for b in source.blocks(start)]])
    np.testing.assert_array_equal(found.astype(np.float64), rows[start:].astype(np.float64))


def test_a_tensor_is_chosen_by_name(tmp_path, make):
    tensors = {"a": make.rows(3), "b": make.rows(5, d_in=2)}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors")
    source = open_source(tmp_path / "x.safetensors", columns=Columns(embedding="b"))
    np.testing.assert_array_equal(read_all(source)[0], tensors["b"])


def test_our_own_folder_is_a_source_with_its_texts(folder, make):
    rows, records = read_all(open_source(folder), start=120)
    np.testing.assert_array_equal(rows, make.rows(350)[120:])
    assert records == make.records(350)[120:]


def test_texts_that_are_fewer_than_rows_are_refused_before_the_start(tmp_path, make):
    np.save(tmp_path / "a.npy", make.rows(3))
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(ShardError, match="has 1 records for 3 rows"):
        open_source(tmp_path)


def test_codes_of_whole_numbers_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4), np.int8))
    with pytest.raises(ShardError, match="rows are int8; expected floating-point"):
        open_source(tmp_path)


def test_mixed_arrays_are_refused(tmp_path, make):
    np.save(tmp_path / "a.npy", make.rows(3))
    np.save(tmp_path / "b.npy", make.rows(3, d_in=5))
    with pytest.raises(ShardError, match=r"b\.npy: rows are 5 wide.*a\.npy are 8 wide"):
        open_source(tmp_path)


def test_nothing_to_ingest_says_what_was_expected(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ShardError, match=r"has nothing to ingest\. Expected \.npy"):
        open_source(tmp_path)


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(ShardError, match="nowhere: does not exist"):
        open_source(tmp_path / "nowhere")
