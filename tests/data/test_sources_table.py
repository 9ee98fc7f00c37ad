import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sae_jax.data.sources import Columns, open_source
from sae_jax.data.sources_table import list_rows
from sae_jax.errors import ShardError, UsageError

FLOATS = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}


def column(rows, *, kind, dtype="float32"):
    values = pa.array(rows.astype(dtype).ravel())
    if kind == "fixed":
        return pa.FixedSizeListArray.from_arrays(values, rows.shape[1])
    offsets = np.arange(0, rows.size + 1, rows.shape[1])
    if kind == "large":
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def table(rows, *, kind="list", dtype="float32", first=0):
    ids = np.arange(first, first + len(rows))
    return pa.table(
        {
            "id": [f"doc{i}" for i in ids],
            "text": [f"text of {i}" for i in ids],
            "year": 2000 + ids,
            "embedding": column(rows, kind=kind, dtype=dtype),
            "tags": [["a", "b"] for _ in ids],
        }
    )


def read_all(source, start=0):
    blocks = list(source.blocks(start))
    rows = np.concatenate([np.array(block.rows) for block in blocks])
    return rows, [record for block in blocks for record in block.records or []]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["list", "large", "fixed"])
def test_a_column_of_lists_is_read_with_its_texts(tmp_path, make, kind, dtype):
    rows, records = make.rows(100).astype(dtype), make.records(100)
    pa.parquet.write_table(table(rows, kind=kind, dtype=dtype), tmp_path / "x.parquet")
    source = open_source(tmp_path / "x.parquet")
    assert (source.n_rows, source.d_in, source.dtype) == (100, 8, dtype)
    found, texts = read_all(source)
    np.testing.assert_array_equal(found, rows)
    assert texts == records


@pytest.mark.parametrize("start", [0, 1, 4_096, 5_000, 6_001, 8_999])
@pytest.mark.parametrize("form", ["parquet", "file", "stream"])
def test_tables_are_read_from_any_row_on(tmp_path, make, start, form):
    rows, records = make.rows(9_000), make.records(9_000)
    for i, piece in enumerate((slice(0, 5_000), slice(5_000, None))):
        part = table(rows[piece], first=piece.start)
        if form == "parquet":
            pa.parquet.write_table(part, tmp_path / f"{i}.parquet", row_group_size=1_500)
            continue
        new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
        with new(str(tmp_path / f"{i}.arrow"), part.schema) as writer:
            writer.write_table(part, max_chunksize=1_000)
    found, texts = read_all(open_source(tmp_path), start)
    np.testing.assert_array_equal(found, rows[start:])
    assert texts == records[start:]


def test_a_split_is_a_beginning_of_the_files_names(tmp_path, make):
    (tmp_path / "data").mkdir()
    for name, n_rows in (("train-00000-of-00001", 30), ("test-00000-of-00001", 7)):
        pa.parquet.write_table(table(make.rows(n_rows)), tmp_path / "data" / f"{name}.parquet")
    assert open_source(tmp_path).n_rows == 37
    assert open_source(tmp_path, columns=Columns(split="test")).n_rows == 7
    with pytest.raises(UsageError, match=r"no split 'dev'.*\['test', 'train'\]"):
        open_source(tmp_path, columns=Columns(split="dev"))


@pytest.mark.parametrize("fixed", [False, True])
def test_a_null_row_or_number_counts_as_nan(make, fixed):
    kind = pa.list_(pa.float32(), 2) if fixed else pa.list_(pa.float32())
    rows = list_rows(pa.array([[1, 2], None, [3, None]], kind), d_in=2, where="x")
    np.testing.assert_array_equal(rows, [[1, 2], [np.nan, np.nan], [3, np.nan]])


def test_lists_of_different_lengths_are_named(tmp_path):
    ragged = pa.table({"embedding": [[1.0, 2.0], [3.0, 4.0], [5.0]]})
    pa.parquet.write_table(ragged, tmp_path / "x.parquet")
    with pytest.raises(ShardError, match=r"x\.parquet, row 0 \+ 2: is 1 wide; .* 2 wide"):
        read_all(open_source(tmp_path))


def test_two_columns_of_lists_have_to_be_chosen_from(tmp_path, make):
    both = table(make.rows(5)).append_column("other", column(make.rows(5), kind="fixed"))
    pa.parquet.write_table(both, tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"found 2; choose with --column=NAME.*other \(fixed"):
        open_source(tmp_path)
    assert open_source(tmp_path, columns=Columns(embedding="other")).d_in == 8
    with pytest.raises(UsageError, match="column 'text' is not a list of floats"):
        open_source(tmp_path, columns=Columns(embedding="text"))


def test_texts_under_other_names_are_found(tmp_path, make):
    renamed = table(make.rows(2)).rename_columns(
        ["key", "abstract", "year", "embedding", "tags"]
    )
    pa.parquet.write_table(renamed, tmp_path / "x.parquet")
    columns = Columns(id="key", text="abstract")
    assert read_all(open_source(tmp_path, columns=columns))[1] == make.records(2)


def test_a_second_file_of_another_schema_is_named(tmp_path, make):
    pa.parquet.write_table(table(make.rows(2)), tmp_path / "a.parquet")
    pa.parquet.write_table(table(make.rows(2)).drop_columns("year"), tmp_path / "b.parquet")
    with pytest.raises(ShardError, match=r"b\.parquet: has no column 'year', which a\.parquet"):
        read_all(open_source(tmp_path))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"nonsense")
    with pytest.raises(ShardError, match=r"x\.parquet: cannot be read"):
        open_source(tmp_path)
