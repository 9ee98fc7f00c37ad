import gzip
import json

import numpy as np
import pytest

from sae_jax.data import records
from sae_jax.errors import ShardError


def test_parts_join_into_one_file_that_reads_at_random(tmp_path, make):
    rows = make.records(5_000)
    records.write_part(tmp_path / "a.parquet", rows[:3_000])
    records.write_part(tmp_path / "b.parquet", rows[3_000:])
    path = tmp_path / "rows.parquet"
    records.join_parts([tmp_path / "a.parquet", tmp_path / "b.parquet"], path=path)
    store = records.open_records(path)
    assert len(store) == 5_000
    wanted = [4_999, 0, 2_999, 3_000, 3_000, 1_024]
    assert store.read(wanted) == [rows[i] for i in wanted]


def test_metadata_of_any_shape_comes_back(tmp_path):
    rows = [
        {"id": "1", "text": 'Ångström\n"quoted"', "tags": ["a", "b"], "by": {"name": None}},
        {"id": "2", "text": ""},
        {"id": 3},
    ]
    records.write_part(tmp_path / "x.parquet", rows)
    found = records.open_records(tmp_path / "x.parquet").read([0, 1, 2])
    assert found == [rows[0], rows[1], {"id": "3", "text": ""}]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("last", ["\n", "", "\n\n"])
def test_lines_of_json_read_at_random(tmp_path, packed, last):
    rows = [{"id": str(i), "text": "é" * i} for i in range(100)]
    content = ("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + last).encode()
    path = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl")
    path.write_bytes(gzip.compress(content) if packed else content)
    store = records.open_records(path)
    assert len(store) == 100
    wanted = np.array([99, 0, 50, 50])
    assert store.read(wanted) == [rows[i] for i in wanted]


def test_a_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\nnonsense\n')
    with pytest.raises(ShardError, match=r"rows\.jsonl, line 2: is not a JSON object"):
        records.open_records(tmp_path / "rows.jsonl").read([1])


def test_a_packed_file_cut_short_is_named(tmp_path):
    content = gzip.compress(b'{"text": "a"}\n' * 1_000)
    (tmp_path / "rows.jsonl.gz").write_bytes(content[:-20])
    with pytest.raises(ShardError, match=r"rows\.jsonl\.gz: cannot be unpacked"):
        len(records.open_records(tmp_path / "rows.jsonl.gz"))


def test_a_damaged_parquet_file_is_named(tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(ShardError, match=r"rows\.parquet: cannot be read as Parquet"):
        records.open_records(tmp_path / "rows.parquet")
