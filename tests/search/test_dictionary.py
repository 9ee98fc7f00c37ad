"""A dictionary beside a corpus."""

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.errors import UsageError
from sae_jax.search.dictionary import Dictionary


def test_the_highest_value_of_each_latent_is_that_on_the_corpus(search):
    stored = search.dictionary.stored
    highest = np.zeros(64, np.float32)
    np.maximum.at(highest, np.asarray(stored.indices), np.asarray(stored.values))
    np.testing.assert_array_equal(search.dictionary.highest, highest)


def test_latents_that_are_not_there_or_never_on_are_refused(dictionary):
    values = np.zeros((3, 32))
    values[0, 4] = 1.0
    sparse = Dictionary(sae=dictionary.sae, stored=stored_of(values))
    sparse.check([4])
    with pytest.raises(UsageError, match=r"no latent 32; expected a number from 0 to 31"):
        sparse.check([4, 32])
    with pytest.raises(UsageError, match=r"latent 5 is never on .*`sae-jax latents`"):
        sparse.check([5])
    assert sparse.highest[5] == 0


def test_encoding_gives_latents_that_are_on_alone(dictionary):
    x = dictionary.b_dec + 0.5 * dictionary.W_dec[3]
    code = dictionary.encode(x)
    assert next(iter(code)) == 3
    assert code[3] == pytest.approx(0.45)  # its bias is −.05
    assert all(value > 0 for value in code.values())
