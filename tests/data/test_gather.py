import errno
import os

import numpy as np
import pytest

from sae_jax.data import gather
from sae_jax.data.gather import RowFile
from sae_jax.errors import ShardError


@pytest.fixture
def written(tmp_path):
    """Two files of rows of 96 bytes behind headers of different lengths."""
    rows, files = [], []
    for i, header in enumerate((128, 200)):
        content = np.random.default_rng(i).integers(0, 256, (9_000, 96), np.uint8)
        path = tmp_path / f"{i}"
        path.write_bytes(b"h" * header + content.tobytes())
        rows.append(content)
        files.append(RowFile(path, os.open(path, os.O_RDONLY), header))
    yield np.stack(rows), files
    for file in files:
        os.close(file.descriptor)


def gathered(files, *, file_ids, row_ids):
    into = np.zeros((len(row_ids) + 1, 96), np.uint8)  # one place is not asked for
    places = np.random.default_rng(7).permutation(len(row_ids)) + 1
    as_rows = into.view(np.dtype("V96"))[:, 0]
    gather.gather(files, file_ids=file_ids, row_ids=row_ids, into=as_rows, places=places)
    assert not into[0].any()
    return into[places]


def chosen(share):
    """Near each other in the middle of each file, and far apart around it."""
    generator = np.random.default_rng(0)
    near = np.flatnonzero(generator.random(9_000) < share)
    ids = np.unique([*near[(near > 3_000) & (near < 6_000)], *range(0, 9_000, 977), 8_999])
    return np.repeat([0, 1], len(ids)), np.tile(ids, 2)


def only_when_waiting(preadv):
    """What a disk does whose rows are not in the page cache."""

    def read(descriptor, buffers, offset, flags=0):
        if flags:
            raise BlockingIOError(errno.EAGAIN, "not in the cache")
        return preadv(descriptor, buffers, offset)

    return read


def halves_at_once(preadv):
    """A page is in the cache, and the next is not."""

    def read(descriptor, buffers, offset, flags=0):
        if flags:
            buffers = [buffers[0][: len(buffers[0]) // 2]]
        return preadv(descriptor, buffers, offset)

    return read


@pytest.mark.parametrize("cache", [lambda preadv: preadv, only_when_waiting, halves_at_once])
@pytest.mark.parametrize("most_asked", [1, 3, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_rows_are_those_of_the_files_however_they_come(
    written, monkeypatch, cache, most_asked, share
):
    rows, files = written
    monkeypatch.setattr(os, "preadv", cache(os.preadv))
    monkeypatch.setattr(gather, "MOST_ASKED", most_asked)
    monkeypatch.setattr(gather, "MOST_CHUNKS_ASKED", most_asked)
    file_ids, row_ids = chosen(share)
    found = gathered(files, file_ids=file_ids, row_ids=row_ids)
    np.testing.assert_array_equal(found, rows[file_ids, row_ids])


@pytest.mark.parametrize("chunk_bytes", [1, 96, 1_000, 2**20])
def test_the_size_of_chunks_changes_no_row(written, monkeypatch, chunk_bytes):
    rows, files = written
    monkeypatch.setattr(gather, "CHUNK_BYTES", chunk_bytes)
    file_ids, row_ids = chosen(0.5)
    found = gathered(files, file_ids=file_ids, row_ids=row_ids)
    np.testing.assert_array_equal(found, rows[file_ids, row_ids])


def calls(monkeypatch, files, *, row_ids):
    counted = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda *args: counted.append(args) or preadv(*args))
    gathered(files, file_ids=np.zeros_like(row_ids), row_ids=row_ids)
    return len(counted)


def test_rows_near_each_other_take_few_calls_and_others_one_each(written, monkeypatch):
    _, files = written
    assert calls(monkeypatch, files, row_ids=np.arange(0, 9_000, 3)) == 4  # 2,730 rows a chunk
    assert calls(monkeypatch, files, row_ids=np.arange(0, 9_000, 600)) == 15


def test_what_is_not_in_the_cache_is_asked_for_before_it_is_waited_for(written, monkeypatch):
    _, files = written
    done = []
    preadv = only_when_waiting(os.preadv)

    def read(descriptor, buffers, offset, flags=0):
        n = preadv(descriptor, buffers, offset, flags)
        done.append(("wait", offset))
        return n

    monkeypatch.setattr(os, "preadv", read)
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _, at, n_bytes, advice: done.append(("ask", at))
    )
    monkeypatch.setattr(gather, "MOST_ASKED", 2)
    gathered(files, file_ids=np.zeros(3, int), row_ids=np.array([0, 4_000, 8_000]))
    at = [128, 128 + 4_000 * 96, 128 + 8_000 * 96]
    assert done == [
        *(("ask", at[0]), ("ask", at[1]), ("wait", at[0])),
        *(("ask", at[2]), ("wait", at[1]), ("wait", at[2])),
    ]


@pytest.mark.parametrize("n_rows", [1, 4_000])
def test_a_file_that_ends_too_early_is_named(written, n_rows):
    _, files = written
    os.truncate(files[1].path, 500_000)
    row_ids = np.arange(9_000 - n_rows, 9_000)
    with pytest.raises(ShardError, match=r"1: ends before byte \d+: it was cut short while"):
        gathered(files, file_ids=np.ones(n_rows, int), row_ids=row_ids)


def test_an_error_of_the_disk_is_not_taken_for_an_empty_cache(written, monkeypatch):
    _, files = written

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(OSError, match="Input/output error"):
        gathered(files, file_ids=np.zeros(1, int), row_ids=np.array([5]))
