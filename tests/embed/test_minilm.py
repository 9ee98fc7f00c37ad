"""Golden vectors: of sentence-transformers and torch; golden/make_golden.py made them."""

import gzip
import itertools
import json
import os
import pathlib

import numpy as np
import pytest

from sae_jax.embed import minilm as module

# float32 through six layers: torch and XLA add in other orders; measured 2.4e-7 apart.
TOLERANCE = 1e-6
GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "vectors.npz") as file:
        return dict(file)


def test_the_vectors_are_those_of_sentence_transformers(minilm, golden, golden_texts):
    rows = minilm.encode(golden_texts)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, golden["vectors"], rtol=0, atol=TOLERANCE)


def test_texts_are_cut_at_256_word_pieces_as_in_the_original(minilm, golden, golden_texts):
    lengths = [len(pieces) for pieces in minilm.pieces(golden_texts)]
    np.testing.assert_array_equal(lengths, golden["n_pieces"])
    assert max(lengths) == 256
    long = "token " * 254
    np.testing.assert_array_equal(
        minilm.encode([long + "and much more after the limit"]), minilm.encode([long])
    )


def test_a_row_does_not_depend_on_the_texts_beside_it(minilm, golden_texts):
    together = minilm.encode(golden_texts)
    alone = np.concatenate([minilm.encode([text]) for text in golden_texts[::3]])
    np.testing.assert_allclose(together[::3], alone, rtol=0, atol=TOLERANCE)
    backwards = minilm.encode(golden_texts[::-1])[::-1]
    np.testing.assert_allclose(together, backwards, rtol=0, atol=TOLERANCE)


def test_padding_does_not_change_a_row(minilm):
    pieces = np.array(minilm.pieces(["A cell of the connective tissue."])[0], np.int32)
    rows = []
    for length in (16, 64, 256):
        padded = np.full((2, length), 2_023, np.int32)  # a word, not zeros: it must not count
        padded[0, : len(pieces)] = pieces
        n_pieces = np.array([len(pieces), length], np.int32)
        rows.append(np.asarray(module.embed_pieces(minilm.bert, padded, n_pieces))[0])
    np.testing.assert_allclose(rows[1:], [rows[0]] * 2, rtol=0, atol=TOLERANCE)


def test_rows_have_unit_length_and_no_texts_give_no_rows(minilm, golden_texts):
    norms = np.linalg.norm(minilm.encode(golden_texts[:9]), axis=1)
    np.testing.assert_allclose(norms, 1, atol=TOLERANCE)
    assert minilm.encode([]).shape == (0, 384)


def test_the_stored_rows_of_wordnet_are_reproduced(minilm):
    root = pathlib.Path(__file__).parents[2]
    data = pathlib.Path(os.environ.get("SAE_JAX_DATA", root.parent / "shared" / "data"))
    folder = data / "wordnet-glosses"
    if not folder.is_dir():
        pytest.skip(f"NOT TESTED: {folder} is absent; set SAE_JAX_DATA")
    with gzip.open(folder / "texts.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in itertools.islice(file, 64)]
    stored = np.load(folder / "emb-000.npy", mmap_mode="r")[:64].astype(np.float32)
    # float16 keeps 11 bits: half a unit in the last place of the largest coordinate.
    np.testing.assert_allclose(minilm.encode(texts), stored, rtol=0, atol=1.3e-4)


def test_batches_hold_every_text_once_longest_first():
    lengths = np.random.default_rng(0).integers(2, 257, 500).astype(np.int32)
    batches = list(module.batches_by_length(lengths, pieces_per_batch=1_024))
    order = np.concatenate(batches)
    assert sorted(order) == list(range(500))
    assert (np.diff(lengths[order]) <= 0).all()
    for ids in batches:
        assert len(ids) * module.padded_length(int(lengths[ids].max())) <= 1_024


@pytest.mark.parametrize(("n_pieces", "expected"), [(2, 16), (16, 16), (17, 24), (256, 256)])
def test_lengths_are_padded_to_one_of_a_few(n_pieces, expected):
    assert module.padded_length(n_pieces) == expected


def test_the_plan_tells_how_long_texts_are_and_how_many_are_cut(minilm):
    said = minilm.plan(["token " * 300, "two words"], n_texts=10)
    assert "130 word pieces a text; 5 texts reach 256" in said
