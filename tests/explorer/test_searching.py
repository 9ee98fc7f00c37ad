"""The search behind the page, against NumPy."""

import csv
import io
import json
import struct

import numpy as np
import pytest
from explorable import FORMULA, record

from sae_jax.explorer import preview, searching

NEAR = 1e-4  # of scores: they are computed in float32


def ask(client, **parameters):
    answer = client.get("/api/search", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def unit_rows(opened):
    vectors = opened.search.index.vectors(np.arange(opened.n_rows)).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def steered_by_numpy(opened, query, sliders) -> np.ndarray:
    """q + Σ (wanted − natural) d, over ‖q‖."""
    dictionary, moved = opened.dictionary, query.vector.astype(np.float64)
    for latent, percent in sliders.items():
        wanted = percent / 100 * float(dictionary.highest[latent])
        moved = moved + (wanted - query.code.get(latent, 0.0)) * dictionary.W_dec[latent]
    return unit_rows(opened) @ moved / query.norm


def test_without_sliders_it_is_plain_search_for_two_hundred_questions(client, opened):
    rows = unit_rows(opened)
    for row in range(0, 1_400, 7):
        found = ask(client, q=f"text {row} of words")
        vector = opened.search.text(f"text {row} of words").vector.astype(np.float64)
        expected = np.argsort(-(rows @ vector), kind="stable")[:10]
        assert [hit["row"] for hit in found["hits"]] == expected.tolist()
        assert found["fidelity"] == pytest.approx(1)


def test_with_sliders_scores_are_those_of_numpy_and_parts_add_up(client, opened):
    query = opened.search.text("text 12")
    first, second = list(query.code)[:2]
    sliders = {first: -50, second: 250, 3: 120}
    found = ask(client, q="text 12", w=",".join(f"{k}:{v}" for k, v in sliders.items()), k=30)
    expected = steered_by_numpy(opened, query, sliders)
    for hit in found["hits"]:
        assert hit["score"] == pytest.approx(expected[hit["row"]], abs=NEAR)
        parts = sum(natural + change for _, natural, change in hit["parts"])
        assert parts + hit["rest"] == pytest.approx(hit["score"], abs=NEAR)
    assert [hit["row"] for hit in found["hits"]][:5] == np.argsort(-expected)[:5].tolist()


def test_features_are_those_of_the_question_and_of_the_sliders(client, opened):
    query = opened.search.row(5)
    others = [i for i in np.flatnonzero(opened.stored.n_on).tolist() if i not in query.code]
    found = ask(client, row="5", w=f"{others[0]}:100")["features"]
    assert {one["latent"] for one in found} == {*query.code, others[0]}
    by_latent = {one["latent"]: one for one in found}
    assert by_latent[others[0]]["natural"] == 0
    assert by_latent[others[0]]["now"] == pytest.approx(100)


def test_a_family_moves_as_the_library_moves_it(client, opened):
    found = ask(client, row="5", w="f1:80")
    steered = opened.search.steer(opened.search.row(5), {}, families={1: 80.0})
    hits = opened.search.hits(steered)
    assert [hit["row"] for hit in found["hits"]] == [hit.row for hit in hits]
    assert found["families"][0]["number"] == 1
    assert found["families"][0]["now"] == pytest.approx(80)


def test_a_family_is_where_its_members_own_sliders_leave_it(client, opened):
    family, query = opened.families[1], opened.search.row(5)
    member = family.members[0]
    (found,) = (
        one
        for one in ask(client, row="5", w=f"f1:80,{member}:0")["families"]
        if one["number"] == 1
    )
    steered = opened.search.steer(query, {member: 0}, families={1: 80.0})
    own = sum(steered.code.get(latent, 0.0) for latent in family.members)
    assert found["now"] == pytest.approx(100 * own / family.highest)
    assert found["now"] < 75


def test_a_feature_that_no_row_has_on_has_no_percentage():
    assert searching._percent(0.3, 0.0) is None
    assert searching._percent(0.3, 0.6) == 50


def test_of_many_features_the_largest_and_those_with_sliders_are_told(
    client, opened, monkeypatch
):
    every = ask(client, row="5")["features"]
    last = every[-1]["latent"]
    monkeypatch.setattr(searching, "MOST_FEATURES", 2)
    found = ask(client, row="5", w=f"{last}:0.5")
    assert found["n_features"] == len(every) > 2
    assert len(found["features"]) == 2
    assert last in {one["latent"] for one in found["features"]}
    found = ask(client, row="5")["features"]
    assert [one["latent"] for one in found] == [one["latent"] for one in every[:2]]


@pytest.mark.parametrize("mode", ["only", "re-encode"])
def test_modes_are_those_of_the_library(client, opened, mode):
    latent = next(iter(opened.search.row(5).code))
    found = ask(client, row="5", w=f"{latent}:150", mode=mode)
    steered = opened.search.steer(opened.search.row(5), {latent: 150}, mode=mode)
    assert [hit["row"] for hit in found["hits"]] == [
        hit.row for hit in opened.search.hits(steered)
    ]
    assert found["errors"] == pytest.approx(steered.errors)


class Block:
    """What the page unpacks, unpacked by NumPy."""

    def __init__(self, content: bytes) -> None:
        (length,) = struct.unpack_from("<I", content)
        self.header = json.loads(content[4 : 4 + length])
        numbers = np.frombuffer(content, "<f4", offset=4 + length)
        n, m = len(self.header["rows"]), self.header["n_columns"]
        ends = np.cumsum([n, n, n * m, 2, m, m, m * m])
        assert ends[-1] == len(numbers)
        parts = np.split(numbers, ends[:-1])
        self.neutral, self.base, self.products = parts[0], parts[1], parts[3]
        self.with_query, self.with_base = parts[4], parts[5]
        self.columns, self.gram = parts[2].reshape(m, n), parts[6].reshape(m, m)


def block_of(client, **parameters) -> Block:
    answer = client.get("/api/search/block", params=parameters)
    assert answer.status_code == 200, answer.text
    return Block(answer.content)


def test_a_block_has_the_strongest_documents_of_what_is_moved(client, opened):
    latent = int(np.argmax(opened.stored.n_on))
    strongest = set(opened.stored.rows_of(latent)[:100].tolist())
    assert strongest <= set(block_of(client, row="5", moved=str(latent)).header["rows"])


def test_a_block_keeps_to_the_filters(client, opened):
    rows = block_of(client, row="5", moved="3", where="year:2015").header["rows"]
    assert rows
    assert all(record(row).get("year") == 2015 for row in rows)


def test_a_block_is_of_bounded_size(client, opened, monkeypatch):
    """Of a family's many features the strongest have columns, and what has a slider."""
    code = opened.search.family(1).code
    strongest = sorted(code, key=lambda latent: -code[latent])
    other = next(i for i in np.flatnonzero(opened.stored.n_on).tolist() if i not in code)
    asked = {"family": "1", "w": f"{other}:50", "moved": str(strongest[3])}
    assert set(block_of(client, **asked).header["latents"]) == {other, *strongest}
    monkeypatch.setattr(searching, "MOST_LATENTS", 2)
    every = block_of(client, **asked).header
    assert set(every["latents"]) == {other, strongest[0], strongest[1], strongest[3]}
    query = opened.search.family(1)
    neutral = np.argsort(-opened.search.neutral_scores(query), kind="stable")[:300].tolist()
    first = {*neutral, *opened.stored.rows_of(strongest[3])[:100].tolist()}
    scores = opened.search.scores(opened.search.steer(query, {other: 50}))
    others = sorted(set(every["rows"]) - first, key=lambda row: -scores[row])
    assert len(others) > 5
    monkeypatch.setattr(preview, "MOST_ROWS", len(first) + 5)
    assert block_of(client, **asked).header["rows"] == sorted(first | set(others[:5]))


@pytest.mark.parametrize("percent", [-60, 0, 40, 220])
def test_a_block_ranks_as_the_server_does(client, opened, percent):
    query = opened.search.text("text 12")
    latent = next(iter(query.code))
    answer = client.get("/api/search/block", params={"q": "text 12", "moved": str(latent)})
    block = Block(answer.content)
    place = block.header["latents"].index(latent)
    moved = percent - block.header["natural"][place]
    scores = block.base + moved * block.columns[place]
    expected = steered_by_numpy(opened, query, {latent: percent})[block.header["rows"]]
    np.testing.assert_allclose(scores, expected, atol=NEAR)


@pytest.mark.parametrize("percent", [-60, 5, 40, 220])
def test_a_block_moves_families_as_the_server_does(client, opened, percent):
    """Row 5's neighbour in the corpus that has members of family 1 on."""
    row = int(opened.stored.rows_of(opened.families[1].members[0])[0])
    answer = client.get("/api/search/block", params={"row": str(row), "moved": "f1"})
    block = Block(answer.content)
    at, (own,) = len(block.header["latents"]), block.header["families"]
    natural = own["natural"]
    assert natural > 5
    deltas = np.zeros(len(block.columns))
    if percent >= natural:
        deltas[at] = percent - natural
    elif percent >= 0:
        deltas[at + 1] = percent / natural - 1
    else:
        deltas[at], deltas[at + 1] = percent, -1
    steered = opened.search.steer(opened.search.row(row), {}, families={1: float(percent)})
    expected = opened.search.scores(steered)[block.header["rows"]]
    np.testing.assert_allclose(block.base + deltas @ block.columns, expected, atol=NEAR)


def test_a_block_tells_the_cosine_to_the_question(client, opened):
    query = opened.search.text("text 12")
    latent = next(iter(query.code))
    block = Block(client.get("/api/search/block", params={"q": "text 12"}).content)
    at = block.header["latents"].index(latent)
    moved = 200 - block.header["natural"][at]
    along, size = block.products
    along = along + moved * block.with_query[at]
    size = size + 2 * moved * block.with_base[at] + moved**2 * block.gram[at, at]
    steered = opened.search.steer(query, {latent: 200})
    assert along / np.sqrt(size) == pytest.approx(steered.fidelity, abs=NEAR)


def test_a_block_of_only_these_features_has_no_residual(client, opened):
    answer = client.get("/api/search/block", params={"row": "5", "mode": "only"})
    block = Block(answer.content)
    steered = opened.search.steer(opened.search.row(5), {}, mode="only")
    expected = opened.search.scores(steered)[block.header["rows"]]
    np.testing.assert_allclose(block.base, expected, atol=NEAR)


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "found nothing to search from"),
        ("q=a&row=3", 400, "found q and row to search from"),
        ("q=%20", 400, "the text to search for is empty"),
        ("row=1500", 404, "there is no document '1500'"),
        ("feature=64", 404, "there is no feature '64'; expected a number from 0 to 63"),
        ("family=2", 404, "there is no family '2'"),
        ("q=a&w=417", 400, "w='417': expected NAME:NUMBER"),
        ("q=a&w=3:nan", 400, "expected a finite number"),
        ("q=a&w=3:301", 400, "latent 3 is set to 301 %; expected -100 to 300"),
        ("q=a&w=3:10,3:20", 400, "w names '3' twice; expected it once"),
        ("q=a&w=f1:10,f1:20", 400, "w names 'f1' twice"),
        ("q=a&w=f9:10", 404, "there is no family '9'"),
        ("q=a&mode=other", 400, "mode 'other': expected adjust, only, re-encode"),
        ("q=a&k=0", 400, "k='0': expected a whole number from 1 to 100"),
        ("q=a&sliders=3", 400, "there is no parameter 'sliders'"),
        ("q=a&q=b", 400, "q is given twice"),
        ("q=a&mod=only", 400, "did you mean 'mode'"),
    ],
)
def test_a_mistake_is_said(client, query, status, said):
    answer = client.get(f"/api/search?{query}")
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text


