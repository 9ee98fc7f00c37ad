"""A trained dictionary beside a corpus: its directions, and how strong each latent gets."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis.codes import StoredCodes
from sae_jax.errors import UsageError
from sae_jax.notebook import Sae


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Dictionary:
    """What steering and its explanation read, as NumPy arrays."""

    sae: Sae
    stored: StoredCodes

    @functools.cached_property
    def W_dec(self) -> Float[np.ndarray, "n_latents d_in"]:
        return np.asarray(self.sae.W_dec)

    @functools.cached_property
    def W_enc_rows(self) -> Float[np.ndarray, "n_latents d_in"]:
        return np.ascontiguousarray(np.asarray(self.sae.W_enc).T)

    @functools.cached_property
    def b_enc(self) -> Float[np.ndarray, " n_latents"]:
        return np.asarray(self.sae.b_enc)

    @functools.cached_property
    def b_dec(self) -> Float[np.ndarray, " d_in"]:
        return np.asarray(self.sae.b_dec)

    @functools.cached_property
    def highest(self) -> Float[np.ndarray, " n_latents"]:
        """The highest value of each latent on the corpus; 0 of one that is never on."""
        on = np.flatnonzero(self.stored.n_on)
        highest = np.zeros(self.sae.n_latents, np.float32)
        highest[on] = np.asarray(self.stored.latent_values)[self.stored.latent_starts[on]]
        return highest

    def encode(self, x: Float[np.ndarray, " d_in"]) -> dict[int, float]:
        """The latents that are on for x, strongest first, and their values."""
        values, indices = (np.asarray(part) for part in self.sae.encode(x))
        on = values > 0
        return dict(zip(indices[on].tolist(), values[on].tolist(), strict=True))

    def directions(self, code: Mapping[int, float]) -> Float[np.ndarray, " d_in"]:
        """Σ value · its decoder row."""
        values = np.array(list(code.values()), np.float32)
        return np.asarray(values @ self.W_dec[list(code)], np.float32)

    def check(self, latents: Sequence[int] | Int[np.ndarray, " n"]) -> None:
        """Raises UsageError where one is no latent, or is never on so that it has no scale."""
        for latent in map(int, latents):
            if not 0 <= latent < self.sae.n_latents:
                raise UsageError(
                    f"there is no latent {latent}; expected a number from 0 to "
                    f"{self.sae.n_latents - 1}."
                )
            if not self.highest[latent]:
                raise UsageError(
                    f"latent {latent} is never on in this corpus, so that it has no maximum to "
                    "take a percentage of. Choose another; `sae-jax latents` shows some."
                )
