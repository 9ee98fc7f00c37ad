"""What a search may begin with."""

import numpy as np
import pytest

from sae_jax.errors import UsageError
from sae_jax.search import query


class Reversing:
    """An encoder for tests: row i for the text "text i"."""

    name, d_in, normalisation = "reversing", 16, "L2"

    def __init__(self, rows):
        self.rows = rows

    def plan(self, sample, *, n_texts):
        return ""

    def encode(self, texts):
        return self.rows[[int(text.split()[1]) for text in texts]].astype(np.float32)


def test_from_a_document_it_is_the_stored_row_and_its_code(search, unit_rows):
    found = search.row(7)
    np.testing.assert_allclose(found.vector, unit_rows[7], atol=1e-3)  # as float16 stores it
    stored = search.dictionary.stored
    assert list(found.code) == stored.indices[7].tolist()
    np.testing.assert_allclose(list(found.code.values()), stored.values[7], rtol=1e-5)


@pytest.mark.parametrize("row", [-1, 1_500])
def test_a_document_that_is_not_there_is_refused(search, row):
    with pytest.raises(UsageError, match=f"no row {row} in .*expected 0 to 1499"):
        search.row(row)


def test_from_a_text_it_is_what_the_encoder_gives(search, unit_rows):
    encoder = Reversing(unit_rows)
    found = query.of_text("text 7", encoder=encoder, dictionary=search.dictionary)
    np.testing.assert_allclose(found.vector, unit_rows[7], atol=1e-6)
    assert list(found.code) == list(search.row(7).code)
    with pytest.raises(UsageError, match="is empty"):
        query.of_text("  ", encoder=encoder, dictionary=search.dictionary)


def test_from_a_latent_it_is_its_direction_at_its_highest_value(search):
    found, dictionary = search.latent(3), search.dictionary
    np.testing.assert_allclose(
        found.vector, dictionary.highest[3] * dictionary.W_dec[3], rtol=1e-6
    )
    (strength,) = search.strengths(found)
    assert (strength.latent, strength.label) == (3, "horse, saddle")
    assert strength.percent == pytest.approx(100)


def test_from_a_family_each_member_counts_by_its_highest_value(search):
    found, dictionary = search.family(0), search.dictionary
    members = [3, 5, 9]
    expected = dictionary.highest[members] @ dictionary.W_dec[members]
    cosine = found.vector @ expected
    cosine /= np.linalg.norm(found.vector) * np.linalg.norm(expected)
    assert cosine == pytest.approx(1, abs=1e-6)
    assert sum(found.code.values()) == pytest.approx(search.families.family(0).highest)
    # At its own maximum, the family's slider is neutral.
    assert search.steer(found, {}, families={0: 100}).deltas == {}


def test_a_vector_of_zeros_is_near_to_nothing(dictionary):
    with pytest.raises(UsageError, match="row 3 has a vector of zeros"):
        query.of_vector(np.zeros(24, np.float32), dictionary=dictionary, origin="row 3")