def test_too_many_sliders_are_refused(client):
    pairs = ",".join(f"{i}:1" for i in range(64)) + ",f0:1"
    answer = client.get("/api/search", params={"q": "a", "w": pairs})
    assert "w sets 65 sliders; expected 64 at most" in answer.json()["error"]


def test_csv_has_the_hits_and_no_formulas(client, opened):
    answer = client.get("/api/search.csv", params={"row": str(FORMULA), "k": 12})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    found = ask(client, row=str(FORMULA), k=12)["hits"]
    assert [int(row["row"]) for row in rows] == [hit["row"] for hit in found]
    formula = next(row for row in rows if int(row["row"]) == FORMULA)
    assert formula["text"] == f"'=text {FORMULA} of words"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(sign):
    assert searching._cell(f"{sign}1") == f"'{sign}1"
    assert searching._cell(f"1{sign}") == f"1{sign}"


def test_csv_does_not_work_out_reasons(client, monkeypatch):
    monkeypatch.setattr("sae_jax.search.session.explain", lambda *args, **named: 1 / 0)
    assert client.get("/api/search.csv?row=5&k=12").status_code == 200


def test_a_text_is_encoded_once_for_its_search_and_its_block(client, opened):
    encoder = opened.search.encoder
    before = encoder.n_asked
    for _ in range(2):
        ask(client, q="text 99 alone")
        client.get("/api/search/block", params={"q": "text 99 alone"})
    assert encoder.n_asked == before + 1


def test_the_start_shows_documents_and_features_whose_labels_hold(client, opened):
    found = client.get("/api/start").json()
    assert len(found["documents"]) == 6
    assert all(0 <= one["row"] < opened.n_rows for one in found["documents"])
    assert found["features"]
