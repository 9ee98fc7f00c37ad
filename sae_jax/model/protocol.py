"""What an architecture has to offer, so that a new one is one new file."""

from typing import NamedTuple

import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from sae_jax.config import SaeConfig
from sae_jax.model.sparse import Codes

Metrics = dict[str, Float[Array, ""]]


class Objective(NamedTuple):
    """What a gradient comes with: metrics has the loss and its terms."""

    codes: Codes
    metrics: Metrics


class Varied(NamedTuple):
    """Settings in which the members of a population differ, so that they share a program.

    They stand in for those of the config, whose k is the largest and whose coefficients
    say, by being 0 or not, which terms the loss has.
    """

    k: Int[Array, ""]
    auxk_coefficient: Float[Array, ""]
    multi_topk_coefficient: Float[Array, ""]
    learning_rate: Float[Array, ""]  # at its peak


class Autoencoder(nnx.Module):
    """A pytree of parameters with these methods; all pure.

    A base class and not a `typing.Protocol`, because the shape checks of the tests ask
    `issubclass`, which protocols with attributes refuse.
    """

    b_enc: nnx.Param  # [n_latents]
    W_dec: nnx.Param  # [n_latents, d_in]
    b_dec: nnx.Param  # [d_in]

    @classmethod
    def create(
        cls, config: SaeConfig, *, seed: int, rows: Float[np.ndarray, "rows d_in"]
    ) -> "Autoencoder":
        """Initial parameters; rows are drawn from all shards, for the biases."""
        raise NotImplementedError

    @property
    def W_enc(self) -> Float[Array, "d_in n_latents"]:
        raise NotImplementedError

    def pre_acts(
        self, x: Float[Array, "batch d_in"], config: SaeConfig
    ) -> Float[Array, "batch n_latents"]:
        """Of every latent, before any is chosen."""
        raise NotImplementedError

    def encode(self, x: Float[Array, "batch d_in"], config: SaeConfig) -> Codes:
        raise NotImplementedError

    def decode(self, codes: Codes, config: SaeConfig) -> Float[Array, "batch d_in"]:
        raise NotImplementedError

    def gradient(
        self,
        x: Float[Array, "batch d_in"],
        *,
        dead: Bool[Array, " n_latents"],
        data_variance: Float[Array, ""],
        config: SaeConfig,
        varied: Varied | None = None,
    ) -> tuple["Autoencoder", Objective]:
        """The gradient of the training loss of a batch, with its codes and metrics."""
        raise NotImplementedError

    def project(self, gradient: "Autoencoder") -> "Autoencoder":
        """The gradient without the part that the parameters' constraint would undo."""
        raise NotImplementedError

    def constrained(self) -> "Autoencoder":
        """The same parameters, brought back onto their constraint (unit decoder rows)."""
        raise NotImplementedError
