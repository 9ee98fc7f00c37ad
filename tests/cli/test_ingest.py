import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sae_jax.cli.main import dispatch
from sae_jax.data import shards
from sae_jax.errors import ShardError, UsageError


@pytest.fixture
def table(tmp_path):
    """50 rows; row 7 holds a NaN."""
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    rows[7, 0] = np.nan
    columns = {
        "key": [f"k{i}" for i in range(50)],
        "abstract": [f"abstract {i}" for i in range(50)],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 8),
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "papers.parquet")
    return tmp_path / "papers.parquet"


def test_a_table_becomes_a_folder(tmp_path, table, capsys):
    out = tmp_path / "out"
    flags = ["--column=vector", "--id_column=key", "--text_column=abstract", "--dtype=float16"]
    flags += ["--bad_rows=drop", "--encoder=mine", "--licence=CC0"]
    assert dispatch(["ingest", str(table), f"--out={out}", *flags]) == 0
    told = capsys.readouterr().out
    assert "49 rows × 8 float16 in 1 shards, with texts, 1 unusable rows left out" in told
    assert f"Next: sae-jax check {out}" in told
    reader = shards.open_shards(out)
    assert reader.records([7]) == [{"id": "k8", "text": "abstract 8"}]
    assert (reader.provenance.encoder, reader.provenance.licence) == ("mine", "CC0")
    assert reader.provenance.source == "papers.parquet"


def test_bad_rows_are_an_error_unless_dropped(tmp_path, table):
    with pytest.raises(ShardError, match=r"row 7 of the source has a NaN.*--bad_rows=drop"):
        dispatch(["ingest", str(table), f"--out={tmp_path / 'out'}"])


def test_done_twice_it_does_nothing(tmp_path, table, capsys):
    command = ["ingest", str(table), f"--out={tmp_path / 'out'}", "--bad_rows=drop"]
    dispatch(command)
    before = (tmp_path / "out" / "manifest.json").stat().st_mtime_ns
    assert dispatch(command) == 0
    assert "is complete already; nothing to do" in capsys.readouterr().out
    assert (tmp_path / "out" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("arguments", [[], ["a"], ["--out=b"], ["a", "c", "--out=b"]])
def test_a_source_and_a_folder_are_needed(arguments):
    with pytest.raises(UsageError, match="expected one SOURCE and --out=FOLDER"):
        dispatch(["ingest", *arguments])


def test_the_program_ends_a_mistake_in_a_line_and_an_exit_code(tmp_path):
    program = "from sae_jax.cli.main import main; main()"
    command = [sys.executable, "-c", program, "ingest", str(tmp_path / "nowhere"), "--out=x"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("sae-jax ingest: ")
    assert "does not exist" in found.stderr
    assert "Traceback" not in found.stderr
