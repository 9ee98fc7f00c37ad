import numpy as np
import pytest

from sae_jax.cli.main import dispatch
from sae_jax.data.manifest import Provenance
from sae_jax.data.writer import ShardWriter
from sae_jax.errors import ShardError, UsageError


@pytest.fixture
def folder(tmp_path):
    settings = {"d_in": 8, "dtype": "float32", "identity": "test", "rows_per_shard": 20}
    writer = ShardWriter(tmp_path / "x", provenance=Provenance(), **settings)
    writer.append(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32))
    writer.finish()
    return tmp_path / "x"


def test_a_whole_folder_ends_with_0(folder, capsys):
    assert dispatch(["check", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "50 × 8 float32 in 3 shards; 5 held out" in told
    assert "all is well" in told


def test_a_flipped_byte_ends_with_1_and_names_the_file(folder, capsys):
    path = folder / "shard-00001-of-00003.npy"
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)
    assert dispatch(["check", str(folder)]) == 1
    told = capsys.readouterr().out
    assert f"WRONG: {path}: has sha256" in told
    assert "all is well" not in told


def test_rewrite_accepts_a_change(folder, capsys):
    rows = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    np.save(folder / "shard-00001-of-00003.npy", rows)
    assert dispatch(["check", str(folder)]) == 1
    assert dispatch(["check", str(folder), "--rewrite"]) == 0
    assert dispatch(["check", str(folder)]) == 0
    assert "wrote manifest.json, 50 rows" in capsys.readouterr().out


def test_a_folder_is_needed():
    with pytest.raises(UsageError, match="expected one FOLDER, found none"):
        dispatch(["check"])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ShardError, match="nowhere: does not exist"):
        dispatch(["check", str(tmp_path / "nowhere")])
