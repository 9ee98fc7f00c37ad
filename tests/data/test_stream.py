import subprocess
import sys
import textwrap

import numpy as np
import pytest
from tiny import PEAK_BYTES

from sae_jax.data import shards
from sae_jax.data.shards import ShardReader
from sae_jax.data.stream import RowStream
from sae_jax.errors import UsageError

# Written down once: an upgrade that changes it would silently change every resumed run.
GOLDEN_GLOBAL = [1, 911, 745, 227, 961, 212, 958, 652, 132, 830, 520, 158]
GOLDEN_SUM = 251711949
GOLDEN_WINDOWED = [3036, 2630, 376, 131, 1369, 1188, 1676, 1881]
GOLDEN_WINDOWED_SUM = 34554995067


def open_rows(tmp_path, make, *, n_rows, **settings):
    """Rows whose first number is their id plus one."""
    rows = np.ones((n_rows, 4), np.float32)
    rows[:, 0] = np.arange(1, n_rows + 1)
    make.folder(tmp_path / "x", rows, rows_per_shard=1_000, **settings)
    return shards.open_shards(tmp_path / "x")


def stream(reader, **settings):
    return RowStream(**{"reader": reader, "seed": 0, "batch_size": 64} | settings)


def epoch_ids(rows, *, epoch):
    """By the definition: the stream cut at multiples of n_train."""
    n_train = rows.reader.n_train
    first, last = epoch * n_train, (epoch + 1) * n_train
    steps = range(first // rows.batch_size, -(-last // rows.batch_size))
    ids = np.concatenate([rows.row_ids(step) for step in steps])
    skip = first - steps[0] * rows.batch_size
    return ids[skip : skip + n_train]


@pytest.mark.parametrize("window_rows", [0, 1024, 2048, 10_240])
@pytest.mark.parametrize(
    ("n_rows", "batch_size"), [(1, 1), (2, 5), (7, 3), (50, 1000), (1024, 64), (5_003, 129)]
)
def test_every_training_row_comes_once_an_epoch(
    tmp_path, make, n_rows, batch_size, window_rows
):
    reader = open_rows(tmp_path, make, n_rows=n_rows)
    rows = stream(reader, batch_size=batch_size, window_rows=window_rows)
    expected = np.setdiff1d(np.arange(n_rows), reader.held_out_ids)
    for epoch in (0, 1, 5):
        np.testing.assert_array_equal(np.sort(epoch_ids(rows, epoch=epoch)), expected)


@pytest.mark.parametrize("window_rows", [0, 1024])
def test_a_step_gives_the_same_rows_whatever_was_read_before(tmp_path, make, window_rows):
    reader = open_rows(tmp_path, make, n_rows=3_000)
    rows = stream(reader, window_rows=window_rows)
    steps = [90, 3, 4, 3, 41, 0, 1_000_000, 42]
    first = {step: rows.row_ids(step) for step in sorted(steps)}
    for step in steps:
        fresh = stream(reader, window_rows=window_rows)
        np.testing.assert_array_equal(fresh.row_ids(step), first[step])
        for read in (rows, fresh):
            np.testing.assert_array_equal(read.batch(step)[:, 0], first[step] + 1)


@pytest.mark.parametrize("window_rows", [0, 1024])
def test_seeds_and_epochs_differ(tmp_path, make, window_rows):
    reader = open_rows(tmp_path, make, n_rows=3_000)
    orders = [
        epoch_ids(stream(reader, seed=seed, window_rows=window_rows), epoch=epoch).tobytes()
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    ]
    assert len(set(orders)) == 6


def test_the_order_is_the_one_of_the_first_release(tmp_path, make):
    reader = open_rows(tmp_path, make, n_rows=1_000, held_out_fraction=0.0)
    rows = stream(reader, batch_size=1_000)
    assert rows.row_ids(0)[:12].tolist() == GOLDEN_GLOBAL
    assert int(rows.row_ids(3) @ np.arange(1_000)) == GOLDEN_SUM


def test_the_windowed_order_is_the_one_of_the_first_release(tmp_path, make):
    reader = open_rows(tmp_path, make, n_rows=5_000, held_out_fraction=0.0)
    rows = stream(reader, batch_size=5_000, window_rows=2_048)
    assert rows.row_ids(0)[[0, 1, 2, 2047, 2048, 4095, 4096, 4999]].tolist() == GOLDEN_WINDOWED
    assert int(rows.row_ids(3) @ np.arange(5_000)) == GOLDEN_WINDOWED_SUM


@pytest.mark.parametrize("window_rows", [0, 1024, 2048])
@pytest.mark.parametrize("part", [slice(None), slice(0, 32), slice(31, 96), slice(5, 5)])
def test_steps_drawn_together_are_the_steps_one_by_one(tmp_path, make, window_rows, part):
    """Over ends of windows and of epochs, which are 2,700 rows, and forth and back."""
    reader = open_rows(tmp_path, make, n_rows=3_000)
    settings = {"batch_size": 96, "window_rows": window_rows}
    together, apart = stream(reader, **settings), stream(reader, **settings)
    for steps in (range(0, 16), range(16, 17), range(17, 30), range(3, 90), range(500, 503)):
        found = together.batches(steps, rows=part)
        for step, row_ids, rows in zip(steps, *found, strict=True):
            np.testing.assert_array_equal(row_ids, apart.row_ids(step))
            np.testing.assert_array_equal(rows, apart.batch(step, rows=part))
            np.testing.assert_array_equal(rows[:, 0], row_ids[part] + 1)


@pytest.mark.parametrize("part", [slice(None), slice(32, 64)])
def test_the_next_window_is_read_in_even_parts(tmp_path, make, monkeypatch, part):
    """Else the step would wait for the whole of it where one ends."""
    read = []
    read_into = ShardReader.read_into

    def counted(reader, into, *, row_ids, places):
        read.append(len(row_ids))
        read_into(reader, into, row_ids=row_ids, places=places)

    monkeypatch.setattr(ShardReader, "read_into", counted)
    rows = stream(open_rows(tmp_path, make, n_rows=5_003), batch_size=64, window_rows=2_048)
    n_part = len(range(64)[part])
    for step in range(200):
        read.clear()
        rows.batch(step, rows=part)
        if step:
            # The last window of an epoch, of 407 rows, gives way to one of 2,048.
            assert sum(read) <= 2_048 / 407 * n_part + 64, step
        else:
            assert sum(read) == 2_048 * n_part / 64 + n_part


@pytest.mark.parametrize("window_rows", [0, 1024])
@pytest.mark.parametrize("n_processes", [1, 2, 3, 8])
def test_the_processes_parts_are_the_batch(tmp_path, make, window_rows, n_processes):
    reader = open_rows(tmp_path, make, n_rows=3_000)
    settings = {"batch_size": 96, "window_rows": window_rows}
    whole = stream(reader, **settings)
    share = 96 // n_processes
    processes = [stream(reader, **settings) for _ in range(n_processes)]
    for step in (0, 9, 10, 27, 28, 29):
        parts = [
            rows.batch(step, rows=slice(i * share, (i + 1) * share))
            for i, rows in enumerate(processes)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole.batch(step))


def test_a_window_reads_few_blocks_at_a_time(tmp_path, make):
    """What makes it sequential: 2,048 rows in a row come from 2 blocks of 1,024."""
    reader = open_rows(tmp_path, make, n_rows=20_480, held_out_fraction=0.0)
    ids = stream(reader, batch_size=2_048, window_rows=2_048).row_ids(1)
    neighbours = np.diff(np.sort(ids)) == 1
    assert neighbours.sum() >= 2_048 - 4  # a block may wrap around the end


def test_blocks_begin_elsewhere_in_every_epoch(tmp_path, make):
    """Else the same rows would be left over, and come last, every time."""
    reader = open_rows(tmp_path, make, n_rows=1_100, held_out_fraction=0.0)
    rows = stream(reader, batch_size=1_100, window_rows=1_024)
    last = [frozenset(rows.row_ids(epoch)[1_024:].tolist()) for epoch in range(20)]
    assert len(set(last)) == 20
    assert len(frozenset.union(*last)) > 500


@pytest.mark.parametrize("window_rows", [-1024, 1000])
def test_a_window_that_is_not_whole_blocks_is_refused(tmp_path, make, window_rows):
    reader = open_rows(tmp_path, make, n_rows=10)
    with pytest.raises(UsageError, match=f"window_rows={window_rows}: expected 0.*1024"):
        stream(reader, window_rows=window_rows)


def test_an_empty_batch_is_refused(tmp_path, make):
    with pytest.raises(UsageError, match="batch_size=0: expected at least 1"):
        stream(open_rows(tmp_path, make, n_rows=10), batch_size=0)


def test_a_folder_with_nothing_to_train_on_is_refused(tmp_path, make):
    reader = open_rows(tmp_path, make, n_rows=10, held_out_fraction=1.0)
    with pytest.raises(UsageError, match="has no rows to train on"):
        stream(reader)


PEAK = PEAK_BYTES + textwrap.dedent("""
    import sys
    import numpy as np
    from sae_jax.data import manifest, prefetch, shards, stream

    shards.MAX_MAPPED_BYTES = 16 * 2**20  # so that 40 MB are many
    folder, n_steps, window_rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rows = stream.RowStream(reader=shards.open_shards(folder), seed=0, batch_size=1024,
                            window_rows=window_rows)
    draw = rows.batch if len(sys.argv) < 5 else lambda i: rows.batches(range(i, i + 8))
    for batch in prefetch.prefetch(draw, steps=range(n_steps)):
        pass
    print(peak_bytes())
""")


@pytest.mark.parametrize("together", [[], ["together"]])
@pytest.mark.parametrize("window_rows", [0, 8192])
def test_ten_times_the_rows_take_no_more_memory(tmp_path, window_rows, together):
    """40 MB and 400 MB of rows: files with holes, which are read like any other."""
    peaks = []
    for n_files in (1, 10):
        folder = tmp_path / str(n_files)
        folder.mkdir()
        for i in range(n_files):
            np.lib.format.open_memmap(
                folder / f"{i}.npy", "w+", dtype=np.float16, shape=(52_083, 384)
            )
        command = [sys.executable, "-c", PEAK, str(folder), str(46 * n_files), str(window_rows)]
        command += together
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    # 360 MB more rows; a few batches of 6 MB may wait or not.
    assert peaks[1] - peaks[0] < 30e6, peaks


def test_the_real_embeddings_stream_whole(wordnet):
    reader = shards.open_shards(wordnet)
    rows = stream(reader, batch_size=8_192)
    found = epoch_ids(rows, epoch=0)
    assert len(np.unique(found)) == len(found) == 106_012
    np.testing.assert_array_equal(rows.batch(3), reader.read(rows.row_ids(3)))
