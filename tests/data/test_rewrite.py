import shutil

import numpy as np
import pytest

from sae_jax.data import shards
from sae_jax.data.check import check
from sae_jax.data.manifest import read_manifest
from sae_jax.data.rewrite import rewrite
from sae_jax.errors import ShardError


def test_an_unchanged_folder_gets_the_manifest_it_had(folder):
    before = read_manifest(folder)
    rewrite(folder)
    assert read_manifest(folder) == before


def test_a_change_that_was_meant_is_accepted(folder, make):
    before = read_manifest(folder)
    rows = make.rows(100, seed=5)
    np.save(folder / "shard-00001-of-00004.npy", rows)
    assert check(folder).problems
    after = rewrite(folder)
    assert check(folder).problems == []
    assert after.fingerprint != before.fingerprint
    assert after.held_out == before.held_out
    assert after.provenance == before.provenance


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_lost_manifest_is_written_anew(tmp_path, make, dtype):
    before = make.folder(tmp_path / "x", make.rows(150), dtype=dtype)
    (tmp_path / "x" / "manifest.json").unlink()
    after = rewrite(tmp_path / "x", dtype=dtype)
    assert after.fingerprint == before.fingerprint


def test_other_rows_are_held_out_where_their_number_changed(folder, make):
    np.save(folder / "shard-00003-of-00004.npy", make.rows(150))
    (folder / "rows.parquet").unlink()
    assert rewrite(folder).held_out.n_rows == 45
    assert check(folder).problems == []


def test_plain_arrays_get_a_manifest_and_keep_their_held_out_rows(tmp_path, make):
    np.save(tmp_path / "b.npy", make.rows(40))
    np.save(tmp_path / "a.npy", make.rows(60))
    before = shards.open_shards(tmp_path)
    rewrite(tmp_path)
    after = shards.open_shards(tmp_path)
    assert after.manifest is not None
    np.testing.assert_array_equal(after.held_out_ids, before.held_out_ids)
    np.testing.assert_array_equal(after.read(np.arange(100)), before.read(np.arange(100)))


def test_the_real_embeddings_get_a_manifest(tmp_path, wordnet):
    for path in wordnet.glob("*"):
        shutil.copyfile(path, tmp_path / path.name)
    manifest = rewrite(tmp_path)
    assert [shard.file for shard in manifest.shards] == [f"emb-00{i}.npy" for i in range(3)]
    reader = shards.open_shards(tmp_path)
    np.testing.assert_array_equal(reader.held_out_ids, shards.open_shards(wordnet).held_out_ids)
    assert reader.records([0])[0]["pos"] == "noun"


@pytest.mark.parametrize("bad", [np.nan, 0.0])
def test_rows_that_cannot_be_trained_on_are_not_described(tmp_path, make, bad):
    rows = make.rows(10)
    rows[3] = bad
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(ShardError, match=r"damaged folder.*a\.npy: row 3 of the file"):
        rewrite(tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_a_file_cut_short_is_not_described(folder):
    path = folder / "shard-00001-of-00004.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ShardError, match="It was cut short"):
        rewrite(folder)


def test_a_folder_without_arrays_is_not_described(tmp_path):
    with pytest.raises(ShardError, match=r"has no \.npy or \.safetensors file to describe"):
        rewrite(tmp_path)
