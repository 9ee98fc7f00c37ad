import dataclasses
import os
import threading

import numpy as np
import pytest

from sae_jax.data import shards
from sae_jax.data.shards import ShardReader
from sae_jax.errors import ShardError


def damage(path, *, at=-5):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_rows_come_back_in_the_order_asked_for(folder, make):
    row_ids = np.array([349, 0, 100, 99, 100, 200, 7])
    found = shards.open_shards(folder).read(row_ids)
    np.testing.assert_array_equal(found, make.rows(350)[row_ids])


@pytest.mark.parametrize("may_stay_mapped", [0, 2**30])
@pytest.mark.parametrize("spread", [1, 100])
def test_every_way_of_reading_gives_the_same_rows(
    tmp_path, make, monkeypatch, may_stay_mapped, spread
):
    monkeypatch.setattr(shards, "MAX_MAPPED_BYTES", may_stay_mapped)
    make.folder(tmp_path / "x", make.rows(3_000), dtype="bfloat16", rows_per_shard=700)
    row_ids = np.random.default_rng(0).permutation(np.arange(0, 3_000, spread))
    found = shards.open_shards(tmp_path / "x").read(row_ids)
    np.testing.assert_array_equal(found, make.rows(3_000)[row_ids].astype(found.dtype))


@pytest.mark.parametrize("may_stay_mapped", [0, 2**30])
@pytest.mark.parametrize("n_threads", [2, 7])
def test_threads_read_the_same_rows_and_end_with_the_call(
    tmp_path, make, monkeypatch, may_stay_mapped, n_threads
):
    monkeypatch.setattr(shards, "MAX_MAPPED_BYTES", may_stay_mapped)
    monkeypatch.setattr(shards, "MIN_BYTES_PER_THREAD", 1)
    make.folder(tmp_path / "x", make.rows(3_000), rows_per_shard=700)
    row_ids = np.random.default_rng(0).permutation(3_000)[:2_000]
    names = set()
    fill = ShardReader._fill
    monkeypatch.setattr(
        ShardReader,
        "_fill",
        lambda *args, **kwargs: names.add(threading.get_ident()) or fill(*args, **kwargs),
    )
    reader = shards.open_shards(tmp_path / "x")
    for reading in (dataclasses.replace(reader, n_threads=n) for n in (1, n_threads)):
        np.testing.assert_array_equal(reading.read(row_ids), make.rows(3_000)[row_ids])
    assert threading.get_ident() in names  # the one thread of the first
    assert len(names) > 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_an_error_of_any_thread_arrives_with_its_message(tmp_path, make, monkeypatch):
    monkeypatch.setattr(shards, "MAX_MAPPED_BYTES", 0)
    monkeypatch.setattr(shards, "MIN_BYTES_PER_THREAD", 1)
    make.folder(tmp_path / "x", make.rows(3_000), rows_per_shard=500)
    reader = dataclasses.replace(shards.open_shards(tmp_path / "x"), n_threads=4)
    os.truncate(tmp_path / "x" / "shard-00004-of-00006.npy", 5_000)
    with pytest.raises(ShardError, match=r"00004-of-00006.npy: ends before byte \d+: it was"):
        reader.read(np.arange(3_000))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


def test_rows_far_apart_are_left_to_one_thread(tmp_path, make, monkeypatch):
    """Threads that each make short calls wait for Python's lock."""
    monkeypatch.setattr(shards, "MAX_MAPPED_BYTES", 0)
    monkeypatch.setattr(shards, "MIN_BYTES_PER_THREAD", 1)
    monkeypatch.setattr(shards, "ThreadPoolExecutor", None)
    make.folder(tmp_path / "x", make.rows(30_000), rows_per_shard=30_000)
    reader = dataclasses.replace(shards.open_shards(tmp_path / "x"), n_threads=4)
    row_ids = np.arange(0, 30_000, 400)
    np.testing.assert_array_equal(reader.read(row_ids), make.rows(30_000)[row_ids])


def test_reading_takes_half_of_the_cores_and_at_least_one(monkeypatch):
    for n_cores, expected in ((1, 1), (2, 1), (4, 2), (16, 8), (224, 8)):
        monkeypatch.setattr(os, "cpu_count", lambda n_cores=n_cores: n_cores)
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        assert shards.reading_threads() == expected


def test_rows_are_read_into_the_places_asked_for_and_no_others(folder, make):
    into = np.zeros((5, 8), np.float32)
    reader = shards.open_shards(folder)
    reader.read_into(into, row_ids=np.array([3, 300]), places=np.array([4, 1]))
    expected = np.zeros_like(into)
    expected[[4, 1]] = make.rows(350)[[3, 300]]
    np.testing.assert_array_equal(into, expected)


def test_a_file_cut_short_while_it_is_read_is_named(tmp_path, make, monkeypatch):
    monkeypatch.setattr(shards, "MAX_MAPPED_BYTES", 0)
    make.folder(tmp_path / "x", make.rows(3_000), rows_per_shard=3_000)
    reader = shards.open_shards(tmp_path / "x")
    os.truncate(tmp_path / "x" / "shard-00000-of-00001.npy", 50_000)
    with pytest.raises(ShardError, match=r"ends before byte 96128: it was cut short"):
        reader.read(np.array([7, 2_999]))


