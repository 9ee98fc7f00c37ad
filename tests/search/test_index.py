"""Exact search: the k best of all rows, as a full sort in NumPy finds them."""

import json

import numpy as np
import pytest

from sae_jax.data.shards import open_shards
from sae_jax.search import index


def random_rows(n=700, *, d_in=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d_in)).astype(np.float32)


def folder_of(rows, path, *, dtype="float32"):
    path.mkdir()
    np.save(path / "a.npy", rows[:300].astype(dtype))
    np.save(path / "b.npy", rows[300:].astype(dtype))
    return open_shards(path)


def opened(reader, out):
    said = []
    return index.open_exact(reader, out=out, say=said.append), said


@pytest.mark.parametrize("k", [1, 7, 200, 999])
def test_the_best_are_those_of_a_full_sort_and_of_equals_the_earlier(k):
    scores = np.random.default_rng(1).integers(0, 40, size=500).astype(np.float32)
    found = index.best(scores, k=k)
    expected = np.lexsort((np.arange(500), -scores))[:k]
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_array_equal(found.scores, scores[expected])


def test_only_marked_rows_are_found():
    scores = np.random.default_rng(1).normal(size=500).astype(np.float32)
    among = np.arange(500) % 50 == 3
    found = index.best(scores, k=20, among=among)
    expected = np.flatnonzero(among)
    np.testing.assert_array_equal(found.rows, expected[np.argsort(-scores[expected])])
    assert not len(index.best(scores, k=3, among=np.zeros(500, bool)).rows)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_scores_are_cosines_whatever_the_length_and_type_of_the_rows(tmp_path, dtype):
    rows = random_rows() * np.linspace(0.1, 9, 700)[:, None].astype(np.float32)
    rows[17] = 0
    reader = folder_of(rows, tmp_path / "rows", dtype=dtype)
    exact, _ = opened(reader, tmp_path / "out")
    assert isinstance(exact, index.Index)
    stored = rows.astype(dtype).astype(np.float64)
    unit = stored / np.maximum(np.linalg.norm(stored, axis=1, keepdims=True), 1e-12)
    directions = random_rows(3, seed=2)
    # Products of 12 float32 numbers of unit and of length 3.
    np.testing.assert_allclose(exact.scores(directions), directions @ unit.T, atol=2e-6)
    order = np.argsort(-(unit @ directions[0]), kind="stable")
    found = exact.search(directions[0], k=25)
    np.testing.assert_array_equal(found.rows, order[:25])
    some = np.array([699, 17, 0, 300])
    np.testing.assert_allclose(exact.vectors(some), unit[some], atol=1e-6)


def test_rows_of_16_bits_are_copied_once_which_is_said_before(tmp_path):
    reader = folder_of(random_rows(), tmp_path / "rows", dtype="float16")
    _, said = opened(reader, tmp_path / "out")
    (line,) = said
    assert "a float32 copy of its float16 rows, 0 MB, once" in line
    assert (tmp_path / "out" / "vectors.npy").stat().st_size == 700 * 12 * 4 + 128
    _, said = opened(reader, tmp_path / "out")
    assert said == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "index.json", "scale.npy", "vectors.npy",
    }  # fmt: skip


def test_rows_of_float32_are_read_where_they_lie(tmp_path):
    reader = folder_of(random_rows(), tmp_path / "rows")
    exact, said = opened(reader, tmp_path / "out")
    assert "the rows' norms" in said[0]
    assert not (tmp_path / "out" / "vectors.npy").exists()
    assert len(exact.parts) == 2


def test_an_index_of_other_rows_is_made_anew(tmp_path):
    first = folder_of(random_rows(), tmp_path / "first", dtype="float16")
    opened(first, tmp_path / "out")
    other = folder_of(random_rows(seed=3), tmp_path / "other", dtype="float16")
    exact, said = opened(other, tmp_path / "out")
    assert said
    manifest = json.loads((tmp_path / "out" / "index.json").read_text())
    assert manifest["data_fingerprint"] == other.fingerprint
    asked = random_rows(seed=3)[5].astype(np.float16).astype(np.float32)
    found = exact.search(asked, k=1)
    assert found.rows.tolist() == [5]
    assert found.scores[0] == pytest.approx(np.linalg.norm(asked), rel=1e-6)


def test_an_index_half_made_is_made_anew(tmp_path):
    reader = folder_of(random_rows(), tmp_path / "rows", dtype="float16")
    opened(reader, tmp_path / "out")
    (tmp_path / "out" / "index.json").unlink()
    np.save(tmp_path / "out" / "vectors.npy", np.zeros((700, 12), np.float32))
    exact, said = opened(reader, tmp_path / "out")
    assert said
    assert exact.vectors(np.array([3])).any()


@pytest.mark.parametrize("damage", ["vectors.npy", "scale.npy", "index.json"])
def test_a_damaged_index_is_made_anew(tmp_path, damage):
    np.save(tmp_path / "a.npy", np.eye(40, 8, dtype=np.float16))
    reader, out = open_shards(tmp_path), tmp_path / "index"
    whole = opened(reader, out)[0].scores(np.eye(8, dtype=np.float32))
    content = (out / damage).read_bytes()
    (out / damage).write_bytes(content[: len(content) // 2])
    again, said = opened(reader, out)
    assert len(said) == 1
    np.testing.assert_array_equal(again.scores(np.eye(8, dtype=np.float32)), whole)
