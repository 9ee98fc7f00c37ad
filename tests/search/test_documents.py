"""Texts in SQLite: the records as they are, found by row, by id and by words."""

import json
import re
import sqlite3
import threading

import numpy as np
import pytest

from sae_jax.data.shards import open_shards
from sae_jax.errors import UsageError
from sae_jax.search import documents
from sae_jax.search.documents import open_documents

HALF = chr(0xD83D)  # of a surrogate pair
TEXTS = ("A horse is ridden.", "Two horses, a rider", "nothing of it", "", 'say "horse" OR 1')


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    np.save(folder / "a.npy", np.eye(5, 8, dtype=np.float32))
    records = [
        {"id": f"d/{i}", "text": text, "title": "T" if i == 1 else "", "year": 2000 + i,
         "link": "https://example.org/1" if i == 1 else "javascript:alert(1)"}
        for i, text in enumerate(TEXTS)
    ]  # fmt: skip
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    return open_shards(folder)


@pytest.fixture
def found(reader, tmp_path):
    return open_documents(reader, out=tmp_path / "out", say=lambda line: None)


def test_documents_are_the_records(found, reader):
    rows = [3, 1, 0]
    records = reader.records(np.array(rows))
    for row, document, record in zip(rows, found.read(rows), records, strict=True):
        assert (document.row, document.id, document.text) == (row, record["id"], record["text"])
        assert document.fields["year"] == record["year"]


def test_a_title_and_an_address_are_found_among_the_fields(found):
    assert found.read([1])[0].title == "T"
    assert found.read([1])[0].url == "https://example.org/1"
    assert found.read([0])[0].url == ""  # javascript: is no address


def test_a_row_is_found_by_its_id(found):
    assert found.row_of("d/2") == 2
    assert found.row_of("d/9") is None


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("horse", {0, 1, 4}),  # by the stem
        ("horse ridden", {0}),
        ("HORSE rider", {1}),
        ("unknown", set()),
        ('"', set()),
        ('horse" OR "nothing', set()),  # words, and no query language
        ("text:horse*", set()),
        ("two_horses", {1}),  # an underscore parts words, as in the index
        ("_", set()),
    ],
)
def test_rows_hold_all_of_the_words(found, words, rows):
    answer = found.with_words(words, k=10)
    assert set(answer.rows) == rows
    assert answer.n == len(rows)


def test_words_that_the_index_cannot_take_are_a_mistake_of_the_one_who_asks(found, monkeypatch):
    monkeypatch.setattr(documents, "WORD", re.compile(r"\w+"))
    with pytest.raises(UsageError, match="'two_horses' cannot be looked for: fts5"):
        found.with_words("two_horses", k=10)


def test_halves_of_surrogate_pairs_do_not_stop_it(tmp_path):
    folder = tmp_path / "halves"
    folder.mkdir()
    np.save(folder / "a.npy", np.eye(1, 8, dtype=np.float32))
    half = dict.fromkeys(("id", "text", "title", "other"), "a" + HALF)
    (folder / "texts.jsonl").write_text(json.dumps(half | {"url": "https://a" + HALF}) + "\n")
    made = open_documents(open_shards(folder), out=tmp_path / "out", say=lambda line: None)
    (found,) = made.read([0])
    assert found[1:5] == ("a?", "a?", "a?", "https://a?")
    assert found.fields["other"] == "a" + HALF


def test_a_document_whose_id_is_null_has_its_row_s_number(tmp_path):
    folder = tmp_path / "nameless"
    folder.mkdir()
    np.save(folder / "a.npy", np.eye(2, 8, dtype=np.float32))
    (folder / "texts.jsonl").write_text('{"id": 7, "text": "a"}\n{"id": null, "text": "b"}\n')
    made = open_documents(open_shards(folder), out=tmp_path / "out", say=lambda line: None)
    assert [one.id for one in made.read([0, 1])] == ["7", "1"]


def test_the_best_come_first_and_no_more_than_asked(found):
    assert len(found.with_words("horse", k=2).rows) == 2
    assert found.with_words("horse", k=2).n == 3


def test_too_many_to_rank_are_in_the_order_of_rows(found, monkeypatch):
    monkeypatch.setattr(documents, "MOST_RANKED", 2)
    assert found.with_words("horse", k=10).rows == [0, 1, 4]


def test_it_is_made_once(reader, tmp_path):
    said = []
    for _ in range(2):
        open_documents(reader, out=tmp_path / "out", say=said.append)
    assert len(said) == 1
    assert "Texts of 5 rows" in said[0]


@pytest.mark.parametrize("damage", ["truncated", "of other rows"])
def test_one_that_is_damaged_or_of_other_rows_is_made_anew(reader, found, damage):
    if damage == "truncated":
        found.path.write_bytes(found.path.read_bytes()[:700])
    else:
        with sqlite3.connect(found.path) as file:
            file.execute("UPDATE about SET data_fingerprint = 'other'")
        file.close()
    said = []
    again = open_documents(reader, out=found.path.parent, say=said.append)
    assert said
    assert again.read([0])[0].text == TEXTS[0]


def test_a_corpus_without_texts_has_no_documents(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    np.save(folder / "a.npy", np.eye(5, 8, dtype=np.float32))
    out = tmp_path / "out"
    assert open_documents(open_shards(folder), out=out, say=print) is None
    assert not out.exists()


def test_several_threads_read_at_once(found):
    wrong = []

    def read() -> None:
        answers = [[one.row for one in found.read([0, 2, 4])] for _ in range(50)]
        wrong.extend(one for one in answers if one != [0, 2, 4])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
