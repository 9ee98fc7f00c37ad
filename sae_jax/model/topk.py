"""The top-k sparse autoencoder: encode, decode, and its loss (DESIGN §4)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from sae_jax.config import SaeConfig
from sae_jax.model import init, sparse
from sae_jax.model.protocol import Autoencoder, Objective
from sae_jax.model.sparse import Codes


class TopKAutoencoder(Autoencoder):
    """x ≈ Σ_j values_j W_dec[indices_j] + b_dec, with the k strongest latents of x.

    Source: Gao et al. 2024 (arXiv 2406.04093), sections 2.3 and 2.4.
    """

    def __init__(
        self,
        *,
        W_enc: Float[Array, "d_in n_latents"],
        b_enc: Float[Array, " n_latents"],
        W_dec: Float[Array, "n_latents d_in"],
        b_dec: Float[Array, " d_in"],
    ) -> None:
        # Stored with one row per latent, like W_dec: sparse gradients then touch
        # contiguous rows. `W_enc` gives the public orientation.
        self.W_enc_rows = nnx.Param(W_enc.T)
        self.b_enc = nnx.Param(b_enc)
        self.W_dec = nnx.Param(W_dec)
        self.b_dec = nnx.Param(b_dec)

    @classmethod
    def create(
        cls, config: SaeConfig, *, seed: int, rows: Float[np.ndarray, "rows d_in"]
    ) -> "TopKAutoencoder":
        """W_dec in random unit rows, W_enc its transpose, b_dec the centre of the rows."""
        W_dec = init.random_directions(
            config.init, n_latents=config.n_latents, d_in=config.d_in, seed=seed
        )
        if config.init == "paper":
            b_dec = np.median(rows[:10_000], axis=0)  # by coordinate, of the first 10,000
        else:
            b_dec = init.geometric_median(rows)
        return cls(
            W_enc=W_dec.T,
            b_enc=jnp.zeros(config.n_latents),
            W_dec=W_dec,
            b_dec=jnp.asarray(b_dec, jnp.float32),
        )

    @property
    def W_enc(self) -> Float[Array, "d_in n_latents"]:
        return self.W_enc_rows[...].T

    def pre_acts(self, x: Float[Array, "batch d_in"]) -> Float[Array, "batch n_latents"]:
        return (x - self.b_dec[...]) @ self.W_enc_rows[...].T + self.b_enc[...]

    def encode(self, x: Float[Array, "batch d_in"], config: SaeConfig) -> Codes:
        """The k strongest latents of each example, strongest first; zeros where ReLU cut."""
        return sparse.top_k(self.pre_acts(x), config.k)

    def decode(self, codes: Codes, config: SaeConfig) -> Float[Array, "batch d_in"]:
        return self._sum_directions(codes, config) + self.b_dec[...]

    def _sum_directions(self, codes: Codes, config: SaeConfig) -> Float[Array, "batch d_in"]:
        return sparse.sum_rows(codes, self.W_dec[...], products=config.products)

    def loss(
        self,
        x: Float[Array, "batch d_in"],
        *,
        dead: Bool[Array, " n_latents"],
        data_variance: Float[Array, ""],
        config: SaeConfig,
    ) -> tuple[Float[Array, ""], Objective]:
        """fvu of the reconstruction + AuxK, and + Multi-TopK where its coefficient is not 0.

        Source: Gao et al. 2024, section 2.4, appendices A.2 and A.3.
        """
        pre_acts = self.pre_acts(x)
        if sparse.use_sparse(config.products):
            pre_acts = jax.lax.stop_gradient(pre_acts)  # _top_k gives the chosen ones theirs
        codes = self._top_k(x, pre_acts, config.k, config=config)
        error = x - self.decode(codes, config)
        variance = data_variance
        if config.loss_normaliser == "batch":
            variance = jnp.mean(jnp.sum((x - x.mean(axis=0)) ** 2, axis=-1))
        fvu = jnp.mean(jnp.sum(error**2, axis=-1)) / variance
        auxk_loss = self._auxk_loss(x, pre_acts, error, dead=dead, config=config)
        loss = fvu + config.auxk_coefficient * auxk_loss
        metrics = {"fvu": fvu, "auxk_loss": auxk_loss}
        if config.multi_topk_coefficient:
            wide = self._top_k(x, pre_acts, 4 * config.k, config=config)
            wide_error = x - self.decode(wide, config)
            metrics["fvu_4k"] = jnp.mean(jnp.sum(wide_error**2, axis=-1)) / variance
            loss += config.multi_topk_coefficient * metrics["fvu_4k"]
        metrics["loss"] = loss
        return loss, Objective(codes, metrics)

    def _top_k(
        self,
        x: Float[Array, "batch d_in"],
        pre_acts: Float[Array, "batch n_latents"],
        k: int,
        *,
        config: SaeConfig,
    ) -> Codes:
        codes = sparse.top_k(pre_acts, k)
        if not sparse.use_sparse(config.products):
            return codes
        values = sparse.with_encoder_gradient(
            codes, x, self.b_dec[...], self.W_enc_rows[...], self.b_enc[...]
        )
        return Codes(values, codes.indices)

    def _auxk_loss(
        self,
        x: Float[Array, "batch d_in"],
        pre_acts: Float[Array, "batch n_latents"],
        error: Float[Array, "batch d_in"],
        *,
        dead: Bool[Array, " n_latents"],
        config: SaeConfig,
    ) -> Float[Array, ""]:
        """How badly the dead latents alone model the error; 0 when none is dead.

        Live latents are masked with −inf: with 0 they would outrank dead ones below zero,
        as in the paper's code, and those would get no gradient.
        """
        target = jax.lax.stop_gradient(error)

        def from_dead() -> Float[Array, ""]:
            masked = jnp.where(dead, pre_acts, -jnp.inf)
            codes = self._top_k(x, masked, config.k_aux, config=config)
            missed = jnp.sum((target - self._sum_directions(codes, config)) ** 2)
            return missed / jnp.sum((target - target.mean(axis=0)) ** 2)

        return jax.lax.cond(dead.any(), from_dead, lambda: jnp.zeros(()))

    def project(self, gradient: Autoencoder) -> "TopKAutoencoder":
        """The gradient of W_dec without its part along each row, which the norm undoes."""
        W_dec, d_W_dec = self.W_dec[...], gradient.W_dec[...]
        along = jnp.sum(d_W_dec * W_dec, axis=-1, keepdims=True)
        assert isinstance(gradient, TopKAutoencoder)
        return gradient._with_W_dec(d_W_dec - along * W_dec)

    def constrained(self) -> "TopKAutoencoder":
        return self._with_W_dec(init.unit_rows(self.W_dec[...]))

    def _with_W_dec(self, W_dec: Float[Array, "n_latents d_in"]) -> "TopKAutoencoder":
        return type(self)(
            W_enc=self.W_enc, b_enc=self.b_enc[...], W_dec=W_dec, b_dec=self.b_dec[...]
        )
