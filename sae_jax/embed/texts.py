"""Reads texts and their other columns from JSONL, CSV, Parquet or plain lines.

Everything is streamed: a pass over the source holds one record, or one Parquet batch.
"""

import csv
import dataclasses
import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sae_jax.errors import UsageError

Record = dict[str, Any]  # "id" and "text", both str, then the metadata

# In order of preference; compared in lower case.
TEXT_NAMES = (
    *("text", "abstract", "content", "document", "body", "passage", "sentence", "definition"),
    *("description", "gloss", "summary", "review", "comment", "article", "message", "question"),
    *("caption", "prompt", "title", "name"),
)
FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "lines",
}
N_ROWS_GUESSED_FROM = 100
LONGEST_CSV_FIELD = 2**31 - 1  # csv's own limit of 128 KiB is shorter than an article


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSource:
    """Texts that can be read again from the start."""

    name: str
    read: Callable[[], Iterator[Record]]
    columns: tuple[str, ...] = ("text",)
    text_column: str = "text"
    why: str = ""  # why this column was taken
    licence: str = "unknown"
    report: tuple[str, ...] = ()  # what to tell before the work


def open_texts(path: str | Path, *, text_column: str | None = None) -> TextSource:
    """Opens one file, or a folder of files of one format, in the order of their names.

    The column "id" names the rows; without it their position in the input does.
    Raises UsageError where there is nothing to read or no such column.
    """
    path = Path(path)
    files = _files(path)
    raw = FORMATS[_suffix(files[0])]
    columns, sample = _look(files[0], format_name=raw)
    if text_column is None:
        text_column, why = guess_text_column(columns, sample, where=files[0])
    elif text_column not in columns:
        raise UsageError(
            f"{files[0]}: has no column {text_column!r}; found {', '.join(columns)}. "
            "Name one of these with --text_column."
        )
    else:
        why = "named by --text_column"

    def read() -> Iterator[Record]:
        position = itertools.count()
        for file in files:
            for where, row in _rows(file, format_name=raw):
                yield _record(row, text_column, position=next(position), where=where)

    return TextSource(
        name=str(path), read=read, columns=columns, text_column=text_column, why=why
    )


def guess_text_column(
    columns: Sequence[str], sample: Sequence[Record], *, where: object
) -> tuple[str, str]:
    """The column most likely to hold the text, and why: its name, else its length."""
    texts = {c: [row[c] for row in sample if isinstance(row.get(c), str)] for c in columns}
    n_characters = {c: sum(map(len, found)) for c, found in texts.items()}
    wordy = [c for c in columns if n_characters[c]]
    by_name = {c.lower().strip(): c for c in reversed(wordy)}
    for name in TEXT_NAMES:
        if name in by_name:
            return by_name[name], "taken for its name"
    if not wordy:
        raise UsageError(
            f"{where}: no column holds text in the first {len(sample)} rows; found "
            f"{', '.join(columns) or 'no columns'}. Name the column with --text_column."
        )
    best = max(wordy, key=lambda c: n_characters[c])
    mean = n_characters[best] / len(sample)
    return best, f"taken for its length, {mean:.0f} characters a row, the longest of all"


def _record(row: Record, text_column: str, *, position: int, where: str) -> Record:
    text = row.get(text_column)
    if text is not None and not isinstance(text, str):
        raise UsageError(
            f"{where}: column {text_column!r} holds {str(text)[:60]!r}, of type "
            f"{type(text).__name__}; expected text. Name another with --text_column, or "
            "mend the row."
        )
    identifier = row.get("id")
    record = {"id": str(position if identifier is None else identifier), "text": text or ""}
    for name, value in row.items():
        if name not in ("id", text_column):
            # A column called text that is not the one embedded must not hide it.
            record["original_text" if name == "text" else name] = value
    return record


def _suffix(file: Path) -> str:
    name = file.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _files(path: Path) -> list[Path]:
    readable = ", ".join(FORMATS) + " (each but .parquet also as .gz)"
    if not path.exists():
        raise UsageError(f"{path}: does not exist; expected a file or a folder of texts.")
    found = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    files = [p for p in found if _suffix(p) in FORMATS and not p.name.startswith(".")]
    if not files:
        names = ", ".join(p.name for p in found[:5]) or "nothing"
        raise UsageError(
            f"{path}: no texts that can be read; found {names}; expected {readable}."
        )
    formats = sorted({FORMATS[_suffix(p)] for p in files})
    if len(formats) > 1:
        raise UsageError(
            f"{path}: holds files of several formats ({', '.join(formats)}), such as "
            f"{', '.join(p.name for p in files[:4])}; expected one format. Name one file, or "
            "put the files to embed into a folder of their own."
        )
    return files


