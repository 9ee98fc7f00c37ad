import hashlib

import numpy as np
import pytest

from sae_jax.data.shard_file import ShardFile
from sae_jax.errors import ShardError


@pytest.mark.parametrize("n_rows", [1, 50, 100])
def test_a_file_is_what_numpy_would_save_and_its_checksum_is_right(tmp_path, make, n_rows):
    file = ShardFile(tmp_path / "x.part", d_in=8, dtype="float32", n_rows=100)
    for first in range(0, n_rows, 30):
        file.write(make.rows(n_rows)[first : first + 30])
    entry = file.close(tmp_path / "x.npy")
    np.save(tmp_path / "expected.npy", make.rows(n_rows))
    content = (tmp_path / "x.npy").read_bytes()
    assert content == (tmp_path / "expected.npy").read_bytes()
    assert entry.sha256 == hashlib.sha256(content).hexdigest()
    assert (entry.n_rows, entry.n_bytes) == (n_rows, len(content))
    assert not (tmp_path / "x.part").exists()


class Short:
    """A file that takes 100 bytes at a time, and then no more."""

    def __init__(self, file, *, room):
        self.file, self.room = file, room

    def write(self, content):
        if not self.room:
            raise OSError(28, "No space left on device")
        n_bytes = min(len(content), 100, self.room)
        self.room -= n_bytes
        return self.file.write(content[:n_bytes])

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_write_done_in_pieces_is_whole(tmp_path, make):
    file = ShardFile(tmp_path / "x.part", d_in=8, dtype="float32", n_rows=100)
    file._file = Short(file._file, room=10_000)
    file.write(make.rows(100))
    file.close(tmp_path / "x.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), make.rows(100))


def test_a_full_disk_names_the_file_and_what_to_do(tmp_path, make):
    file = ShardFile(tmp_path / "x.part", d_in=8, dtype="float32", n_rows=100)
    file._file = Short(file._file, room=1_000)
    with pytest.raises(ShardError, match=r"x\.part: .*No space left.*same command again"):
        file.write(make.rows(100))