def test_no_rows_can_be_asked_for(folder):
    assert shards.open_shards(folder).read(np.zeros(0, np.int64)).shape == (0, 8)


@pytest.mark.parametrize("row_id", [-1, 350])
def test_a_row_off_the_end_is_refused(folder, row_id):
    with pytest.raises(ShardError, match=f"has no row {row_id}, only 350 rows"):
        shards.open_shards(folder).read(np.array([3, row_id]))


def test_blocks_are_all_rows_in_order(folder, make):
    blocks = list(shards.open_shards(folder).blocks(n_rows_per_block=30))
    assert [first for first, _ in blocks][:5] == [0, 30, 60, 90, 100]
    np.testing.assert_array_equal(np.concatenate([b.copy() for _, b in blocks]), make.rows(350))


def test_reading_goes_on_after_forgetting(folder, make):
    reader = shards.open_shards(folder)
    reader.read(np.arange(350))
    reader.forget()
    np.testing.assert_array_equal(reader.read(np.arange(350)), make.rows(350))


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.99])
def test_training_rows_are_those_not_held_out(tmp_path, make, fraction):
    make.folder(tmp_path / "x", make.rows(311), held_out_fraction=fraction)
    reader = shards.open_shards(tmp_path / "x")
    expected = np.setdiff1d(np.arange(311), reader.held_out_ids)
    assert reader.n_train == len(expected)
    np.testing.assert_array_equal(reader.train_row_ids(np.arange(reader.n_train)), expected)


def test_a_row_is_located_for_messages(folder):
    assert (
        shards.open_shards(folder).locate(217) == "shard-00002-of-00004.npy, row 17 of the file"
    )


def test_records_come_with_their_metadata(folder):
    assert shards.open_shards(folder).records([217, 3]) == [
        {"id": "doc217", "text": "text of 217", "year": 2217},
        {"id": "doc3", "text": "text of 3", "year": 2003},
    ]


def test_a_folder_without_texts_has_no_records(tmp_path, make):
    make.folder(tmp_path / "x", make.rows(5))
    assert shards.open_shards(tmp_path / "x").records([0]) is None


def test_the_manifest_itself_may_be_named(folder):
    assert shards.open_shards(folder / "manifest.json").n_rows == 350


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ShardError, match="nowhere: does not exist"):
        shards.open_shards(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["shard-00001-of-00004.npy", "held_out.npy", "rows.parquet"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ShardError, match=f"{name}: is missing, and manifest.json lists it"):
        shards.open_shards(folder)


@pytest.mark.parametrize("name", ["shard-00001-of-00004.npy", "held_out.npy", "rows.parquet"])
def test_a_file_cut_short_is_named(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1])
    expected = f"{name}: was cut short: it has {len(content) - 1:,} bytes.*{len(content):,}"
    with pytest.raises(ShardError, match=expected):
        shards.open_shards(folder)


def test_a_file_that_has_grown_is_named(folder):
    with (folder / "shard-00000-of-00004.npy").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ShardError, match=r"00000-of-00004\.npy: has grown"):
        shards.open_shards(folder)


def test_a_shard_of_the_same_size_and_another_shape_is_named(folder):
    np.save(folder / "shard-00000-of-00004.npy", np.zeros((200, 4), np.float32))
    with pytest.raises(ShardError, match=r"has shape \(200, 4\), float32; .* says \(100, 8\)"):
        shards.open_shards(folder)


def test_held_out_ids_that_are_not_sorted_are_refused(folder):
    ids = np.load(folder / "held_out.npy")
    np.save(folder / "held_out.npy", ids[::-1].copy())
    with pytest.raises(ShardError, match=r"held_out\.npy: is not a sorted list"):
        shards.open_shards(folder)


def test_more_files_than_descriptors_allowed_by_default(tmp_path, make, monkeypatch):
    """A corpus of 100 million rows has 1,526 shards; shells allow 1,024 files."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    make.folder(tmp_path / "x", make.rows(300), rows_per_shard=1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        reader = shards.open_shards(tmp_path / "x")
        np.testing.assert_array_equal(reader.read(np.arange(300)), make.rows(300))
    finally:
        del reader
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_real_embeddings_open_in_place(wordnet):
    reader = shards.open_shards(wordnet)
    assert (reader.n_rows, reader.d_in, reader.dtype) == (117_791, 384, np.float16)
    permutation = np.random.default_rng(0).permutation(117_791)
    np.testing.assert_array_equal(reader.held_out_ids, np.sort(permutation[106_012:]))
    arrays = [np.load(path, mmap_mode="r") for path in sorted(wordnet.glob("*.npy"))]
    row_ids = np.array([117_790, 0, 60_000])
    np.testing.assert_array_equal(reader.read(row_ids), np.concatenate(arrays)[row_ids])
    first, last = reader.records([0, 117_790])
    assert first["text"].startswith("entity: that which is perceived")
    assert (first["row"], last["row"]) == (0, 117_790)
    assert shards.open_shards(wordnet).fingerprint == reader.fingerprint