def _look(file: Path, *, format_name: str) -> tuple[tuple[str, ...], list[Record]]:
    """Column names, in the order found, and the first rows."""
    if format_name == "parquet":
        return _parquet_columns(file), _sample(file, format_name=format_name)
    sample = _sample(file, format_name=format_name)
    if not sample:
        raise UsageError(f"{file}: holds no rows; expected one text a row.")
    return tuple(dict.fromkeys(name for row in sample for name in row)), sample


def _sample(file: Path, *, format_name: str) -> list[Record]:
    rows = _rows(file, format_name=format_name)
    return [row for _, row in itertools.islice(rows, N_ROWS_GUESSED_FROM)]


def _rows(file: Path, *, format_name: str) -> Iterator[tuple[str, Record]]:
    """Each row with a phrase that says where it stands."""
    if format_name == "parquet":
        yield from _parquet_rows(file)
        return
    rows = {"jsonl": _json_rows, "csv": _csv_rows, "tsv": _tsv_rows, "lines": _line_rows}
    opened: Iterable[str]
    opener = gzip.open if file.name.lower().endswith(".gz") else open
    try:
        # utf-8-sig: spreadsheets write a byte-order mark, which is no part of a name.
        with opener(file, "rt", encoding="utf-8-sig", newline="") as opened:
            yield from rows[format_name](file, opened)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file}: is not UTF-8 ({error.reason} at byte {error.start} of a block). "
            "Convert it, for example with `iconv -f latin1 -t utf-8`."
        ) from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise UsageError(f"{file}: is not a whole gzip file: {error}. Get it anew.") from error


def _json_rows(file: Path, opened: Iterable[str]) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(opened, start=1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UsageError(
                f"{where}: is not JSON ({error.msg} at character {error.pos}); expected one "
                "object a line. Mend or remove the line."
            ) from error
        if not isinstance(row, dict):
            raise UsageError(
                f"{where}: holds a JSON {type(row).__name__}; expected an object such as "
                '{"id": "7", "text": "…"}.'
            )
        yield where, row


def _csv_rows(
    file: Path, opened: Iterable[str], *, delimiter: str = ","
) -> Iterator[tuple[str, Record]]:
    csv.field_size_limit(LONGEST_CSV_FIELD)
    reader = csv.DictReader(opened, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            where = f"{file}, line {reader.line_num}"
            if None in row or None in row.values():
                n_found = sum(value is not None for k, value in row.items() if k is not None)
                n_found += len(row.get(None) or ())
                raise UsageError(
                    f"{where}: has {n_found} fields; the first line names "
                    f"{len(reader.fieldnames or ())}. Quote fields that hold a {delimiter!r}."
                )
            yield where, row
    except csv.Error as error:
        raise UsageError(f"{file}, after line {reader.line_num}: {error}.") from error


def _tsv_rows(file: Path, opened: Iterable[str]) -> Iterator[tuple[str, Record]]:
    return _csv_rows(file, opened, delimiter="\t")


def _line_rows(file: Path, opened: Iterable[str]) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(opened, start=1):
        yield f"{file}, line {number}", {"text": line.rstrip("\r\n")}


def _parquet_columns(file: Path) -> tuple[str, ...]:
    import pyarrow
    import pyarrow.parquet

    try:
        return tuple(pyarrow.parquet.read_schema(file).names)
    except pyarrow.ArrowInvalid as error:
        raise UsageError(
            f"{file}: is not a whole Parquet file: {error}. Get it anew."
        ) from error


def _parquet_rows(file: Path) -> Iterator[tuple[str, Record]]:
    import pyarrow.parquet

    number = 0
    with pyarrow.parquet.ParquetFile(file) as opened:
        for batch in opened.iter_batches(batch_size=1_024):
            for row in batch.to_pylist():
                # Dates, decimals and bytes become text: metadata is kept as JSON.
                yield f"{file}, row {number}", json.loads(json.dumps(row, default=str))
                number += 1
