"""The texts of a corpus in SQLite: any row in microseconds, and search by keywords.

Records beside embeddings are compressed in groups of a thousand, of which a page would decode
one for each row that it shows. RUN/search/CORPUS/documents.sqlite is made once, and holds the
same records with an index of their words (FTS5, the words' stems).
"""

import contextlib
import json
import os
import pathlib
import re
import sqlite3
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from sae_jax.analysis.records import all_records
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError

FORMAT = 3
FILE = "documents.sqlite"
MOST_RANKED = 20_000  # matches; more are listed by row, for ranking 41,000 takes 170 ms
TITLES, ADDRESSES = ("title", "name"), ("url", "link")  # fields of a record, the first that is
WORD = re.compile(r"[^\W_]+")  # as unicode61 splits; phrases need more than detail=column

SCHEMA = """
CREATE TABLE about (format INTEGER, data_fingerprint TEXT);
CREATE TABLE documents (
    row INTEGER PRIMARY KEY, id TEXT, title TEXT, text TEXT, url TEXT, fields TEXT
);
CREATE VIRTUAL TABLE words USING fts5(
    text, content='documents', content_rowid='row', tokenize='porter unicode61', detail=column
);
"""


class Document(NamedTuple):
    """One record of the corpus."""

    row: int
    id: str
    title: str  # empty where the record has none
    text: str
    url: str  # empty where it has none that begins with http
    fields: dict[str, Any]  # whatever else the record says


class Found(NamedTuple):
    """Rows that hold all of some words."""

    rows: list[int]  # best first
    n: int  # of all that hold them


class Documents:
    """Read by any number of threads."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        weakref.finalize(self, _close, self._idle)

    def read(
        self, rows: Sequence[int] | Int64[np.ndarray, " n"], *, with_fields: bool = True
    ) -> list[Document]:
        """In the order of `rows`, each of which must be one of the corpus.

        Without their fields a thousand take 10 ms, with them 30.
        """
        wanted = [int(row) for row in rows]
        marks = ",".join("?" * len(wanted))
        names = f"row, id, title, text, url{', fields' if with_fields else ''}"
        asked = f"SELECT {names} FROM documents WHERE row IN ({marks})"
        with self._connection() as connection:
            found = connection.execute(asked, wanted).fetchall()
        by_row = {
            row: Document(row, name, title, text, url, json.loads(own[0]) if own else {})
            for row, name, title, text, url, *own in found
        }
        return [by_row[row] for row in wanted]

    def row_of(self, name: str) -> int | None:
        """Of the document with this id."""
        asked = "SELECT row FROM documents WHERE id = ? LIMIT 1"
        with self._connection() as connection:
            found = connection.execute(asked, [name]).fetchone()
        return None if found is None else int(found[0])

    def with_words(self, words: str, *, k: int, most_ranked: int = 0) -> Found:
        """The k best of the rows that hold all of these words, by BM25.

        Where more than `most_ranked` or MOST_RANKED hold them, the first by row. Raises
        UsageError on words that the index takes for something else.
        """
        asked = " ".join(f'"{word}"' for word in WORD.findall(words))
        if not asked:
            return Found([], 0)
        matching = "FROM words WHERE words MATCH ?"
        with self._connection() as connection:
            try:
                (n,) = connection.execute(f"SELECT count(*) {matching}", [asked]).fetchone()
            except sqlite3.OperationalError as error:
                raise UsageError(f"{words[:80]!r} cannot be looked for: {error}.") from error
            order = "ORDER BY bm25(words), rowid" if n <= (most_ranked or MOST_RANKED) else ""
            asked_rows = f"SELECT rowid {matching} {order} LIMIT ?"
            found = connection.execute(asked_rows, [asked, k]).fetchall()
        return Found([int(row) for (row,) in found], int(n))

    def all_fields(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Of every document, in the order of rows."""
        with self._connection() as connection:
            for row, fields in connection.execute("SELECT row, fields FROM documents"):
                yield row, json.loads(fields)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One that no other thread uses now."""
        try:
            connection = self._idle.pop()
        except IndexError:
            address = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
            connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            yield connection
        finally:
            self._idle.append(connection)


def _close(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()


def open_documents(
    reader: ShardReader, *, out: pathlib.Path, say: Callable[[str], None]
) -> Documents | None:
    """Of this corpus, made first where they are not there; None where it has no texts."""
    path = out / FILE
    if _is_of(path, reader=reader):
        return Documents(path)
    if reader.records(np.zeros(1, np.int64)) is None:
        return None
    say(f"Texts of {reader.n_rows:,} rows to {path}, once.")
    out.mkdir(parents=True, exist_ok=True)
    part = out / f".{uuid.uuid4().hex}.part"
    try:
        _write(part, reader=reader)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return Documents(path)


def _is_of(path: pathlib.Path, *, reader: ShardReader) -> bool:
    if not path.exists():
        return False
    try:
        with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
            found = connection.execute("SELECT format, data_fingerprint FROM about").fetchone()
        connection.close()
    except sqlite3.DatabaseError:  # damaged: it is made anew
        return False
    return found == (FORMAT, reader.fingerprint)


def _write(path: pathlib.Path, *, reader: ShardReader) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {SCHEMA}")
        connection.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", _rows(reader))
        connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
        connection.execute("CREATE INDEX by_id ON documents (id)")
        connection.execute("INSERT INTO about VALUES (?, ?)", [FORMAT, reader.fingerprint])
        connection.commit()
    finally:
        connection.close()


def _rows(reader: ShardReader) -> Iterator[tuple[int, str, str, str, str, str]]:
    for row, record in enumerate(all_records(reader, wanted="texts")):
        rest = {name: value for name, value in record.items() if name not in ("id", "text")}
        url = _first(rest, ADDRESSES)
        yield (
            row,
            str(row) if record.get("id") is None else _whole(record["id"]),
            _whole(_first(rest, TITLES)),
            _whole(record.get("text") or ""),
            _whole(url) if re.match("https?://", url) else "",  # a link to a script is none
            json.dumps(rest, default=str),
        )


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of these fields that says something."""
    return next((str(fields[name]) for name in names if fields.get(name)), "")


def _whole(text: object) -> str:
    """With "?" for half a surrogate pair, which JSON may hold and UTF-8 may not."""
    return str(text).encode("utf-8", "replace").decode()
