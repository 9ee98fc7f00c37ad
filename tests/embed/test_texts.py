import gzip
import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sae_jax.embed import texts
from sae_jax.errors import UsageError

ROWS = [
    {"id": "a", "abstract": "Stars form in clouds of gas.", "year": "1999"},
    {"id": "b", "abstract": "Große Datenmengen, 深層学習.", "year": "2024"},
]


def write_jsonl(path):
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")


def write_jsonl_gz(path):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n\n" for row in ROWS)


def write_csv(path, delimiter=","):
    lines = [delimiter.join(f'"{value}"' for value in row.values()) for row in ROWS]
    head = delimiter.join(ROWS[0])
    path.write_text("\ufeff" + "\r\n".join([head, *lines]) + "\r\n", encoding="utf-8")


def write_parquet(path):
    pq.write_table(pa.Table.from_pylist(ROWS), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.jsonl", write_jsonl),
        ("rows.ndjson", write_jsonl),
        ("rows.jsonl.gz", write_jsonl_gz),
        ("rows.csv", write_csv),
        ("ROWS.TSV", lambda path: write_csv(path, "\t")),
        ("rows.parquet", write_parquet),
    ],
)
def test_every_format_gives_the_same_records(tmp_path, name, write):
    write(tmp_path / name)
    source = texts.open_texts(tmp_path / name)
    expected = [{"id": row["id"], "text": row["abstract"], "year": row["year"]} for row in ROWS]
    assert list(source.read()) == expected
    assert list(source.read()) == expected, "a source can be read again"
    assert source.columns == ("id", "abstract", "year")
    assert source.text_column == "abstract"


def test_plain_lines_are_texts_named_by_their_position(tmp_path):
    (tmp_path / "b.txt").write_text("third\n", encoding="utf-8")
    with gzip.open(tmp_path / "a.txt.gz", "wt") as file:
        file.write("first\r\n\n")
    (tmp_path / "notes.md").write_text("not read")
    assert list(texts.open_texts(tmp_path).read()) == [
        {"id": "0", "text": "first"},
        {"id": "1", "text": ""},
        {"id": "2", "text": "third"},
    ]


@pytest.mark.parametrize(
    ("row", "expected", "why"),
    [
        ({"title": "A", "abstract": "B"}, "abstract", "name"),
        ({"title": "A", "Text": "B", "abstract": "C"}, "Text", "name"),
        ({"title": "a title", "notes_long": "x" * 99}, "title", "name"),
        ({"aa": "short", "bb": "x" * 99, "n": 7}, "bb", "99 characters a row"),
        ({"text": 5, "bb": "words"}, "bb", "length"),
        ({"text": "", "summary": "words"}, "summary", "name"),
    ],
)
def test_the_text_column_is_guessed_by_name_then_by_length(row, expected, why):
    found, reason = texts.guess_text_column(list(row), [row], where="f")
    assert found == expected
    assert why in reason


def test_no_column_of_text_is_an_error_that_lists_the_columns():
    with pytest.raises(UsageError, match=r"rows\.csv: no column holds text.*found n, m"):
        texts.guess_text_column(["n", "m"], [{"n": 1, "m": None}], where="rows.csv")


def test_a_missing_column_is_an_error_that_lists_those_found(tmp_path):
    write_jsonl(tmp_path / "rows.jsonl")
    with pytest.raises(UsageError, match="no column 'body'; found id, abstract, year"):
        texts.open_texts(tmp_path / "rows.jsonl", text_column="body")


def test_a_named_column_wins_and_another_called_text_is_kept(tmp_path):
    (tmp_path / "r.jsonl").write_text('{"text": "long text", "title": "Short"}\n')
    source = texts.open_texts(tmp_path / "r.jsonl", text_column="title")
    assert list(source.read()) == [{"id": "0", "text": "Short", "original_text": "long text"}]


def test_a_parquet_file_of_dates_lists_and_nulls_gives_json_values(tmp_path):
    table = pa.table(
        {
            "text": ["a", None],
            "day": pa.array([0, 1], pa.date32()),
            "tags": [["x", "y"], []],
        }
    )
    pq.write_table(table, tmp_path / "r.parquet")
    assert list(texts.open_texts(tmp_path / "r.parquet").read()) == [
        {"id": "0", "text": "a", "day": "1970-01-01", "tags": ["x", "y"]},
        {"id": "1", "text": "", "day": "1970-01-02", "tags": []},
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b'{"text": "a"}\n{"text": \n', r"r\.jsonl, line 2: is not JSON"),
        ("r.jsonl", b'["a"]\n', r"line 1: holds a JSON list; expected an object"),
        (
            "r.jsonl",
            b'{"text": "a"}\n{"text": 7}\n',
            r"line 2: column 'text' holds '7', of type int",
        ),
        ("r.jsonl", b'{"text": "caf\xe9"}\n', r"r\.jsonl: is not UTF-8"),
        ("r.jsonl", b"\n", r"r\.jsonl: holds no rows"),
        ("r.csv", b"id,text\n1,a\n2,b,c\n", r"line 3: has 3 fields; the first line names 2"),
        ("r.csv", b"id,text\n1\n", r"line 2: has 1 fields; the first line names 2"),
        ("r.csv", b'id,text\n1,"a\n', r"r\.csv, after line 1: unexpected end of data"),
        ("r.txt.gz", b"not gzip", r"r\.txt\.gz: is not a whole gzip file"),
        ("r.txt.gz", gzip.compress(b"a\n" * 999, mtime=0)[:-9], r"is not a whole gzip file"),
        ("r.parquet", b"PAR1 cut short", r"r\.parquet: is not a whole Parquet file"),
        ("r.docx", b"", r"no texts that can be read; found r\.docx; expected \.jsonl"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        list(texts.open_texts(tmp_path / name).read())


def test_a_missing_path_and_a_folder_of_two_formats_are_errors(tmp_path):
    with pytest.raises(UsageError, match="nowhere: does not exist"):
        texts.open_texts(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("a\n")
    write_jsonl(tmp_path / "b.jsonl")
    with pytest.raises(UsageError, match=r"several formats \(jsonl, lines\)"):
        texts.open_texts(tmp_path)


def test_reading_is_lazy(tmp_path):
    (tmp_path / "r.txt").write_text("good\n" * 200)
    with (tmp_path / "r.txt").open("ab") as file:
        file.write(b"x" * 100_000 + b"\n\xff\n")
    first = list(
        itertools.islice(texts.open_texts(tmp_path / "r.txt", text_column="text").read(), 3)
    )
    assert [record["text"] for record in first] == ["good"] * 3
