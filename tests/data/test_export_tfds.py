"""Written as a TFDS data set and read back, by TFDS itself and by our own ingest."""

import json
import subprocess
import sys

import numpy as np
import pytest

from sae_jax.data import shards
from sae_jax.data.export_tfds import export_tfds
from sae_jax.data.sources import Columns, open_source
from sae_jax.errors import ShardError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore")  # TFDS's own


def read_all(source, start=0):
    blocks = list(source.blocks(start))
    rows = np.concatenate([np.array(block.rows) for block in blocks])
    return rows, [record for block in blocks for record in block.records or []]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_rows_and_texts_come_back_equal(tmp_path, make, dtype):
    make.folder(tmp_path / "x", make.rows(250), records=make.records(250), dtype=dtype)
    reader = shards.open_shards(tmp_path / "x")
    exported = export_tfds(reader, folder=tmp_path / "tfds")
    source = open_source(exported)
    assert source.dtype == ("float16" if dtype == "float16" else "float32")
    for start in (0, 17):
        rows, records = read_all(source, start)
        expected = reader.read(np.arange(start, 250))
        np.testing.assert_array_equal(rows, expected.astype(source.dtype))
        assert [record["text"] for record in records] == [
            f"text of {i}" for i in range(start, 250)
        ]
        assert [record["id"] for record in records] == [f"doc{i}" for i in range(start, 250)]
        assert [record["row_id"] for record in records] == list(range(start, 250))


def test_tfds_reads_it_without_tensorflow_and_without_us(tmp_path, make):
    make.folder(tmp_path / "x", make.rows(30))
    reader = shards.open_shards(tmp_path / "x")
    exported = export_tfds(reader, folder=tmp_path / "tfds")
    program = (
        "import sys, json, tensorflow_datasets as tfds\n"
        "rows = tfds.builder_from_directory(sys.argv[1]).as_data_source('train')\n"
        "held = [int(r['row_id']) for r in rows if r['held_out']]\n"
        "assert 'tensorflow' not in sys.modules and 'sae_jax' not in sys.modules\n"
        "print(json.dumps([len(rows), held, rows[7]['embedding'].tolist()]))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(exported)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    n_rows, held_out, row = json.loads(told.splitlines()[-1])
    assert n_rows == 30
    assert held_out == reader.held_out_ids.tolist()
    np.testing.assert_array_equal(np.float32(row), make.rows(30)[7])


def test_a_data_set_is_not_written_over(tmp_path, folder):
    reader = shards.open_shards(folder)
    export_tfds(reader, folder=tmp_path / "tfds")
    with pytest.raises(ShardError, match=r"embeddings/1\.0\.0: exists already"):
        export_tfds(reader, folder=tmp_path / "tfds")


def test_splits_and_features_are_chosen_and_listed(tmp_path, folder):
    exported = export_tfds(shards.open_shards(folder), folder=tmp_path / "tfds")
    assert open_source(exported, columns=Columns(split="train[:10%]")).n_rows == 35
    with pytest.raises(UsageError, match="has no split 'dev', only train"):
        open_source(exported, columns=Columns(split="dev"))
    with pytest.raises(UsageError, match=r"feature 'text' is not a Tensor.*embedding \(8,\)"):
        open_source(exported, columns=Columns(embedding="text"))


def test_a_data_set_of_tfrecord_is_answered_with_what_to_do(tmp_path, folder):
    exported = export_tfds(shards.open_shards(folder), folder=tmp_path / "tfds")
    path = exported / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(ShardError, match=r"prepared as tfrecord.*file_format=array_record"):
        open_source(exported)
