"""Filters: which documents a search may find."""

import json

import numpy as np
import pytest
from explorable import record

from sae_jax.data.shards import open_shards
from sae_jax.errors import UsageError
from sae_jax.explorer.filters import Category, Filters, Number
from sae_jax.search.documents import Documents, open_documents

N = 200


@pytest.fixture(scope="module")
def filters(tmp_path_factory):
    """Of documents with a kind, a year that some lack, and fields that are of no use."""
    folder = tmp_path_factory.mktemp("filters") / "rows"
    folder.mkdir()
    np.save(folder / "a.npy", np.eye(N, 8, dtype=np.float32) + 1)
    lines = [
        {"text": f"word{i % 3} of all", "kind": "a:b,c" if i % 4 else "rare", "own": i,
         "list": [i], "same": 1, "grade": i % 5, "name": f"name {i}" if i % 7 else None,
         "huge": [10**400, float("inf"), float("-inf"), float("nan")][i % 4]}
        | ({"year": 1800 + i} if i % 2 else {})
        for i in range(N)
    ]  # fmt: skip
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    documents = open_documents(open_shards(folder), out=folder / "out", say=lambda line: None)
    return Filters(documents, n_rows=N)


def test_fields_that_tell_documents_apart_are_offered(filters):
    assert set(filters.fields) == {"kind", "year", "grade"}
    assert isinstance(filters.fields["kind"], Category)
    assert isinstance(filters.fields["year"], Number)
    assert filters.fields["kind"].as_json() == {"values": [("a:b,c", 150), ("rare", 50)]}
    assert filters.fields["year"].as_json() == {"low": 1801, "high": 1999}


@pytest.mark.parametrize(
    ("where", "holding", "expected"),
    [
        ("kind:rare", "", lambda i: i % 4 == 0),
        ("kind:a%3Ab%2Cc", "", lambda i: i % 4 != 0),
        ("year:1850..1900", "", lambda i: i % 2 == 1 and 50 <= i <= 100),
        ("year:..1900", "", lambda i: i % 2 == 1 and i <= 100),
        ("year:1900..", "", lambda i: i % 2 == 1 and i >= 100),
        ("year:1901", "", lambda i: i == 101),
        ("year:1901.0", "", lambda i: i == 101),
        ("grade:2..3", "", lambda i: i % 5 in (2, 3)),
        ("grade:..1.5", "", lambda i: i % 5 < 2),
        ("grade:4", "", lambda i: i % 5 == 4),
        ("", "word1", lambda i: i % 3 == 1),
        ("kind:rare", "word1", lambda i: i % 4 == 0 and i % 3 == 1),
        ("kind:rare,year:1900..", "", lambda i: False),
        ("", "nowhere", lambda i: False),
    ],
)
def test_rows_are_those_that_fulfil_all(filters, where, holding, expected):
    mask = filters.mask(where=where, holding=holding)
    assert mask.tolist() == [expected(i) for i in range(N)]


def test_a_field_with_too_many_values_is_let_go_of_while_it_is_read(filters, monkeypatch):
    kept = []

    def field(values):
        kept.append(sum(value is not None for value in values))

    def all_fields(documents):
        yield from ((i, {"name": f"name {i}", "number": i}) for i in range(N))

    monkeypatch.setattr("sae_jax.explorer.filters._field", field)
    monkeypatch.setattr(Documents, "all_fields", all_fields)
    assert Filters(filters.documents, n_rows=N).fields == {}
    assert kept == [0, N]


def test_no_filter_leaves_all(filters):
    assert filters.mask(where="", holding=" ") is None


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("colour:red", "there is no field 'colour'; known: kind, grade, year"),
        ("kind:none", "no document has that; expected one of a:b,c, rare"),
        ("year:soon..late", r"expected LOW\.\.HIGH"),
        ("year:2000..1900", r"expected LOW\.\.HIGH"),
        ("year:nan..nan", r"expected LOW\.\.HIGH"),
        ("year:", r"expected LOW\.\.HIGH"),
        ("year:..", r"expected LOW\.\.HIGH"),
        ("grade:3..2", r"expected LOW\.\.HIGH"),
        ("grade:", "no document has that; expected one of 0, 1, 2, 3, 4"),
        ("kind:a..b", "no document has that; expected one of a:b,c, rare"),
    ],
)
def test_a_filter_that_cannot_be_is_said(filters, where, said):
    with pytest.raises(UsageError, match=said):
        filters.mask(where=where, holding="")


def test_a_corpus_without_texts_has_no_filters():
    none = Filters(None, n_rows=5)
    assert none.fields == {}
    with pytest.raises(UsageError, match="no texts"):
        none.mask(where="", holding="word")


def test_a_search_finds_what_its_filters_leave(client, opened):
    years = {row: record(row).get("year") for row in range(opened.n_rows)}
    wanted = {row for row, year in years.items() if year == 2015}
    asked = {"row": "5", "where": "year:2015", "k": 20}
    found = client.get("/api/search", params=asked).json()
    assert found["n_rows"] == sum(year == 2015 for year in years.values())
    rows = {hit["row"] for hit in found["hits"]}
    assert len(rows) == 20
    assert rows <= wanted
    assert {own["document"]["row"] for own in found["neutral"]} == rows
    assert found["hits"][0]["neutral_rank"] == 1


def test_a_page_is_narrowed_and_says_where_nothing_is_left(page):
    page.goto("/search?row=5")
    page.locator(".status", has_text="exact").wait_for()
    page.locator(".filters summary").click()
    page.get_by_label("year").select_option("2015")
    page.locator(".status", has_text="that the filters leave").wait_for()
    assert "where=year:2015" in page.url
    page.goto("/search?row=5&where=year:2015&holding=nowhere")
    page.get_by_text("0 of 1,500 documents: the filters remove all.").wait_for()
    page.locator(".empty").get_by_role("button", name="Clear filters").click()
    page.locator(".status", has_text="exact").wait_for()
    assert page.url.endswith("/search?row=5")
