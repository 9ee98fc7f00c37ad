"""Why a row was found: its score split over the features of the query, exactly."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sae_jax.search.dictionary import Dictionary
from sae_jax.search.steer import Steered


class Contribution(NamedTuple):
    """Of one latent to one row's score."""

    latent: int
    natural: float  # by its value in the query as it came
    change: float  # by its slider

    @property
    def total(self) -> float:
        return self.natural + self.change


class Explanation(NamedTuple):
    """Parts that add up to the score."""

    latents: list[Contribution]  # the largest in size first
    bias: float  # by b_dec; 0 for a query from features alone
    residual: float  # by what of the query no feature says

    @property
    def score(self) -> float:
        return self.bias + self.residual + sum(one.total for one in self.latents)


def explain(
    steered: Steered, vectors: Float[np.ndarray, "rows d_in"], *, dictionary: Dictionary
) -> list[Explanation]:
    """Of each of these unit rows; the score is q'·x / ‖q‖."""
    query, code = steered.query, steered.code
    scale = 1 / query.norm
    latents = list(code)
    natural = np.array([query.code.get(latent, 0.0) for latent in latents])
    change = np.array([steered.deltas.get(latent, 0.0) for latent in latents])
    likeness = scale * (vectors @ dictionary.W_dec[latents].T)
    b_dec = dictionary.b_dec if query.bias else np.zeros_like(dictionary.b_dec)
    bias = scale * (vectors @ b_dec)
    rest = steered.vector - b_dec - dictionary.directions(code)
    residual = scale * (vectors @ rest)
    return [
        Explanation(
            _largest_first(latents, likeness[i] * natural, change=likeness[i] * change),
            float(bias[i]),
            float(residual[i]),
        )
        for i in range(len(vectors))
    ]


def _largest_first(
    latents: Sequence[int],
    natural: Float[np.ndarray, " n"],
    *,
    change: Float[np.ndarray, " n"],
) -> list[Contribution]:
    fields = zip(latents, natural.tolist(), change.tolist(), strict=True)
    found = [Contribution(*own) for own in fields]
    return sorted(found, key=lambda one: (-abs(one.total), one.latent))
