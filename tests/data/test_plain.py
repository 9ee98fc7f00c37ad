"""Folders without a manifest, opened in place."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from sae_jax.data import shards
from sae_jax.data.manifest import held_out_row_ids
from sae_jax.errors import ShardError


def save(folder, *arrays):
    folder.mkdir(exist_ok=True)
    for i, rows in enumerate(arrays):
        np.save(folder / f"part-{i}.npy", rows)
    return folder


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_plain_arrays_open_in_place_in_the_order_of_their_names(tmp_path, make, dtype, kind):
    rows = make.rows(90).astype(dtype)
    for i, piece in enumerate((rows[:30], rows[30:])):
        if kind == "npy":
            np.save(tmp_path / f"{i}.npy", piece)
        else:
            safetensors.numpy.save_file({f"name{i}": piece}, tmp_path / f"{i}.safetensors")
    reader = shards.open_shards(tmp_path)
    found = reader.read(np.arange(90))
    assert found.dtype == rows.dtype
    np.testing.assert_array_equal(found.view(np.uint8), rows.view(np.uint8))
    np.testing.assert_array_equal(reader.held_out_ids, held_out_row_ids(90))


def test_one_file_opens_alone(tmp_path, make):
    save(tmp_path, make.rows(10), make.rows(20))
    assert shards.open_shards(tmp_path / "part-1.npy").n_rows == 20


def test_held_out_rows_beside_plain_arrays_are_heeded(tmp_path, make):
    save(tmp_path, make.rows(10))
    np.save(tmp_path / "held_out.npy", np.array([2, 5]))
    reader = shards.open_shards(tmp_path)
    assert reader.held_out_ids.tolist() == [2, 5]
    assert reader.n_rows == 10


def test_texts_beside_plain_arrays_are_their_records(tmp_path, make):
    save(tmp_path, make.rows(3))
    lines = [json.dumps({"text": f"über {i}", "n": i}) for i in range(3)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines), encoding="utf8")
    found = shards.open_shards(tmp_path).records([2, 0])
    assert found == [
        {"id": "2", "text": "über 2", "n": 2},
        {"id": "0", "text": "über 0", "n": 0},
    ]


def test_texts_that_are_fewer_than_rows_are_an_error_when_asked_for(tmp_path, make):
    save(tmp_path, make.rows(3))
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n')
    reader = shards.open_shards(tmp_path)
    with pytest.raises(ShardError, match=r"has 1 records; the folder has 3 rows"):
        reader.records([0])


def test_the_fingerprint_sees_a_changed_row_and_a_renamed_file(tmp_path, make):
    rows = make.rows(300)
    first = shards.open_shards(save(tmp_path / "a", rows)).fingerprint
    assert shards.open_shards(save(tmp_path / "b", rows)).fingerprint == first
    rows[299, 7] += 1
    assert shards.open_shards(save(tmp_path / "c", rows)).fingerprint != first


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(ShardError, match=r"has no manifest\.json, \.npy or \.safetensors"):
        shards.open_shards(tmp_path)


@pytest.mark.parametrize("name", ["a.parquet", "b.arrow", "x/dataset_info.json"])
def test_what_has_to_be_ingested_is_answered_with_the_command(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    expected = f"`sae-jax ingest {tmp_path} --out={tmp_path.name}-shards`"
    with pytest.raises(ShardError, match=expected):
        shards.open_shards(tmp_path)


def test_float64_is_refused_with_the_command_that_converts(tmp_path, make):
    save(tmp_path, make.rows(3, dtype=np.float64))
    with pytest.raises(ShardError, match=r"rows are float64;.*ingest .* --dtype=float32"):
        shards.open_shards(tmp_path)


def test_whole_numbers_are_refused(tmp_path):
    save(tmp_path, np.ones((3, 4), np.uint16))
    with pytest.raises(ShardError, match="rows are uint16; expected one of float32"):
        shards.open_shards(tmp_path)


def test_mixed_widths_are_refused(tmp_path, make):
    save(tmp_path, make.rows(3), make.rows(3, d_in=9))
    with pytest.raises(
        ShardError, match=r"part-1\.npy: rows are 9 wide.*part-0\.npy are 8 wide"
    ):
        shards.open_shards(tmp_path)


def test_mixed_dtypes_are_refused(tmp_path, make):
    save(tmp_path, make.rows(3), make.rows(3, dtype=np.float16))
    with pytest.raises(ShardError, match=r"part-1\.npy: rows are 8 wide, float16"):
        shards.open_shards(tmp_path)


def test_an_array_that_is_not_rows_is_refused(tmp_path):
    save(tmp_path, np.ones(5, np.float32))
    with pytest.raises(ShardError, match=r"has shape \(5,\); expected \[rows, d_in\]"):
        shards.open_shards(tmp_path)


def test_columns_first_is_refused(tmp_path, make):
    save(tmp_path, np.asfortranarray(make.rows(5)))
    with pytest.raises(ShardError, match=r"column by column.*np\.ascontiguousarray"):
        shards.open_shards(tmp_path)


def test_a_file_cut_short_is_named(tmp_path, make):
    path = save(tmp_path, make.rows(50)) / "part-0.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ShardError, match=r"has 1,727 bytes; .* needs 1,728\. It was cut short"):
        shards.open_shards(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array at all"])
def test_a_file_that_is_no_array_is_named(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ShardError, match=r"x\.npy: is not a whole \.npy file"):
        shards.open_shards(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x09\0\0\0\0\0\0\0{", b"\xff" * 20])
def test_a_file_that_is_no_safetensors_is_named(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ShardError, match=r"is not a whole \.safetensors file"):
        shards.open_shards(tmp_path)


def test_several_tensors_are_listed_with_the_command_that_chooses(tmp_path, make):
    tensors = {"a": make.rows(3), "b": make.rows(3)}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ShardError, match=r"a \[3, 8\], b \[3, 8\].*--column=NAME"):
        shards.open_shards(tmp_path)


def test_a_tensor_of_whole_numbers_is_refused(tmp_path):
    tensors = {"a": np.ones((3, 4), np.int8)}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ShardError, match="tensor a is I8; expected one of F32, F16, BF16"):
        shards.open_shards(tmp_path)
