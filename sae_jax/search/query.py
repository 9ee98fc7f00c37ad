"""What is searched with: a vector, and the code of its features."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sae_jax.data.shards import ShardReader
from sae_jax.embed.encoder import Encoder
from sae_jax.errors import UsageError
from sae_jax.search.dictionary import Dictionary
from sae_jax.search.families import Family


class Query(NamedTuple):
    """Of the length that the encoder gave; scores do not depend on it."""

    vector: Float[np.ndarray, " d_in"]
    code: dict[int, float]  # its own latents, strongest first
    origin: str  # in words
    bias: bool = True  # whether b_dec is a part of it, as of every embedding

    @property
    def norm(self) -> float:
        return float(np.linalg.norm(self.vector))


def of_text(text: str, *, encoder: Encoder, dictionary: Dictionary) -> Query:
    """Raises UsageError on a text that holds nothing."""
    if not text.strip():
        raise UsageError("the text to search for is empty; expected some words.")
    (vector,) = encoder.encode([text])
    return of_vector(vector, dictionary=dictionary, origin=f"“{text}”")


def of_row(row: int, *, reader: ShardReader, dictionary: Dictionary) -> Query:
    if not 0 <= row < reader.n_rows:
        raise UsageError(
            f"there is no row {row} in {reader.folder}; expected 0 to {reader.n_rows - 1}."
        )
    vector = reader.read(np.array([row]))[0].astype(np.float32)
    return of_vector(vector, dictionary=dictionary, origin=f"row {row}")


def of_vector(
    vector: Float[np.ndarray, " d_in"], *, dictionary: Dictionary, origin: str
) -> Query:
    """An embedding of the corpus's own encoder."""
    if not vector.any():
        raise UsageError(f"{origin} has a vector of zeros, which is near to nothing.")
    return Query(vector.astype(np.float32), dictionary.encode(vector), origin)


def of_latent(latent: int, *, dictionary: Dictionary) -> Query:
    """Its decoder direction: the latent alone, at 100 %."""
    dictionary.check([latent])
    return _of_code({latent: float(dictionary.highest[latent])}, dictionary, f"latent {latent}")


def of_family(family: Family, *, dictionary: Dictionary) -> Query:
    """The sum of its members' directions, each as long as its latent's highest value."""
    alive = [latent for latent in family.members if dictionary.highest[latent]]
    total = float(dictionary.highest[alive].sum())
    code = {i: float(dictionary.highest[i]) / total * family.highest for i in alive}
    return _of_code(code, dictionary, f"family {family.number}")


def _of_code(code: dict[int, float], dictionary: Dictionary, origin: str) -> Query:
    code = dict(sorted(code.items(), key=lambda one: -one[1]))
    return Query(dictionary.directions(code), code, origin, bias=False)
